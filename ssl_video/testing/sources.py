"""What an algorithm's source uses that is not its to use."""

import ast
import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path

from ssl_video.testing.check import NotApplicable
from ssl_video.testing.subject import Subject

_FORBIDDEN = (
    *("torch.optim", "torch.utils.data", "torch.distributed", "torch.cuda", "torch.multiprocessing"),
    *("numpy.random", "random", "multiprocessing", "lightning", "lightning_fabric", "pytorch_lightning"),
    *("ssl_video.engine", "ssl_video.data", "ssl_video.benchmarks", "ssl_video.cli", "ssl_video.spec"),
)
_OURS = ("torch", "ssl_video.contract", "ssl_video.testing")


def sources(subject: Subject) -> dict[Path, set[str]]:
    """The files of an algorithm's class, of those it builds on and is made of, with the classes' names.

    Raises:
        NotApplicable: there are none, as for what was typed into an interpreter.
    """
    classes = {*subject.constructor.__mro__, *(type(module) for module in subject.build().modules())}
    found: dict[Path, set[str]] = {}
    for one in classes - {object}:
        if not any(one.__module__ == name or one.__module__.startswith(f"{name}.") for name in _OURS):
            try:
                found.setdefault(Path(inspect.getfile(one)), set()).add(one.__name__)
            except (TypeError, OSError):
                raise NotApplicable(f"the source of {one.__name__} is not in a file") from None
    return found


def forbidden(file: Path, classes: Iterable[str] = ()) -> list[tuple[int, str]]:
    """The line and name of all that a file uses and should not: what its classes need, or the whole file."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = dict(_imported(tree))
    found: dict[int, str] = {}
    for part in _needed(tree, set(classes)) if classes else [tree]:
        for line, whole in _used(part, names):
            if any(whole == name or whole.startswith(f"{name}.") for name in _FORBIDDEN):
                found[line] = max(whole, found.get(line, ""), key=len)
    return sorted(found.items())


def _needed(tree: ast.Module, wanted: set[str]) -> Iterator[ast.stmt]:
    """The definitions of these names, and of what they mention: the same file may hold other things."""
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
    """What a file calls things, and what they are."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                whole = alias.name if alias.asname else alias.name.split(".")[0]
                yield alias.asname or whole, whole
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _used(part: ast.AST, names: dict[str, str]) -> Iterator[tuple[int, str]]:
    """The whole names of what is imported in a part of a file, and of what is reached through imports."""
    for node in ast.walk(part):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Attribute | ast.Name):
            root, dot, rest = ast.unparse(node).partition(".")
            if root in names:
                yield node.lineno, f"{names[root]}{dot}{rest}"
