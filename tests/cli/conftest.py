"""A small real dataset, and two ways to call the command line on it."""

import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.command_line import TINY, Call, call_here, call_process
from helpers.sharing import shared


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """Two classes of eight training and four test clips, in train/ and test/ folders. For reading only."""

    def make(folder: Path) -> None:
        for part, count in (("train", 8), ("test", 4)):
            for label, name in enumerate(("dark", "light")):
                for clip in range(count):
                    path = folder / part / name / f"{clip}.mp4"
                    make_video(
                        path, 12, 20, 24, codec="libx264", pixels="yuv420p", label=2 * label, clip=clip % 6
                    )

    return shared(tmp_path_factory, "brightness", make)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return os.environ | {"SSL_VIDEO_CACHE": str(tmp_path_factory.mktemp("cache")), "COLUMNS": "100"}


@pytest.fixture(scope="session")
def call(environment: dict[str, str]) -> Call:
    """Run `ssl-video ARGUMENTS` in this process, in a folder."""
    return functools.partial(call_here, environment)


@pytest.fixture(scope="session")
def process(environment: dict[str, str]) -> Call:
    """Run `ssl-video ARGUMENTS` in a process of its own, in a folder."""
    return functools.partial(call_process, environment)


@pytest.fixture(scope="session")
def bench(dataset: Path, call: Call, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which FixMatch was benchmarked: two methods, two seeds. Each process has a copy."""

    def make(folder: Path) -> None:
        flags = ("--algo", "fixmatch", "--protocol", "per-class:2", "--seeds", "2", *TINY)
        done = call("bench", "--data", dataset, *flags, cwd=folder)
        assert done.returncode == 0, done.stderr
        (folder / "stdout.txt").write_text(done.stdout)

    made = shared(tmp_path_factory, "benchmark", make)
    return Path(shutil.copytree(made, tmp_path_factory.mktemp("bench") / "copy"))


@pytest.fixture(scope="session")
def run(bench: Path) -> Path:
    """The folder of a finished FixMatch run."""
    return sorted((bench / "ssl-video-results" / "runs").glob("fixmatch-*"))[0]
