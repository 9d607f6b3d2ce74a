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

from ssl_video.runs import folder

# Where the parts of the package lie, see setup.py.
FOLDERS = {
    "ssl_video": ROOT / "ssl_video",
    "ssl_video.algorithms": ROOT / "algorithms",
    "ssl_video.backbones": ROOT / "backbones",
    "ssl_video.benchmarks": ROOT / "benchmarks",
}
# What each part may import of the others, from the bottom to the top: contract, data, networks, runs,
# inference, training, benchmarks, then the public functions. The command line calls these alone. Algorithms
# are found through the registry; nothing imports one by name, only the parts that they share.
BOTTOM = {
    "errors",
    "files",
    "names",
    "options",
    "registry",
    "signals",
    "sources",
    "spec",
    "yaml_files",
    "csv_cells",
}
MAY_IMPORT = {
    "errors": set[str](),
    "names": set[str](),
    "options": set[str](),
    "signals": set[str](),
    "sources": set[str](),
    "processes": set[str](),
    "lazy": set[str](),
    "meta": set[str](),
    "display": set[str](),
    "reference": set[str](),
    "files": {"errors"},
    "figures": {"errors", "files"},
    "registry": {"errors", "sources"},
    "spec": {"errors", "files", "options", "yaml_files"},
    "yaml_files": set[str](),
    "csv_cells": set[str](),
    "observer": {"display"},
    "contract": {"options"},
    "algorithms": {"contract", "errors", "registry"},
    "backbones": {"contract", "errors", "files", "registry"},
    "data": {
        "contract",
        "csv_cells",
        "errors",
        "files",
        "lazy",
        "names",
        "observer",
        "processes",
        "signals",
        "spec",
    },
    "networks": {"contract", "data", "backbones", "meta", "ssl_video", *BOTTOM},
    "runs": {"data", *BOTTOM},
    "features": {"backbones", "contract", "data", "networks", *BOTTOM},
    "inference": {"contract", "data", "figures", "networks", "observer", "runs", *BOTTOM},
    "annotation": {"algorithms", "data", "inference", "observer", "runs", *BOTTOM},
    "training": {"contract", "data", "features", "networks", "runs", "inference", "ssl_video", *BOTTOM},
    "benchmarks": {
        *(
            "algorithms",
            "annotation",
            "contract",
            "data",
            "display",
            "figures",
            "inference",
            "networks",
            "observer",
            "processes",
            "runs",
            "training",
        ),
        *BOTTOM,
    },
    "analysis": {"lazy"},
    "catalog": {"benchmarks", "data", "registry"},
    "checkup": {"data", "errors", "names", "observer", "runs"},
    "creation": {"contract", "networks", *BOTTOM},
    "labeled_data": {"algorithms", "benchmarks", "contract", "data", "inference", "observer", *BOTTOM},
    "experiments": {"benchmarks", "observer", "runs", "training", *BOTTOM},
    "pictures": {"benchmarks", "data", "networks", "observer", "training", *BOTTOM},
    "pages": {"benchmarks", "contract", "data", "networks", *BOTTOM},
    "templates": {"errors", "files", "registry", "ssl_video"},
    "testing": {"contract", "data", "errors", "meta", "options", "registry"},
    "cli": {"ssl_video"},
    "__main__": {"cli"},
    "ssl_video": {"lazy"},
}
# Other parts that single functions import when they are called, by (module, function). "": at the top.
WHEN_CALLED = {
    # A run's folder gives its trained networks, which are above it.
    ("ssl_video.runs.folder", "load_model"): {"inference", "networks"},
    # The names of the parts that have weights.
    ("ssl_video.runs.weight_file", ""): {"networks"},
    # The solver of logistic regression, which an algorithm has as well.
    ("ssl_video.training.head_start", ""): {"algorithms"},
    # An algorithm's options are checked when it is built; declaring one loads no pydantic.
    ("ssl_video.contract", "validated"): {"spec"},
}
# They are loaded by commands that have to answer at once.
WITHOUT_TORCH = (
    "ssl_video",
    "ssl_video.cli",
    "ssl_video.cli.audit",
    "ssl_video.cli.bench",
    "ssl_video.cli.cache",
    "ssl_video.checkup",
    "ssl_video.cli.check",
    "ssl_video.cli.compare",
    "ssl_video.cli.doctor",
    "ssl_video.cli.dry_run",
    "ssl_video.cli.dynamics",
    "ssl_video.cli.evaluate",
    "ssl_video.cli.export",
    "ssl_video.cli.features",
    "ssl_video.cli.index",
    "ssl_video.cli.leaderboard",
    "ssl_video.cli.list",
    "ssl_video.cli.new",
    "ssl_video.cli.new_backbone",
    "ssl_video.cli.options",
    "ssl_video.cli.page",
    "ssl_video.cli.predict",
    "ssl_video.cli.progress",
    "ssl_video.cli.reference",
    "ssl_video.cli.report",
    "ssl_video.cli.show",
    "ssl_video.cli.speed",
    "ssl_video.cli.partition",
    "ssl_video.cli.storage",
    "ssl_video.cli.suggest",
    "ssl_video.cli.train",
    "ssl_video.cli.views",
    "ssl_video.cli.watch",
    "ssl_video.data.importers.make",
    "ssl_video.data.index",
    "ssl_video.data.partitions.partition",
    "ssl_video.data.partitions.protocols",
    "ssl_video.benchmarks.analysis.audit",
    "ssl_video.benchmarks.analysis.finished",
    "ssl_video.benchmarks.tables.leaderboard",
    "ssl_video.benchmarks.report.page",
    "ssl_video.benchmarks.running.suite",
    "ssl_video.benchmarks.running.watch",
    "ssl_video.benchmarks.tables.terminal",
    "ssl_video.registry",
    "ssl_video.runs.checkup",
    "ssl_video.runs.folder",
    "ssl_video.runs.identity",
    "ssl_video.runs.jsonl",
    "ssl_video.runs.lock",
    "ssl_video.runs.npz",
    "ssl_video.runs.predictions",
    "ssl_video.runs.pseudo_labels",
    "ssl_video.runs.result",
    "ssl_video.inference.temporal_robustness",
    "ssl_video.catalog",
    "ssl_video.experiments",
    "ssl_video.figures.files",
    "ssl_video.observer",
    "ssl_video.spec",
    "ssl_video.analysis",
    "ssl_video.annotation.page",
    "ssl_video.data",
    "ssl_video.data.caching",
    "ssl_video.data.diagnosis",
    "ssl_video.data.indexing",
    "ssl_video.data.partitioning",
    "ssl_video.benchmarks.analysis.auditing",
    "ssl_video.benchmarks.analysis.dynamics",
    "ssl_video.benchmarks.analysis.pair",
    "ssl_video.benchmarks.report.written",
    "ssl_video.benchmarks.running.arguments",
    "ssl_video.benchmarks.speed.measurement",
    "ssl_video.pages",
    "ssl_video.pictures",
    "ssl_video.reference",
    "ssl_video.templates",
)


def modules() -> Iterator[tuple[str, Path]]:
    """Every module's name and file."""
    for package, place in FOLDERS.items():
        for file in sorted(place.rglob("*.py")):
            parts = file.relative_to(place).with_suffix("").parts
            yield ".".join([package, *parts]).removesuffix(".__init__"), file


def imported(file: Path) -> Iterator[tuple[str, str]]:
    """Every module that a file imports, for other purposes than types, and the function in which it does."""
    yield from _imported(ast.parse(file.read_text(encoding="utf-8")), "", file)


def _imported(node: ast.AST, function: str, file: Path) -> Iterator[tuple[str, str]]:
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.stmt) and _for_types(inner):
            continue
        if isinstance(inner, ast.Import):
            yield from ((alias.name, function) for alias in inner.names)
        elif isinstance(inner, ast.ImportFrom):
            assert not inner.level, f"{file}: relative imports hide where something comes from"
            # In `from ssl_video import backbones`, what is imported may be a module.
            for alias in inner.names:
                whole = f"ssl_video.{alias.name}"
                is_module = inner.module == "ssl_video" and whole in KNOWN
                yield whole if is_module else inner.module or "", function
        else:
            name = inner.name if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) else function
            yield from _imported(inner, name, file)


MODULES = dict(modules())
KNOWN = {".".join(name.split(".")[:2]) for name in MODULES}


def part(module: str) -> str:
    """The second name of a module, as in ssl_video.data.index; the package itself is a part, too."""
    return [*module.split("."), module][1]


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_one_way(name: str) -> None:
    own = part(name)
    wrong = [
        (module, function)
        for module, function in imported(MODULES[name])
        if module.split(".")[0] == "ssl_video"
        and part(module) not in MAY_IMPORT[own] | {own} | WHEN_CALLED.get((name, function), set())
    ]
    assert not wrong


def test_every_exception_is_one() -> None:
    """What is imported there now, and nothing else; a part that is gone has no line here."""
    for (name, function), parts in WHEN_CALLED.items():
        found = {part(module) for module, where in imported(MODULES[name]) if where == function}
        assert parts <= found, (name, function)
    assert MAY_IMPORT.keys() == {part(name) for name in MODULES}


@pytest.mark.parametrize("name", [name for name in MODULES if part(name) in ("algorithms", "contract")])
def test_algorithms_need_torch_alone(name: str) -> None:
    """And the words for bounds of options, which are a few lines without anything else behind them."""
    others = {module.split(".")[0] for module, _ in imported(MODULES[name])}
    # Its solver is that of a library.
    solver = {"numpy", "sklearn"} if name == "ssl_video.algorithms.parts.logistic" else set()
    assert not others - {"annotated_types", "ssl_video", "torch"} - solver - set(sys.stdlib_module_names)


@pytest.mark.parametrize("name", [name for name in MODULES if part(name) == "cli"])
def test_commands_only_read_arguments_and_print(name: str) -> None:
    """All they do is in the public interface, `ssl_video` itself, for Python programs to do it, too."""
    others = {module.split(".")[0] for module, _ in imported(MODULES[name])}
    assert not others - {"ssl_video", "click", "rich"} - set(sys.stdlib_module_names)


def test_a_class_name_stands_for_one_class() -> None:
    """So that a reader who finds a name knows its meaning; private names are known in one file only."""
    found = dict[str, list[str]]()
    for name, file in MODULES.items():
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(name)
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def texts(file: Path) -> Iterator[tuple[int, str]]:
    """Every text of a file but docstrings, with its line; of a text with values in it, the parts between."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


FILE_NAMES = {
    value
    for name, value in vars(folder).items()
    if name.isupper() and not name.startswith("_") and isinstance(value, str)
}


# Shown as Python's own tools show them: first lines in lists, arguments on a method's page.
SHOW_DOCSTRINGS = {
    "ssl_video/registry.py",
    "ssl_video/pages/page.py",
    "ssl_video/pages/source.py",
    "ssl_video/testing/checks/declaration.py",
}


def test_no_program_text_is_taken_from_docstrings() -> None:
    files = [path for folder in FOLDERS.values() for path in folder.rglob("*.py")]
    reading = {str(path.relative_to(ROOT)) for path in files if "__doc__" in path.read_text()}
    assert reading == SHOW_DOCSTRINGS


def test_the_files_of_a_run_are_named_in_one_place() -> None:
    """So that nobody else reads or writes them. Sentences for users, which have spaces, may mention them."""
    assert {"result.json", "metrics.jsonl", "spec.yaml", "partition.txt", "log.txt"} <= FILE_NAMES
    found = [
        f"{name}, line {line}: {text}"
        for name, file in MODULES.items()
        if name != folder.__name__
        for line, text in texts(file)
        if " " not in text and any(text == known or text.endswith(f"/{known}") for known in FILE_NAMES)
    ]
    assert not found


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

    annotations = {"NonNegative", "Fraction"}  # which have no names of their own
    for name in annotations:
        assert getattr(ssl_video, name) is getattr(importlib.import_module("ssl_video.contract"), name)
    for name in {*ssl_video.__all__} - annotations:
        assert getattr(ssl_video, name).__name__ in (name, "register"), name
    assert set(ssl_video.__all__) == set(ssl_video._HOME)
    with pytest.raises(AttributeError, match="no attribute 'Algoritm'"):
        ssl_video.Algoritm  # noqa: B018
