"""Processes as they are really started: by the command line, by torchrun, and signalled by a scheduler."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.command_line import call_here, start_python, wait_for

from ssl_video.benchmarks.running import executors, run_queue
from ssl_video.benchmarks.running.executors import local
from ssl_video.data.dataset import load
from ssl_video.errors import InputError
from ssl_video.spec import build
from ssl_video.training import launch
from ssl_video.training.execution import Execution
from ssl_video.training.run import plan

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and processes as on a cluster")
SMALL = {
    "protocol": "per-class:2", "frames": 2, "stride": 2, "size": 8, "width": 0.25, "labeled_batch": 4,
    "unlabeled_batch": 4, "test_clips": 1,
}  # fmt: skip
TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "RANK": "5"}
SRUN = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_PROCID": "3"}
# What goes wrong in the second process's third step.
FAULTY = '''
import os
import signal

import torch
from torch.nn import functional as F
from ssl_video import Algorithm, LossOutput, algorithm


@algorithm("faulty")
class Faulty(Algorithm):
    """Supervised, but in the second process."""

    def __init__(self, task, model, *, fault: str):
        super().__init__()
        self.model, self.fault, self.calls = model, fault, 0

    def loss(self, batch, progress):
        self.calls += 1
        if self.calls == 3 and os.environ["LOCAL_RANK"] == "1":
            if self.fault == "memory":
                torch.empty(1 << 60)
            os.kill(os.getpid(), signal.SIGKILL)
        return LossOutput({"labeled": F.cross_entropy(self.model(batch.labeled["weak"]), batch.labels)})
'''


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("faulty") / "faulty.py"
    file.write_text(FAULTY)
    return f"{file}:faulty"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "message"), [("memory", "out of memory with 4+4 clips"), ("killed", "killed by SIGKILL")]
)
def test_an_error_in_one_process_ends_all_with_one_message(
    video_folder: Path, faulty: str, tmp_path: Path, fault: str, message: str
) -> None:
    spec = build(SMALL | {"data": str(video_folder), "algorithm": faulty, "options": {"fault": fault}})
    made = plan(spec, load(spec), torch.device("cpu"))
    events: list[executors.Event] = []
    execution = Execution("cpu", 1, checkpoint_seconds=0, devices=2, results=tmp_path / "results")
    # If the other process waited for the one that is gone, this would not end.
    failures = run_queue.execute(
        [made],
        execution.results,
        local.Local(execution),
        notify=lambda event: events.append(event) if event else None,
    )
    # What was killed is tried once more.
    again = ["started", "crashed"] if fault == "killed" else []
    assert [event.kind for event in events if event.kind != "moved"] == [*again, "started", "failed"]
    (failure,) = failures
    assert message in failure.reason
    assert (executors.folder(execution.results, made) / "checkpoint.pt").exists()


def test_jobs_take_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert local._devices(Execution("cuda"), 3) == ["cuda:0", "cuda:1", "cuda:0"]
    assert local._devices(Execution("cuda:1"), 2) == ["cuda:1", "cuda:1"]
    assert local._devices(Execution("cuda", devices=2), 1) == ["cuda"]
    assert local._devices(Execution("cpu"), 2) == ["cpu", "cpu"]


# -- from the command line


def flags(video_folder: Path, **values: object) -> list[str]:
    given = {**SMALL, "data": video_folder, "device": "cpu", "threads": 1, **values}
    return [part for key, value in given.items() for part in (f"--{key.replace('_', '-')}", str(value))]


def start(folder: Path, *arguments: object) -> "subprocess.Popen[str]":
    """Start `python ARGUMENTS`, one thread a process."""
    return start_python(os.environ | {"OMP_NUM_THREADS": "1"}, *arguments, cwd=folder)


def results(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in folder.glob("ssl-video-results/runs/*/result.json")]


@pytest.mark.slow
def test_torchrun(video_folder: Path, tmp_path: Path) -> None:
    """It says how many processes there are; the first one speaks for all."""
    launcher = ("-m", "torch.distributed.run", "--nproc-per-node", 2, "--standalone")
    process = start(tmp_path, *launcher, "-m", "ssl_video", "train", *flags(video_folder, steps=4))
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert "2 processes with 1 thread" in stderr
    assert (stdout.count("leaderboard:"), stderr.count("finished supervised")) == (1, 1)
    assert stdout.count("next:") == 1
    (result,) = results(tmp_path)
    assert result["environment"]["processes"] == 2


@pytest.mark.slow
def test_a_scheduler_signals_every_process_and_the_run_goes_on_later(
    video_folder: Path, tmp_path: Path
) -> None:
    """Two processes that train, each with one that loads, the one that shows, and the server of all."""
    given = flags(video_folder, steps=3000, devices=2, workers=1)
    process = start(tmp_path, "-m", "ssl_video", "train", *given)
    runs = tmp_path / "ssl-video-results" / "runs"
    wait_for(lambda: any(file.stat().st_size for file in runs.glob("*/metrics.jsonl")), process)
    os.killpg(process.pid, signal.SIGTERM)
    _, stderr = process.communicate()
    assert process.returncode == 75, stderr
    assert "Traceback" not in stderr
    assert "the same command resumes" in stderr
    (folder,) = runs.iterdir()
    saved = torch.load(folder / "checkpoint.pt", weights_only=True)["step"]
    # The last step is in the records, and none after it: both were written because of the signal.
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == saved < 3000
    log = (folder / "log.txt").read_text()
    assert "ssl_video" not in log, log
    again = ("train", "--resume", folder, "--device", "cpu", "--steps", 99)
    done = call_here(os.environ, *again, cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot be resumed with other settings: steps 3000, now 99" in done.stderr


def test_launchers_are_found() -> None:
    assert launch.detect(None, None, {}) == ("self", 1, 1)
    assert launch.detect(3, None, {}) == ("self", 3, 1)
    assert launch.detect(None, None, TORCHRUN) == ("torchrun", 4, 2)
    assert launch.detect(4, 2, TORCHRUN) == ("torchrun", 4, 2)
    assert launch.detect(None, None, SRUN) == ("slurm", 2, 2)
    # An allocation of several tasks in which this process was started without srun.
    assert launch.detect(None, None, {"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}) == ("self", 1, 1)


@pytest.mark.parametrize(
    ("asked", "environment", "message"),
    [
        ((2, None), TORCHRUN | {"WORLD_SIZE": "5"}, "torchrun started 5 processes, but --devices 2"),
        ((4, 1), TORCHRUN, "torchrun started 8 processes"),
        ((None, 2), {}, "--num-nodes: start one process per device"),
    ],
)
def test_numbers_that_do_not_fit_the_launcher(
    asked: tuple[int | None, int | None], environment: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        launch.detect(*asked, environment)


def test_ranks() -> None:
    assert launch.rank(Execution(launcher="torchrun", devices=4, num_nodes=2), TORCHRUN) == 5
    assert launch.rank(Execution(launcher="slurm", devices=2, num_nodes=2), SRUN) == 3
    assert launch.rank(Execution(devices=4, num_nodes=2), {"NODE_RANK": "1", "LOCAL_RANK": "2"}) == 6
    # Left over from something else.
    assert launch.rank(Execution(), {"LOCAL_RANK": "2", "NODE_RANK": "1"}) == 0
    two = Execution("cpu", devices=2)
    places = launch.places(two)
    assert [launch.rank(two, place) for place in places] == [0, 1]
    assert places[0]["MASTER_PORT"] == places[1]["MASTER_PORT"]
