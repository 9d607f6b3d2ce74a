"""A results folder whose name is not UTF-8, as of an old disk: commands read its runs as any others."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from helpers.command_line import TINY, Call

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all names are in UTF-8")
NAME = os.fsdecode(b"r\xff")


@pytest.fixture(scope="module")
def odd(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in such a folder."""
    return shutil.copytree(run, tmp_path_factory.mktemp("odd") / NAME / "runs" / run.name)


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", "RUN", "--json"),
        ("predict", "RUN", "DATA/test/dark/0.mp4", "--json"),
        ("suggest", "RUN", "--number", 2, "-o", "suggested.csv"),
        pytest.param(("export", "RUN", "-o", "model.pt2"), marks=pytest.mark.slow, id="export"),
        ("analyze", "dynamics", "RUN", "--json"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_commands(
    arguments: tuple[object, ...], odd: Path, dataset: Path, call: Call, tmp_path: Path
) -> None:
    given = [str(word).replace("RUN", str(odd)).replace("DATA", str(dataset)) for word in arguments]
    done = call(*given, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_train(dataset: Path, call: Call, tmp_path: Path) -> None:
    flags = ("--protocol", "per-class:2", *TINY, "--results", NAME)
    done = call("train", "--data", dataset, "--algo", "supervised", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (made,) = (tmp_path / NAME / "runs").iterdir()
    assert (made / "result.json").exists()
