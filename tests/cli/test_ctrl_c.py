"""Ctrl-C ends every command while files are decoded, at once: nothing waits for the ends of files."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.command_line import TINY, start
from helpers.leftovers import Leftovers
from helpers.videos import KINDS
from helpers.videos import encode as textured

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]
# A guard against commands that never end; they take one or two seconds on an idle machine.
_SECONDS = 30.0
_FRAMES = 200
Arguments = Callable[[Path, Path], list[object]]
TRAINED = ("--algo", "fixmatch", "--protocol", "per-class:1", *TINY)
COMMANDS: dict[str, Arguments] = {
    "train": lambda videos, _: ["--data", videos, *TRAINED],
    "bench": lambda videos, _: ["--data", videos, *TRAINED, "--seeds", 2, "--jobs", 2],
    "evaluate": lambda videos, run: [run, "--data", videos],
    "predict": lambda videos, run: [run, videos / "test"],
    "suggest": lambda videos, run: [run, videos / "test", "-o", "clips"],
    "features": lambda videos, run: [run, videos / "test", "-o", "features.npz"],
    "data doctor": lambda videos, _: [videos],
    "data cache": lambda videos, _: [videos, "--size", 112],
}


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of files that take a while to decode, each with another content."""
    folder = tmp_path_factory.mktemp("long")
    content = textured(folder / "a.mp4", KINDS["h264"]._replace(size=(480, 640)), _FRAMES).read_bytes()
    for number, (part, label, clip) in enumerate(
        (part, label, clip) for part in ("train", "test") for label in ("dark", "light") for clip in range(8)
    ):
        path = folder / "videos" / part / label / f"{clip}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content + bytes(number + 1))
    return folder / "videos"


@pytest.fixture
def left() -> Iterator[Leftovers]:
    found = Leftovers()
    yield found
    found.end()


@pytest.mark.parametrize("name", COMMANDS)
def test_ctrl_c_ends_a_command_that_decodes(
    name: str, videos: Path, run: Path, environment: dict[str, str], left: Leftovers, tmp_path: Path
) -> None:
    own = environment | left.environment | {"SSL_VIDEO_CACHE": str(tmp_path / "cache")}
    process = start(own, *name.split(), *COMMANDS[name](videos, run), cwd=tmp_path)
    try:
        while process.poll() is None and not left.reads(".mp4"):
            time.sleep(0.02)
        assert process.poll() is None, process.communicate()
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=_SECONDS)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    assert stderr.rstrip().endswith("stopped")
    assert "Traceback" not in stderr
    assert left.left() == []
    assert not list(tmp_path.rglob("*.part"))
