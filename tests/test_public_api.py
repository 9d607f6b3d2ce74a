"""The public names are those that docs/python.md and CONTRIBUTING.md document."""

import inspect
import re
import subprocess
import sys

import pytest
from helpers.paths import ROOT

import ssl_video as sv

PAGES = [(ROOT / name).read_text(encoding="utf-8") for name in ("docs/python.md", "CONTRIBUTING.md")]


def test_every_public_name_is_documented() -> None:
    """As `sv.name` or `name` in code."""
    named = {name for page in PAGES for name in re.findall(r"`(?:sv\.)?(\w+)", page)}
    named |= {name for page in PAGES for name in re.findall(r"\bsv\.(\w+)", page)}
    assert not set(sv.__all__) - named


def test_every_documented_name_is_public() -> None:
    named = {name for page in PAGES for name in re.findall(r"\bsv\.(\w+)", page)}
    assert not named - set(sv.__all__) - {"data", "analysis", "testing"}


@pytest.mark.parametrize("name", sorted(sv.__all__))
def test_every_public_name_has_a_docstring(name: str) -> None:
    value = getattr(sv, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert inspect.getdoc(value)


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
