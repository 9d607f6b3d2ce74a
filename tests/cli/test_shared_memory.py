"""A container with little shared memory: a run with loading processes fits in, or ends with one sentence."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.command_line import TINY_STEP, results

pytestmark = pytest.mark.slow
_SECONDS = 300.0  # a run that waited for its batches for ever would take all of them
# Four labeled clips and two views of four unlabeled ones, each of 4 frames of 16 pixels: 144 KiB a batch.
RUN = ("--protocol", "per-class:2", "--steps", "60", *TINY_STEP, "--workers", "2")
FILLING = '''import contextlib, multiprocessing
from ssl_video import algorithm
from ssl_video.algorithms.fixmatch import FixMatch

@algorithm("filling")
class Filling(FixMatch):
    """FixMatch beside a program that takes all the shared memory."""

    def loss(self, batch, progress):
        # Operations are counted before the loader starts.
        if multiprocessing.active_children():
            with contextlib.suppress(OSError), open("/dev/shm/other", "ab", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        return super().loss(batch, progress)
'''
Train = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def train(environment: dict[str, str], dataset: Path, tmp_path: Path) -> Train:
    """`ssl-video train` with so many KiB of shared memory."""

    def inside(size: int, *command: object) -> list[str]:
        mount = f'mount -t tmpfs -o size={size}k tmpfs /dev/shm && exec "$@"'
        return ["unshare", "-m", "sh", "-c", mount, "sh", *map(str, command)]

    if shutil.which("unshare") is None or subprocess.run(inside(64, "true"), check=False).returncode:
        pytest.skip("a /dev/shm of its own needs rights that this user does not have")
    return lambda size, algorithm: subprocess.run(
        inside(
            size, sys.executable, "-m", "ssl_video", "train", "--data", dataset, "--algo", algorithm, *RUN
        ),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )


def test_a_run_fits_into_little_shared_memory(train: Train, tmp_path: Path) -> None:
    """With four batches ahead of each process it would not."""
    done = train(1200, "fixmatch")
    assert done.returncode == 0, done.stderr
    assert len(results(tmp_path)) == 1


def test_too_little_shared_memory_is_told(train: Train) -> None:
    done = train(400, "fixmatch")
    assert done.returncode == 1
    assert "2 loading processes need 1.1 MiB of shared memory for batches of 0.1 MiB" in done.stderr


def test_shared_memory_that_others_take_is_told(train: Train, tmp_path: Path) -> None:
    (tmp_path / "filling.py").write_text(FILLING)
    done = train(4096, "filling.py:filling")
    assert done.returncode == 1
    assert "no room is left in the shared memory /dev/shm" in done.stderr
