"""The built wheel and sdist, from outside the checkout."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from helpers.paths import ROOT
from helpers.sharing import shared

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel (built from the sdist, as an installer would) and the sdist.

    A build writes into the checkout, so that there must be one at a time.
    """

    def build(out: Path) -> None:
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return shared(tmp_path_factory, "dist", build)


def test_the_wheel_puts_everything_under_one_name(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"ssl_video"}
    for name in (
        "ssl_video/py.typed",
        "ssl_video/annotation/page.html",
        "ssl_video/annotation/actions.js",
        "ssl_video/algorithms/cmpl.py",
        "ssl_video/backbones/tiny.py",
        "ssl_video/backbones/reference.csv",
        "ssl_video/benchmarks/suites/demo.yaml",
        "ssl_video/benchmarks/published.csv",
        "ssl_video/templates/algorithm.py",
    ):
        assert name in names


def test_the_wheel_holds_every_module(built: Path) -> None:
    """Also of a package that is new: setup.py finds them."""
    (wheel,) = built.glob("*.whl")
    names = {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}
    inside = ("algorithms", "backbones", "benchmarks")
    expected = {str(file.relative_to(ROOT)) for file in (ROOT / "ssl_video").rglob("*.py")}
    for folder in inside:
        expected |= {f"ssl_video/{file.relative_to(ROOT)}" for file in (ROOT / folder).rglob("*.py")}
    assert names == expected


def test_the_wheel_works_from_elsewhere(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = """
import sys
sys.path.insert(0, "site")
import ssl_video.algorithms.parts.passes, ssl_video.backbones, ssl_video.benchmarks.running.suite as suite
from ssl_video.registry import algorithms, backbones
modules = ssl_video.algorithms.parts.passes, ssl_video.backbones, suite
assert all(module.__file__.startswith(sys.argv[1]) for module in modules)
print(*suite.describe(), *algorithms.describe(), *backbones.describe())
algorithms.get("cmpl"), suite.load("demo")
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"demo", "cmpl", "fixmatch", "slow_r50", "tiny3d"} <= set(done.stdout.split())


def test_the_sdist_holds_what_the_tests_need(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "pyproject.toml", "algorithms/fixmatch.py", "tests/conftest.py"} <= names
