"""Algorithms of others: a file, and an installed package."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from helpers.command_line import TINY, Call, call_process, start_python

from ssl_video import templates

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "plugin-for-tests"
version = "1.0"

[project.entry-points."ssl_video.algorithms"]
their-method = "plugin_for_tests.inner.method:TheirMethod"

[tool.setuptools]
packages = ["plugin_for_tests", "plugin_for_tests.inner"]
"""
LOUD = "import sys\nprint('the plugin was imported', file=sys.stderr)\n"
LINE = "One sentence, which `ssl-video list` and the tables of methods show."


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which a package with an algorithm was installed; it says so when it is imported."""
    source = tmp_path_factory.mktemp("plugin")
    (source / "plugin_for_tests" / "inner").mkdir(parents=True)
    (source / "pyproject.toml").write_text(PROJECT)
    (source / "plugin_for_tests" / "__init__.py").write_text(LOUD)
    (source / "plugin_for_tests" / "inner" / "__init__.py").write_text(LOUD)
    templates.write("algorithm", source / "plugin_for_tests" / "inner" / "method.py", "their-method")
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*pip, "--target", str(target), str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def path(installed: Path, environment: dict[str, str]) -> dict[str, str]:
    """An environment in which Python has the package on its path."""
    return environment | {
        "PYTHONPATH": os.pathsep.join([str(installed), *filter(None, [environment.get("PYTHONPATH")])])
    }


def test_an_installed_algorithm_is_listed_with_its_own_words_and_not_imported(
    path: dict[str, str], tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "from ssl_video.registry import algorithms\n"
        "print(algorithms.describe()['their-method'])\n"
        "assert not {'torch', 'plugin_for_tests'} & set(sys.modules)\n"
    )
    process = start_python(path, "-c", code, cwd=tmp_path)
    stdout, stderr = process.communicate()
    assert (process.returncode, stdout) == (0, f"{LINE} (from plugin_for_tests.inner.method)\n"), stderr
    shown = call_process(path, "list", "algorithms", cwd=tmp_path)
    assert f"their-method  {LINE}" in shown.stdout
    assert "the plugin was imported" not in shown.stderr


@pytest.mark.slow
def test_an_installed_algorithm_is_benchmarked(path: dict[str, str], dataset: Path, tmp_path: Path) -> None:
    small = ("--protocol", "per-class:2", "--seeds", "1", "--no-baseline", *TINY)
    done = call_process(path, "bench", "--data", dataset, "--algo", "their-method", *small, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    board = pd.read_csv(tmp_path / "ssl-video-results" / "leaderboard.csv")
    assert board["algorithm"].tolist() == ["their-method"]


@pytest.mark.slow
def test_an_installed_algorithm_is_checked_and_has_a_page(
    installed: Path, call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(installed)
    checked = call("algorithm", "check", "their-method", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    done = call("algorithm", "page", "their-method", "-o", "their.md", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "their.md").read_text()
    assert "# TheirMethod: what it does, in one line.\n" in text
    assert "<!-- generated: ssl-video algorithm page their-method -->" in text


def test_a_file_is_listed(call: Call, tmp_path: Path) -> None:
    templates.write("algorithm", tmp_path / "mine.py")
    shown = call("list", "mine.py", cwd=tmp_path)
    assert shown.stdout.split() == ["algorithms", "mine.py:mine", *LINE.split()]
    wrong = call("list", "algoritms", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "did you mean algorithms?" in wrong.stderr
