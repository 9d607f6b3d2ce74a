"""`ssl-video bench` as a process that is stopped, killed, crashes, or is not alone in its folder."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from command_line import TINY, Call, results


def start(dataset: Path, environment: dict[str, str], folder: Path, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "ssl_video", "bench", "--data", str(dataset), "--algo", "fixmatch"]
    command += ["--protocol", "per-class:2", "--seeds", "2", *TINY, *more]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(condition: object, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while not condition():  # type: ignore[operator]
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_keeps_what_is_done_and_the_same_command_goes_on(
    number: signal.Signals, dataset: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    long = ("--steps", "400", "--jobs", "2")
    process = start(dataset, environment, tmp_path, *long)
    runs = tmp_path / "ssl-video-results" / "runs"
    wait_for(lambda: any(p.stat().st_size for p in runs.glob("*/metrics.jsonl")), process)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does: to every process
    else:
        process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else 75), stderr
    assert "the same command goes on" in stderr
    assert "Traceback" not in stderr
    assert list(runs.glob("*/checkpoint.pt"))
    process = start(dataset, environment, tmp_path, *long)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert len(results(tmp_path)) == 4
    for result in results(tmp_path):
        lines = (result.parent / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == list(range(400))


def test_two_processes_share_a_folder(dataset: Path, environment: dict[str, str], tmp_path: Path) -> None:
    both = [start(dataset, environment, tmp_path, "--steps", "60") for _ in range(2)]
    for process in both:
        _, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
    frame = pd.read_csv(tmp_path / "ssl-video-results" / "leaderboard.csv")
    assert len(frame) == 4
    for result in results(tmp_path):
        # A run that both had trained would have its steps twice.
        lines = (result.parent / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line)["step"] for line in lines] == list(range(60))


KILLED = '''import os, pathlib, signal
from ssl_video import algorithm
from ssl_video.algorithms.supervised import Supervised

@algorithm("killed")
class Killed(Supervised):
    """Ends its process as the system does when memory runs out."""

    def loss(self, batch, progress):
        if progress > 0.5 and {condition}:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().loss(batch, progress)
'''


def test_a_run_that_is_killed_once_goes_on_by_itself(
    dataset: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """To the same weights as without that: the records are those of every step, once."""
    once = f'os.path.exists("{tmp_path}/mark") and not os.remove("{tmp_path}/mark")'
    (tmp_path / "mark").touch()
    (tmp_path / "killed.py").write_text(KILLED.format(condition=once))
    process = start(dataset, environment, tmp_path, "--algo", "killed.py:killed", "--seeds", "1")
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert stderr.count("once more from its last checkpoint") == 1
    killed = next(file for file in results(tmp_path) if file.parent.name.startswith("killed"))
    lines = (killed.parent / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(6))


def test_a_run_that_is_killed_again_is_reported_and_the_others_finish(
    dataset: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "killed.py").write_text(KILLED.format(condition=True))
    process = start(dataset, environment, tmp_path, "--algo", "killed.py:killed")
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 1
    assert stderr.count("once more from its last checkpoint") == 2
    assert stderr.count("failed killed") == 2
    assert "killed by SIGKILL" in stderr
    assert len(results(tmp_path)) == 4  # fixmatch and supervised


def test_a_crash_in_an_algorithm_is_told_in_one_line_with_the_place_of_its_log(
    dataset: Path, call: Call, tmp_path: Path
) -> None:
    (tmp_path / "crash.py").write_text(
        '''from ssl_video import algorithm
from ssl_video.algorithms.supervised import Supervised

@algorithm("crash")
class Crash(Supervised):
    """Fails."""

    def loss(self, batch, progress):
        return open("prototypes.npy")
'''
    )
    done = call(
        *(
            "bench",
            "--data",
            dataset,
            "--algo",
            "crash.py:crash",
            "--protocol",
            "per-class:2",
            "--seeds",
            "1",
        ),
        *(*TINY, "--no-baseline"),
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "FileNotFoundError: [Errno 2] No such file or directory: 'prototypes.npy'" in done.stderr
    (log,) = tmp_path.glob("ssl-video-results/runs/*/log.txt")
    assert str(log.relative_to(tmp_path)) in done.stderr
    assert "Traceback" in log.read_text()
