"""The source of classes and functions, which distinguishes runs of a user's own code."""

import ast
import functools
import hashlib
import inspect
import linecache
import os
import sys
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any


def file_text(file: Path) -> str:
    """Return the text of a file and of its local modules, see `local_modules`."""
    texts = [file.read_text(encoding="utf-8")]
    for name, module in local_modules(file).items():
        texts += [name, _text_of(module)]
    return "\0".join(texts)


def file_hash(file: Path) -> str:
    """Return a hash of a file and of its local modules, see `local_modules`.

    Raises:
        OSError: one cannot be read.
    """
    own, local = hashlib.sha256(file.read_bytes()), local_modules(file)
    if not local:
        return own.hexdigest()
    parts = [own.hexdigest()]
    for name, module in local.items():
        parts += [name, hashlib.sha256(module.read_bytes()).hexdigest()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def local_modules(file: Path) -> dict[str, Path]:
    """Return the modules that a file imports from beside it or from its own package, and those they import.

    They are found in the sources, by their `import` lines, so nothing is imported. Modules of other places
    (Python's own, installed packages, other folders of `sys.path`) are not among them, nor are those whose
    names are computed.

    Returns:
        Their files, by their names relative to the file's folder, sorted.
    """
    file = file.resolve()
    top = file.parent
    while (top / "__init__.py").is_file() and top != top.parent:
        top = top.parent
    found, waiting = dict[str, Path](), [file]
    while waiting:
        importer = waiting.pop()
        for dots, name in _imported(_text_of(importer)):
            for module in _files_of(_places(importer, file.parent, top, dots, name), name):
                key = Path(os.path.relpath(module, file.parent)).as_posix()
                if module != file and key not in found:
                    found[key] = module
                    waiting.append(module)
    return dict(sorted(found.items()))


def _places(importer: Path, beside: Path, top: Path, dots: int, name: str) -> list[Path]:
    """Return the folders in which an imported module is looked for."""
    if dots:
        return [importer.parents[dots - 1]] if dots <= len(importer.parents) else []
    known = name.partition(".")[0]
    if known == "ssl_video" or known in sys.stdlib_module_names:
        return []
    return list(dict.fromkeys((beside, top)))


def _files_of(places: Iterable[Path], name: str) -> Iterator[Path]:
    """Yield the files of a module and of the packages around it."""
    parts = name.split(".") if name else []
    for place in places:
        for count in range(1, len(parts) + 1):
            inside = place.joinpath(*parts[:count])
            files = inside / "__init__.py", inside.with_name(f"{inside.name}.py")
            yield from (each.resolve() for each in files if each.is_file())


@functools.lru_cache(maxsize=512)
def _imported(text: str) -> tuple[tuple[int, str], ...]:
    """Return the modules that a source imports, each with the number of dots in front of its name."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return ()
    found = list[tuple[int, str]]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # What is imported from a package may be a module of it.
            names = [node.module or "", *(f"{node.module or ''}.{alias.name}" for alias in node.names)]
            found += [(node.level, name.strip(".")) for name in names]
    return tuple(dict.fromkeys(found))


def _text_of(module: Path) -> str:
    return module.read_bytes().decode(errors="backslashreplace")


class SourceTexts:
    """Sources of the classes and functions of this Python session.

    The source of a class includes its base classes in user code. In a notebook it is the text of the cell.
    Functions that a class calls are not included, nor are modules that it imports.
    """

    def __init__(self) -> None:
        self._tokens: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()

    def text(self, entry: Callable[..., Any]) -> str:
        """Return the source; if it cannot be read, a text that is unique to this session and entry."""
        texts = [_text(part) for part in _parts(entry)]
        known = [text for text in texts if text is not None]
        if len(known) == len(texts):
            return "\0".join(known)
        return self._tokens.setdefault(entry, uuid.uuid4().hex)

    def is_readable(self, entry: Callable[..., Any]) -> bool:
        """Return whether the source can be read; that of code piped into Python cannot."""
        return all(_text(part) is not None for part in _parts(entry))


def _parts(entry: Callable[..., Any]) -> list[Any]:
    """Return an entry and its base classes in user code."""
    if not inspect.isclass(entry):
        return [entry]
    return [
        cls for cls in entry.__mro__ if cls.__module__.split(".")[0] not in ("ssl_video", "torch", "builtins")
    ]


def _text(part: Any) -> str | None:
    try:
        return inspect.getsource(part)
    except (OSError, TypeError):
        pass
    # Up to Python 3.12, inspect searches the file of a class's module, and a notebook has none. The code
    # objects of its methods name the cell.
    own = vars(part).values() if inspect.isclass(part) else [part]
    files = {code.co_filename for value in own if (code := getattr(inspect.unwrap(value), "__code__", None))}
    lines = [line for file in sorted(files) for line in linecache.getlines(file)]
    return "".join(lines) or None
