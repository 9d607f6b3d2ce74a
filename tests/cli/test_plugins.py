"""Algorithms of others: a file, and an installed package."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from command_line import TINY, Call

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


@pytest.fixture(scope="module")
def beside(installed: Path, environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run Python with the package on its path."""

    def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(installed), *filter(None, [os.environ.get("PYTHONPATH")])])
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=cwd, env=environment | {"PYTHONPATH": path}, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def test_an_installed_algorithm_is_listed_with_its_own_words_and_not_imported(
    beside: Call, tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "from ssl_video.registry import algorithms\n"
        "print(algorithms.describe()['their-method'])\n"
        "assert not {'torch', 'plugin_for_tests'} & set(sys.modules)\n"
    )
    done = beside("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{LINE} (from plugin_for_tests.inner.method)\n"
    shown = beside("-m", "ssl_video", "list", "algorithms", cwd=tmp_path)
    assert f"their-method  {LINE}" in shown.stdout
    assert "the plugin was imported" not in shown.stderr


def test_an_installed_algorithm_is_benchmarked(beside: Call, dataset: Path, tmp_path: Path) -> None:
    small = ("--protocol", "per-class:2", "--seeds", "1", "--no-baseline", *TINY)
    done = beside(
        "-m", "ssl_video", "bench", "--data", dataset, "--algo", "their-method", *small, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    board = pd.read_csv(tmp_path / "ssl-video-results" / "leaderboard.csv")
    assert board["algorithm"].tolist() == ["their-method"]


def test_an_installed_algorithm_is_checked_and_has_a_page(beside: Call, tmp_path: Path) -> None:
    checked = beside("-m", "ssl_video", "check", "their-method", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    done = beside("-m", "ssl_video", "page", "their-method", "-o", "their.md", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "their.md").read_text()
    assert "# TheirMethod: what it does, in one line.\n" in text
    assert "<!-- generated: ssl-video page their-method -->" in text


def test_a_file_is_listed(call: Call, tmp_path: Path) -> None:
    templates.write("algorithm", tmp_path / "mine.py")
    shown = call("list", "mine.py", cwd=tmp_path)
    assert shown.stdout.split() == ["algorithms", "mine.py:mine", *LINE.split()]
    wrong = call("list", "algoritms", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "did you mean algorithms?" in wrong.stderr
