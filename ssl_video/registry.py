"""A name, `path/to/file.py:name`, or an installed package's entry point -> a class or function.

Names and descriptions of the built-in entries are read from the source, so that listing them imports
neither the entries nor torch.
"""

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from ssl_video.errors import InputError, unknown

Entry = TypeVar("Entry", bound=Callable[..., Any])


class Registry:
    """Entries of one kind: built-in ones from a package's files, others by path or entry point.

    Args:
        kind: the word for one entry in messages and the name of its decorator, for example "algorithm".
        package: the package whose files hold the built-in entries; also the entry-point group.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind, self.package = kind, package
        self._entries: dict[str, Callable[..., Any]] = {}

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """Decorator that gives a class or function its name. A name that is taken is an error."""

        def add(entry: Entry) -> Entry:
            taken = self._entries.get(name)
            # The same file may be loaded twice under two module names: by path and as a module.
            if taken is not None and _origin(taken) != _origin(entry):
                raise InputError(
                    f"{self.kind} {name!r} is defined twice: in {_origin(taken)} and in {_origin(entry)}"
                )
            self._entries[name] = entry
            return entry

        return add

    def get(self, name: str) -> Callable[..., Any]:
        """The entry called `name`.

        Raises:
            InputError: no such name, no such file, or a file that does not define it.
        """
        if ".py:" in name:
            return self._from_file(*name.rsplit(":", 1))
        if name not in self._entries:
            module = self._builtin().get(name, ("", ""))[0]
            if module:
                importlib.import_module(module)
            else:
                self._from_entry_point(name)
        return self._entries[name]

    def describe(self) -> dict[str, str]:
        """Every known name with a one-line description."""
        found = {name: text for name, (_, text) in self._builtin().items()}
        for point in entry_points(group=self.package):
            found.setdefault(point.name, f"from {point.value}")
        for name, entry in self._entries.items():
            found.setdefault(name, (entry.__doc__ or "").split("\n")[0])
        return dict(sorted(found.items()))

    def _builtin(self) -> dict[str, tuple[str, str]]:
        """Name -> (module, first line of the docstring), read from the package's source files."""
        spec = importlib.util.find_spec(self.package)
        folders = (spec.submodule_search_locations if spec else None) or []
        found = {}
        for file in sorted(file for folder in folders for file in Path(folder).glob("*.py")):
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef | ast.FunctionDef):
                    for name in _decorated(node, self.kind):
                        text = (ast.get_docstring(node) or "").split("\n")[0]
                        found[name] = (f"{self.package}.{file.stem}", text)
        return found

    def _from_file(self, path: str, name: str) -> Callable[..., Any]:
        file = Path(path).expanduser()
        if not file.is_file():
            raise InputError(f"{self.kind} {path}:{name}: there is no file {path}")
        module = f"ssl_video_plugin_{file.stem}_{abs(hash(file.resolve()))}"
        if module not in sys.modules:
            spec = importlib.util.spec_from_file_location(module, file)
            assert spec is not None
            assert spec.loader is not None
            sys.modules[module] = importlib.util.module_from_spec(spec)
            try:
                spec.loader.exec_module(sys.modules[module])
            except BaseException:
                del sys.modules[module]
                raise
        defined = {n for n, entry in self._entries.items() if _origin(entry) == str(file.resolve())}
        if name not in defined:
            raise InputError(f"{path}: {unknown(self.kind, name, defined)}")
        return self._entries[name]

    def _from_entry_point(self, name: str) -> None:
        for point in entry_points(group=self.package):
            if point.name == name:
                self._entries.setdefault(name, point.load())
                return
        raise InputError(unknown(self.kind, name, self.describe()))


def _decorated(node: ast.ClassDef | ast.FunctionDef, decorator: str) -> list[str]:
    """The names in `@decorator("name")` lines above a definition."""
    return [
        call.args[0].value
        for call in node.decorator_list
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == decorator
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[0].value, str)
    ]


def _origin(entry: Callable[..., Any]) -> str:
    """The file that defines an entry."""
    module = sys.modules.get(entry.__module__)
    return str(Path(getattr(module, "__file__", None) or entry.__module__).resolve())


algorithms = Registry("algorithm", "ssl_video.algorithms")
backbones = Registry("backbone", "ssl_video.backbones")

algorithm = algorithms.register
backbone = backbones.register
