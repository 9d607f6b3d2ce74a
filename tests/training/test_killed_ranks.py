"""One of two processes of torchrun is killed: the other ends with a sentence, and the run resumes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.command_line import OFTEN, TINY_STEP, start_python, wait_for
from helpers.leftovers import Leftovers, locked
from helpers.process_tree import kinds, parent
from helpers.resumed import TIMES

from ssl_video.runs.folder import CHECKPOINT, METRICS, PSEUDO_LABELS, WEIGHTS, RunFolder, finished_folders

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]
STEPS = 300
OTHERS = "another process of this run has ended"
# torchrun keeps a folder of logs. A command that is killed cannot remove Python's folder of sockets.
DOCUMENTED = ("file torchelastic_", "file pymp-")


@pytest.fixture
def left() -> Iterator[Leftovers]:
    found = Leftovers()
    yield found
    found.end()


def start(folder: Path, videos: Path, left: Leftovers) -> "subprocess.Popen[str]":
    (folder / "often.py").write_text(OFTEN)
    return start_python(
        os.environ | left.environment | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        *("-m", "torch.distributed.run", "--nproc-per-node", 2, "--standalone", "often.py", "train"),
        *("--data", videos, "--algo", "fixmatch", "--protocol", "per-class:2", "--steps", STEPS, *TINY_STEP),
        *("--test-clips", 1, "--workers", 1, "--threads", 1, "--device", "cpu"),
        cwd=folder,
    )


def ranks(launcher: int, left: Leftovers) -> dict[int, int]:
    """Return the numbers of the processes that torchrun has started, by rank."""
    found = dict[int, int]()
    for number in left.processes():
        values = Path(f"/proc/{number}/environ").read_bytes().decode().split("\0")
        own = [value.removeprefix("RANK=") for value in values if value.startswith("RANK=")]
        if own and parent(number) == launcher:
            found[int(own[0])] = number
    return found


def outcome(folder: Path) -> dict[str, object]:
    (run,) = finished_folders(folder / "ssl-video-results")
    return {
        **{name: (run.path / name).read_bytes() for name in (WEIGHTS, METRICS, PSEUDO_LABELS)},
        "result": RunFolder(run.path).result.model_dump(exclude=TIMES),
    }


@pytest.fixture(scope="module")
def straight(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder, left = tmp_path_factory.mktemp("straight"), Leftovers()
    process = start(folder, video_folder, left)
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    left.end()
    return outcome(folder)


@pytest.mark.parametrize(
    ("kind", "rank", "told"),
    [
        ("run", 0, ["seed 0: killed by SIGKILL", f"process 1 of the run failed: {OTHERS}"]),
        ("run", 1, ["process 1 of the run failed: killed by SIGKILL", f"seed 0: {OTHERS}"]),
        ("loader", 1, ["process 1 of the run failed: interrupted: a loading process", f"seed 0: {OTHERS}"]),
        ("command", 1, ["the same command resumes"]),
    ],
)
def test_the_other_process_ends_and_the_run_resumes(
    kind: str,
    rank: int,
    told: list[str],
    video_folder: Path,
    straight: dict[str, object],
    left: Leftovers,
    tmp_path: Path,
) -> None:
    process = start(tmp_path, video_folder, left)
    try:
        results = tmp_path / "ssl-video-results"
        wait_for(lambda: any(results.glob(f"runs/*/{CHECKPOINT}")), process)
        os.kill(kinds(ranks(process.pid, left)[rank], left)[kind][0], signal.SIGKILL)
        _, stderr = process.communicate()
    finally:
        process.kill()
    assert process.returncode == 1, stderr
    # The killed process is named. The other one says why it ends, or that torchrun stopped it before.
    cause, *others = told
    assert stderr.count(cause) == 1, stderr
    assert [stderr.count(sentence) + stderr.count("\nstopped\n") for sentence in others] == [1] * len(
        others
    ), stderr
    ours, _, of_torch = stderr.partition("ChildFailedError")
    assert of_torch
    assert ours.count("Traceback") == 1, stderr  # torchrun's own
    assert [what for what in left.left() if not what.startswith(DOCUMENTED)] == []
    assert locked(results) == []
    again = start(tmp_path, video_folder, left)
    _, stderr = again.communicate()
    assert again.returncode == 0, stderr
    assert "1 to resume from a checkpoint" in stderr
    assert outcome(tmp_path) == straight
