"""Find forbidden imports in an algorithm's source."""

import ast
import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path

from ssl_video.testing.check import NotApplicable
from ssl_video.testing.subject import Subject

_FORBIDDEN = (
    *("torch.optim", "torch.utils.data", "torch.distributed", "torch.cuda", "torch.multiprocessing"),
    *("numpy.random", "random", "multiprocessing", "lightning", "lightning_fabric", "pytorch_lightning"),
    *(
        "ssl_video.networks",
        "ssl_video.runs",
        "ssl_video.inference",
        "ssl_video.training",
        "ssl_video.data",
        "ssl_video.benchmarks",
        "ssl_video.cli",
        "ssl_video.spec",
    ),
)
_OURS = ("torch", "ssl_video.contract", "ssl_video.testing")


def sources(subject: Subject) -> dict[Path, set[str]]:
    """Return the source files of an algorithm's class, its bases and its modules, with the classes' names.

    Raises:
        NotApplicable: a class has no file, for example if it was typed into an interpreter.
    """
    classes = {*subject.constructor.__mro__, *(type(module) for module in subject.build().modules())}
    found: dict[Path, set[str]] = {}
    for one in classes - {object}:
        if not any(one.__module__ == name or one.__module__.startswith(f"{name}.") for name in _OURS):
            try:
                file = Path(inspect.getfile(one))
            except (TypeError, OSError):
                file = None
            # Of code that is piped into Python the name is "<stdin>".
            if file is None or not file.is_file():
                raise NotApplicable(f"the source of {one.__name__} is not in a file")
            found.setdefault(file, set()).add(one.__name__)
    return found


def forbidden(file: Path, classes: Iterable[str] = ()) -> list[tuple[int, str]]:
    """Return line and name of forbidden uses in the code that `classes` need (empty: in the whole file)."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = dict(_imported(tree))
    found: dict[int, str] = {}
    for part in _needed(tree, set(classes)) if classes else [tree]:
        for line, whole in _used(part, names):
            if any(whole == name or whole.startswith(f"{name}.") for name in _FORBIDDEN):
                found[line] = max(whole, found.get(line, ""), key=len)
    return sorted(found.items())


def _needed(tree: ast.Module, wanted: set[str]) -> Iterator[ast.stmt]:
    """Yield the definitions of names and, recursively, of the names they use; other code is ignored."""
    defined = {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }
    seen = set[str]()
    while wanted:
        name = wanted.pop()
        seen.add(name)
        if name in defined:
            yield defined[name]
            wanted |= {n.id for n in ast.walk(defined[name]) if isinstance(n, ast.Name)} - seen


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield the local and the full name of every import of a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.split(".")[0]
                yield alias.asname or whole, whole
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _used(part: ast.AST, names: dict[str, str]) -> Iterator[tuple[int, str]]:
    """Yield line and full name of imports in a part of a file, and of names reached through imports."""
    for node in ast.walk(part):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Attribute | ast.Name):
            root, dot, rest = ast.unparse(node).partition(".")
            if root in names:
                yield node.lineno, f"{names[root]}{dot}{rest}"
