"""The public names are those that docs/python.md and CONTRIBUTING.md document, and docs/api.md lists."""

import ast
import inspect
import re
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from types import ModuleType

from helpers.paths import ROOT

import ssl_video as sv

PACKAGES = (sv, sv.data, sv.analysis, sv.testing)
PUBLIC = {
    f"{package.__name__}.{name}": getattr(package, name) for package in PACKAGES for name in package.__all__
}
LISTED = re.findall(
    r"^::: (\S+)$", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), flags=re.MULTILINE
)
PAGES = [(ROOT / name).read_text(encoding="utf-8") for name in ("docs/python.md", "CONTRIBUTING.md")]


def test_every_public_name_is_documented() -> None:
    """As `sv.name` or `name` in code."""
    named = {name for page in PAGES for name in re.findall(r"`(?:sv\.)?(\w+)", page)}
    named |= {name for page in PAGES for name in re.findall(r"\bsv\.(\w+)", page)}
    assert not set(sv.__all__) - named


def test_every_documented_name_is_public() -> None:
    named = {name for page in PAGES for name in re.findall(r"\bsv\.(\w+)", page)}
    assert not named - set(sv.__all__) - {"data", "analysis", "testing"}
    inside = {name for page in PAGES for name in re.findall(r"\bsv\.((?:data|analysis|testing)\.\w+)", page)}
    assert not {f"ssl_video.{name}" for name in inside} - set(PUBLIC)


def test_the_reference_lists_every_public_name() -> None:
    """A name of two packages is listed once."""
    listed = [value for name, value in PUBLIC.items() if name in LISTED]
    assert not [name for name, value in PUBLIC.items() if not any(value is other for other in listed)]


def test_the_reference_lists_public_names_alone() -> None:
    assert not [name for name in LISTED if name not in PUBLIC]
    assert not [name for name, count in Counter(LISTED).items() if count > 1]


def docstring(package: ModuleType, name: str) -> str | None:
    """Return the docstring in the source; at run time a dataclass or named tuple has a generated one."""
    value = getattr(package, name)
    if inspect.isclass(value) or inspect.isroutine(value):
        module = sys.modules[value.__module__]
    else:
        module = sys.modules[f"ssl_video.{package._HOME[name]}"] if hasattr(package, "_HOME") else package
    body = ast.parse(inspect.getsource(module)).body
    for statement, following in pairwise([*body, ast.Pass()]):
        if isinstance(statement, ast.ClassDef | ast.FunctionDef):
            if statement.name == name:
                return ast.get_docstring(statement)
        elif ast.unparse(statement).startswith((f"{name} = ", f"{name}: ")):
            is_text = isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
            return ast.literal_eval(following.value) if is_text else None
    raise AssertionError(f"{name} is not defined in {module.__name__}")


def test_every_public_name_has_a_docstring_of_its_own() -> None:
    names = [(package, name) for package in PACKAGES for name in package.__all__]
    assert not [f"{package.__name__}.{name}" for package, name in names if not docstring(package, name)]


def test_names_are_found_by_editors() -> None:
    assert set(sv.__all__) <= set(dir(sv))


def test_a_function_keeps_its_name_whatever_was_imported_before() -> None:
    """A module of a function's name would take its place as an attribute of the package."""
    code = (
        "import pkgutil, importlib, ssl_video as sv\n"
        "names = [m.name for m in pkgutil.iter_modules(sv.__path__)]\n"
        "for name in names:\n"
        "    if name not in ('__main__',): importlib.import_module('ssl_video.' + name)\n"
        "import types\n"
        "bad = [n for n in sv.__all__ if isinstance(getattr(sv, n), types.ModuleType)]\n"
        "assert not bad, bad\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_keywords_of_train_and_bench_are_in_their_signatures() -> None:
    """So that editors and `help` show them: keys of a specification, and fields of an execution."""
    for function, absent in ((sv.train, {"jobs", "executor", "protocols"}), (sv.bench, {"devices", "seed"})):
        parameters = inspect.signature(function).parameters
        assert {"steps", "learning_rate", "results", "threads", "compile", "skip_broken"} <= set(parameters)
        assert not absent & set(parameters)
