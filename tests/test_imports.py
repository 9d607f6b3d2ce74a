"""Imports go one way, and what needs no network does not wait for torch."""

import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from helpers.paths import ROOT

# Where the parts of the package lie, see [tool.setuptools.package-dir].
FOLDERS = {
    "ssl_video": ROOT / "ssl_video",
    "ssl_video.algorithms": ROOT / "algorithms",
    "ssl_video.backbones": ROOT / "backbones",
    "ssl_video.benchmarks": ROOT / "benchmarks",
}
# What each part may import of the others: cli -> benchmarks -> engine -> data, backbones -> contract.
# Algorithms are found through the registry; nothing imports them but the package's own list of names.
BOTTOM = {"errors", "files", "registry", "signals", "spec"}
MAY_IMPORT = {
    "errors": set[str](),
    "signals": set[str](),
    "files": {"errors"},
    "registry": {"errors"},
    "spec": {"errors"},
    "contract": set[str](),
    "algorithms": {"contract", "errors", "registry"},
    "backbones": {"contract", "errors", "registry"},
    "data": {"contract", "errors", "files", "signals", "spec"},
    "engine": {"contract", "data", "backbones", "ssl_video", *BOTTOM},
    "benchmarks": {"contract", "data", "engine", *BOTTOM},
    "pages": {"benchmarks", "contract", "data", "engine", *BOTTOM},
    "templates": {"errors", "registry", "ssl_video"},
    "testing": {"contract", "data", "errors", "registry"},
    "cli": {"benchmarks", "data", "engine", "pages", "ssl_video", "templates", "testing", *BOTTOM},
    "__main__": {"cli"},
    "ssl_video": set[str](),
}
# They are loaded by commands that have to answer at once.
WITHOUT_TORCH = (
    "ssl_video",
    "ssl_video.cli",
    "ssl_video.cli.audit",
    "ssl_video.cli.check",
    "ssl_video.cli.compare",
    "ssl_video.cli.dynamics",
    "ssl_video.cli.index",
    "ssl_video.cli.leaderboard",
    "ssl_video.cli.list",
    "ssl_video.cli.new",
    "ssl_video.cli.report",
    "ssl_video.cli.split",
    "ssl_video.cli.watch",
    "ssl_video.cli.options",
    "ssl_video.data.importers.make",
    "ssl_video.data.index",
    "ssl_video.data.partitions.partition",
    "ssl_video.data.partitions.protocols",
    "ssl_video.benchmarks.analysis.audit",
    "ssl_video.benchmarks.analysis.finished",
    "ssl_video.benchmarks.tables.leaderboard",
    "ssl_video.benchmarks.report.page",
    "ssl_video.benchmarks.running.suite",
    "ssl_video.benchmarks.tables.terminal",
    "ssl_video.registry",
    "ssl_video.spec",
)


def modules() -> Iterator[tuple[str, Path]]:
    """Every module's name and file."""
    for package, folder in FOLDERS.items():
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            yield ".".join([package, *parts]).removesuffix(".__init__"), file


def imported(file: Path) -> Iterator[str]:
    """Every module that a file imports anywhere, for other purposes than types."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and _for_types(node)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: relative imports hide where something comes from"
            # In `from ssl_video import backbones`, what is imported may be a module.
            yield from (
                f"ssl_video.{alias.name}"
                if node.module == "ssl_video" and f"ssl_video.{alias.name}" in KNOWN
                else node.module or ""
                for alias in node.names
            )


MODULES = dict(modules())
KNOWN = {".".join(name.split(".")[:2]) for name in MODULES}


def part(module: str) -> str:
    """The second name of a module, as in ssl_video.data.index; the package itself is a part, too."""
    return [*module.split("."), module][1]


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_one_way(name: str) -> None:
    own = part(name)
    inside = {part(module) for module in imported(MODULES[name]) if module.split(".")[0] == "ssl_video"}
    assert not inside - MAY_IMPORT[own] - {own}


@pytest.mark.parametrize("name", [name for name in MODULES if part(name) in ("algorithms", "contract")])
def test_algorithms_need_torch_alone(name: str) -> None:
    others = {module.split(".")[0] for module in imported(MODULES[name])}
    assert not others - {"ssl_video", "torch"} - set(sys.stdlib_module_names)


def python(code: str) -> None:
    environment = os.environ | {"PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr


def test_what_needs_no_network_does_not_import_torch() -> None:
    python(
        "import importlib, sys\n"
        f"for name in {WITHOUT_TORCH}:\n"
        "    importlib.import_module(name)\n"
        "    assert 'torch' not in sys.modules, name\n"
    )


def forget() -> dict[str, ModuleType]:
    """Take the project's modules out of the interpreter."""
    ours = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "ssl_video"}
    for name in ours:
        del sys.modules[name]
    return ours


def imported_first(name: str) -> set[str]:
    """Return the modules of the project that a module imports: those around it, and those it names."""
    statements = ast.parse(MODULES[name].read_text(encoding="utf-8")).body
    outside = [
        s for s in statements if not isinstance(s, ast.FunctionDef | ast.ClassDef) and not _for_types(s)
    ]
    names = set[str]()
    for node in (inner for statement in outside for inner in ast.walk(statement)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {other for other in MODULES if other in names or name.startswith(f"{other}.")}


def _for_types(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"


def in_circles() -> set[str]:
    """Return the modules that are imported, through others, as they are imported themselves."""
    direct = {name: imported_first(name) for name in MODULES}

    def reached(name: str) -> set[str]:
        seen, ahead = set[str](), [*direct[name]]
        while ahead:
            other = ahead.pop()
            if other not in seen:
                seen.add(other)
                ahead += direct[other]
        return seen

    return {name for name in MODULES if name in reached(name)}


def test_every_module_can_be_imported_first() -> None:
    """So that none relies on what another one happens to have imported; libraries stay loaded.

    Where imports form no circle, a module finds all that it imports complete, in whatever order.
    """
    for name in MODULES.keys() - {"ssl_video.__main__"}:
        importlib.import_module(name)
    before, failed = forget(), {}
    try:
        for name in in_circles():
            try:
                importlib.import_module(name)
            except ImportError as error:
                failed[name] = error
            forget()
    finally:
        forget()
        sys.modules.update(before)
    assert not failed


def test_the_names_of_the_package_are_where_it_says() -> None:
    import ssl_video

    annotations = {"NotNegative", "Share"}  # which have no names of their own
    for name in annotations:
        assert getattr(ssl_video, name) is getattr(importlib.import_module("ssl_video.contract"), name)
    for name in {*ssl_video.__all__} - annotations:
        assert getattr(ssl_video, name).__name__ in (name, "register"), name
    assert set(ssl_video.__all__) == set(ssl_video._HOME)
    with pytest.raises(AttributeError, match="no attribute 'Algoritm'"):
        ssl_video.Algoritm  # noqa: B018
