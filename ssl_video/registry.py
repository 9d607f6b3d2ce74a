"""Find classes and functions by a name, `path/to/file.py:name`, or an installed package's entry point.

Names and descriptions of entries are read from the source, so that listing them imports neither the
entries nor torch.
"""

import ast
import contextlib
import functools
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.machinery import PathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

from ssl_video.errors import InputError, unknown
from ssl_video.sources import SourceTexts, file_hash, file_text, local_modules

Entry = TypeVar("Entry", bound=Callable[..., Any])
_Definition = ast.ClassDef | ast.FunctionDef
INPUTS = ("clips", "imagenet", "weights")
_PLUGIN = "ssl_video_plugin_"  # prefix of the names of modules that are loaded by path
_imported: dict[str, str] = {}  # hashes of plugins' files as they were when they were imported


class _Builtin(NamedTuple):
    """A built-in entry as its source declares it: module, file, and first line of its docstring."""

    module: str
    file: str
    text: str


class Registry:
    """Entries of one kind: built-in ones from a package's files, others by path or entry point.

    Args:
        kind: the word for one entry in messages and the name of its decorator, for example "algorithm".
        package: the package whose files hold the built-in entries; also the entry-point group.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind, self.package = kind, package
        self._entries: dict[str, Callable[..., Any]] = {}
        self._origins: dict[str, str] = {}
        self._sources = SourceTexts()

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """Return a decorator that registers a class or function under a name, which must be free."""

        def add(entry: Entry) -> Entry:
            origin, builtin = _origin(entry), self._builtin.get(name)
            # The same file may be loaded twice under two module names: by path and as a module.
            for taken in (self._origins.get(name), builtin and builtin.file):
                if taken and taken != origin:
                    raise InputError(self._twice(name, taken, origin))
            self._entries[name], self._origins[name] = entry, origin
            return entry

        return add

    def adopt(self, entry: str | Callable[..., Any]) -> str:
        """Return the name of an entry that is given as an object, and register it if it is new.

        Args:
            entry: a class or function, also from a notebook or a script; or a name, returned unchanged.

        Raises:
            InputError: another entry has the name, or the object has none.
        """
        if isinstance(entry, str):
            return entry
        named = [name for name, known in self._entries.items() if known is entry]
        if not named:
            name = getattr(entry, "__name__", None)
            if name is None:
                raise InputError(f"{entry!r} has no name: give a class or a function as {self.kind}")
            if entry.__module__.startswith(_PLUGIN):
                raise InputError(f"{name} of {_origin(entry)} has no decorator @{self.kind}: add one")
            # A class that is defined again in the same file or notebook replaces the former one.
            self.register(name)(entry)
            return str(name)
        (name, *_) = named
        return f"{self._origins[name]}:{name}" if entry.__module__.startswith(_PLUGIN) else name

    def code(self, name: str) -> str:
        """Return the source of an entry, with its local modules, as part of a run's identity.

        "" for a built-in one.

        Raises:
            InputError: no such name.
        """
        entry = self.get(name)
        if name in self._builtin:
            return ""
        if self._is_of_session(name):
            return self._sources.text(entry)
        return file_text(Path(inspect.getfile(entry)))

    def file(self, name: str) -> Path | None:
        """Return the file of an entry outside the package, without importing it.

        Returns:
            None: the entry is built in, or was defined in this session.

        Raises:
            InputError: no such name, or no such file.
        """
        name = self.full_name(name)
        if ".py:" in name:
            return self._existing(*name.rsplit(":", 1))
        if name in self._builtin or self._is_of_session(name):
            return None
        return _file_of(self._entry_point(name))

    def local_modules(self, name: str) -> list[str]:
        """Return the names of the local modules of an entry outside the package, see `sources.local_modules`.

        Raises:
            InputError: no such name, or a file cannot be read.
        """
        file = self.file(name)
        try:
            return list(local_modules(file)) if file else []
        except OSError as error:
            raise InputError(f"cannot read {error.filename or file}: {error.strerror}") from None

    def is_loaded(self, name: str) -> bool:
        """Return whether an entry's code has been imported, so that using it runs no other code."""
        name = self.full_name(name)
        if ".py:" in name:
            return _module_name(self._existing(*name.rsplit(":", 1))) in sys.modules
        return name in self._entries

    def fingerprint(self, name: str) -> str:
        """Return a hash of the code of an entry outside the package, as it was when it was imported; else "".

        The code is that of its file and of its local modules, see `sources.local_modules`.

        Raises:
            InputError: no such name, or the file cannot be read.
        """
        file = self.file(name)
        if file is None:
            return ""
        imported = _imported.get(str(file.resolve())) if self.is_loaded(name) else None
        return imported or _hash(file)

    def has_source(self, name: str) -> bool:
        """Return whether an entry's source can be read, so that other sessions recognise its runs."""
        return not self._is_of_session(name) or self._sources.is_readable(self.get(name))

    def of_session(self, names: Iterable[str]) -> dict[str, Callable[..., Any]]:
        """Return the entries that were defined in this session: other processes cannot find them by name."""
        return {name: self._entries[name] for name in names if self._is_of_session(name)}

    def receive(self, entries: Mapping[str, Callable[..., Any]]) -> None:
        """Register entries that `of_session` returned in another process."""
        self._entries.update(entries)

    def _is_of_session(self, name: str) -> bool:
        known = name in self._entries and name not in self._builtin
        return known and not list(entry_points(group=self.package, name=name))

    def get(self, name: str) -> Callable[..., Any]:
        """Return the entry called `name`.

        Raises:
            InputError: no such name, no such file, or a file that does not define it.
        """
        name = self.full_name(name)
        if ".py:" in name:
            return self._from_file(*name.rsplit(":", 1))
        if name not in self._entries:
            if name in self._builtin:
                importlib.import_module(self._builtin[name].module)
            else:
                self._entries.setdefault(name, self._from_package(self._entry_point(name)))
        return self._entries[name]

    def check(self, name: str) -> None:
        """Check that an entry exists, without importing it.

        A name inside a file is not checked: the file may register it in a way that only its execution shows.

        Raises:
            InputError: no such name, or no such file.
        """
        name = self.full_name(name)
        if ".py:" in name:
            self._existing(*name.rsplit(":", 1))
        elif name not in self._entries and name not in self._builtin:
            self._entry_point(name)

    def full_name(self, name: str) -> str:
        """Return a name unchanged, or for a file the name of its only entry.

        Raises:
            InputError: the file cannot be read, or defines none or several.
        """
        if not name.endswith(".py"):
            return name
        inside = list(self.in_file(name))
        if not inside:
            raise InputError(f"{name} defines no {self.kind}: it has no class or function under @{self.kind}")
        if len(inside) > 1:
            raise InputError(f"{name} defines several {self.kind}s: give {' or '.join(inside)}")
        return inside[0]

    def builtin(self) -> list[str]:
        """Return the names of the built-in entries."""
        return sorted(self._builtin)

    def describe(self) -> dict[str, str]:
        """Return every known name with a one-line description."""
        found = {name: entry.text for name, entry in self._builtin.items()}
        for point in entry_points(group=self.package):
            text = _written(point)
            found.setdefault(point.name, f"{text} (from {point.module})" if text else f"from {point.value}")
        for name, entry in self._entries.items():
            found.setdefault(name, (entry.__doc__ or "").split("\n")[0])
        return dict(sorted(found.items()))

    def in_file(self, path: str | Path) -> dict[str, str]:
        """Return the entries of a file, `path:name` with a one-line description, without importing it.

        Raises:
            InputError: there is no such file, or it is not Python.
        """
        try:
            definitions = list(_definitions(Path(path).expanduser()))
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from None
        except (SyntaxError, ValueError) as error:
            raise InputError(f"{path} is not Python: {error}") from None
        return {f"{path}:{name}": _line(node) for node in definitions for name in _decorated(node, self.kind)}

    @functools.cached_property
    def _builtin(self) -> dict[str, _Builtin]:
        """The built-in entries by name, read from the package's source files."""
        spec = importlib.util.find_spec(self.package)
        folders = (spec.submodule_search_locations if spec else None) or []
        found: dict[str, _Builtin] = {}
        for file in sorted(file for folder in folders for file in Path(folder).glob("*.py")):
            for node in _definitions(file):
                for name in _decorated(node, self.kind):
                    if name in found:
                        raise InputError(self._twice(name, found[name].file, str(file)))
                    found[name] = _Builtin(f"{self.package}.{file.stem}", str(file.resolve()), _line(node))
        return found

    def _from_file(self, path: str, name: str) -> Callable[..., Any]:
        file = self._existing(path, name)
        module = _module_name(file)
        if module not in sys.modules:
            spec = importlib.util.spec_from_file_location(module, file)
            assert spec is not None
            assert spec.loader is not None
            sys.modules[module] = importlib.util.module_from_spec(spec)
            _imported[str(file.resolve())] = _hash(file)
            try:
                with _exits_raise():
                    spec.loader.exec_module(sys.modules[module])
            except InputError:
                del sys.modules[module]
                raise
            except (Exception, SystemExit) as error:  # any error in a user's file is the user's to fix
                del sys.modules[module]
                raise InputError(f"{path} cannot be imported: {_told(error, file)}") from error
            except KeyboardInterrupt:
                del sys.modules[module]
                raise
        defined = {n for n, origin in self._origins.items() if origin == str(file.resolve())}
        if name not in defined:
            raise InputError(f"{path}: {unknown(self.kind, name, defined)}")
        return self._entries[name]

    def _from_package(self, point: EntryPoint) -> Callable[..., Any]:
        """Import an installed package's entry point."""
        file = _file_of(point)
        _imported[str(file.resolve())] = _hash(file)
        try:
            with _exits_raise():
                loaded: Callable[..., Any] = point.load()
            return loaded
        except InputError:
            raise
        except (Exception, SystemExit) as error:  # any error in a plugin is its author's to fix
            raise InputError(
                f"the {self.kind} {point.name} of the installed {point.value} cannot be imported: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _existing(self, path: str, name: str) -> Path:
        """Return the file that holds an entry."""
        file = Path(path).expanduser()
        if not file.is_file():
            raise InputError(f"{self.kind} {path}:{name}: there is no file {path}")
        return file

    def _entry_point(self, name: str) -> EntryPoint:
        """Return the only entry point of this name, without loading it."""
        points = {point.value: point for point in entry_points(group=self.package, name=name)}
        if not points:
            raise InputError(unknown(self.kind, name, self.describe()))
        if len(points) > 1:
            raise InputError(self._twice(name, *list(points)[:2]))
        (point,) = points.values()
        return point

    def _twice(self, name: str, first: str, second: str) -> str:
        return f"{self.kind} {name!r} is defined twice: in {first} and in {second}; rename one of them"


def _definitions(file: Path) -> Iterator[_Definition]:
    """Yield the classes and functions of a source file."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, _Definition):
            yield node


def _line(node: _Definition) -> str:
    """Return the first line of a definition's docstring."""
    return (ast.get_docstring(node) or "").split("\n")[0]


def _module_name(file: Path) -> str:
    """Return the name under which a file is imported as a module."""
    return f"{_PLUGIN}{file.stem}_{abs(hash(file.resolve()))}"


@contextlib.contextmanager
def _exits_raise() -> Iterator[None]:
    """Turn `os._exit` of code that is imported into SystemExit: it would end the program without a word."""
    own, leave = os.getpid(), os._exit

    def exit_of_plugin(status: int) -> NoReturn:
        if os.getpid() == own:
            raise SystemExit(status)
        leave(status)  # a process that the code forked

    os._exit = exit_of_plugin
    try:
        yield
    finally:
        os._exit = leave


def _hash(file: Path) -> str:
    try:
        return file_hash(file)
    except OSError as error:
        raise InputError(f"cannot read {error.filename or file}: {error.strerror}") from None


def _file_of(point: EntryPoint) -> Path:
    """Return the file of an entry point's module, without importing it.

    Raises:
        InputError: the module is not installed, or has no file.
    """
    package, *inner = point.module.split(".")
    try:
        spec = importlib.util.find_spec(package)
        for name in inner:
            # importlib.util would import the packages around a module, and with them torch.
            package, inside = f"{package}.{name}", spec.submodule_search_locations if spec else None
            spec = PathFinder.find_spec(package, inside) if inside else None
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.origin:
        raise InputError(f"the installed {point.value} has no file that could be read")
    return Path(spec.origin)


def _written(point: EntryPoint) -> str:
    """Return the first line of the docstring of an entry point's object; "" if its source is unreadable."""
    try:
        definitions = list(_definitions(_file_of(point)))
    except (InputError, OSError, SyntaxError, ValueError):
        # The faults of a plugin are reported when it is requested.
        return ""
    return next((_line(node) for node in definitions if node.name == point.attr), "")


def _decorated(node: _Definition, decorator: str) -> list[str]:
    """Return the names in `@decorator("name")` lines above a definition."""
    return [
        call.args[0].value
        for call in node.decorator_list
        if isinstance(call, ast.Call)
        # Also as an attribute: @ssl_video.algorithm("name").
        and (call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")) == decorator
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    ]


def _told(error: BaseException, file: Path) -> str:
    """Return an error as one line, with the number of the last line of the file that led to it."""
    if isinstance(error, SyntaxError):
        return f"{error.msg}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == file.resolve()]
    if isinstance(error, SystemExit):
        return f"it ends the program, sys.exit({error.code!r})" + (f", line {lines[-1]}" if lines else "")
    return f"{type(error).__name__}: {error}" + (f", line {lines[-1]}" if lines else "")


def _origin(entry: Callable[..., Any]) -> str:
    """Return the file that defines an entry."""
    module = sys.modules.get(entry.__module__)
    return str(Path(getattr(module, "__file__", None) or entry.__module__).resolve())


algorithms = Registry("algorithm", "ssl_video.algorithms")
backbones = Registry("backbone", "ssl_video.backbones")

algorithm = algorithms.register
"""Decorator that gives a method's class a name, which must be free: `@algorithm("my-method")`."""


def backbone(name: str, *, inputs: str = "clips") -> Callable[[Entry], Entry]:
    """Return a decorator that registers a function that builds a network as a backbone.

    Args:
        name: the name.
        inputs: normalisation of the inputs that the network's weights were trained with: "clips", that of
            this package; "imagenet"; or "weights", as specified by the library that supplies the weights.

    Raises:
        InputError: the name is taken, or there is no such normalisation.
    """
    if inputs not in INPUTS:
        raise InputError(unknown("inputs", inputs, INPUTS))

    def add(builder: Entry) -> Entry:
        builder.inputs = inputs  # type: ignore[attr-defined]
        return backbones.register(name)(builder)

    return add
