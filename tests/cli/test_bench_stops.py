"""`ssl-video bench` when it is stopped or killed, when it crashes, and when it is not alone in its folder."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from helpers.command_line import TINY, Call, results, start, start_python, wait_for

pytestmark = pytest.mark.slow
RUN = ("bench", "--algo", "fixmatch", "--protocol", "per-class:2", "--seeds", "2", *TINY)
# While there is a file "slow" where its runs were started, they wait in every step and count it in "calls".
SLOW = '''import pathlib, time
from ssl_video import algorithm
from ssl_video.algorithms.fixmatch import FixMatch

@algorithm("slow")
class Slow(FixMatch):
    """FixMatch that waits."""

    def loss(self, batch, progress):
        if pathlib.Path("slow").exists():
            with open("calls", "a") as file:
                file.write(".")
            time.sleep(0.2)
        return super().loss(batch, progress)
'''
STEPS = 120


def steps_of(result: Path) -> list[int]:
    """Return the steps in the records of a run."""
    lines = (result.parent / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["step"] for line in lines]


def slow_runs(dataset: Path, folder: Path) -> tuple[object, ...]:
    """Return the arguments of a benchmark of two methods whose runs wait while there is a file "slow"."""
    (folder / "slow.py").write_text(SLOW)
    (folder / "slow").touch()
    more = ("--algo", "slow.py:slow", "--no-baseline", "--steps", STEPS, "--jobs", 2)
    return (*RUN[:1], "--data", dataset, *RUN[3:], *more)


def calls(folder: Path) -> int:
    """Count the steps that slow runs have begun."""
    file = folder / "calls"
    return file.stat().st_size if file.exists() else 0


def test_stopping_keeps_what_is_done_and_the_same_command_goes_on(
    dataset: Path, environment: dict[str, str], call: Call, tmp_path: Path
) -> None:
    """Stopped twice. The first time as a script's background job, which ignores Ctrl-C, with its runs."""
    arguments = slow_runs(dataset, tmp_path)
    background = start_python(
        environment, "-m", "ssl_video", *arguments, cwd=tmp_path, ignoring=(signal.SIGINT,)
    )
    wait_for(lambda: calls(tmp_path) > 4, background)
    os.killpg(background.pid, signal.SIGINT)  # as a terminal does: to every process
    # Each of the two would end after the step under way.
    before = calls(tmp_path)
    wait_for(lambda: calls(tmp_path) > before + 4, background)
    background.send_signal(signal.SIGTERM)
    assert_stopped(background, 75)

    foreground = start(environment, *arguments, cwd=tmp_path)
    before = calls(tmp_path)
    wait_for(lambda: calls(tmp_path) > before + 4, foreground)
    os.killpg(foreground.pid, signal.SIGINT)
    assert_stopped(foreground, 130)

    assert list(tmp_path.glob("ssl-video-results/runs/*/checkpoint.pt"))
    (tmp_path / "slow").unlink()
    again = call(*arguments, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "2 to resume from a checkpoint" in " ".join(again.stderr.split())
    assert [steps_of(result) for result in results(tmp_path)] == [list(range(STEPS))] * 2


def assert_stopped(process: "subprocess.Popen[str]", status: int) -> None:
    """Wait for the end of a benchmark that was stopped, and check what it says."""
    _, stderr = process.communicate()
    assert process.returncode == status, stderr
    assert "the same command resumes" in stderr
    assert "Traceback" not in stderr


def test_two_processes_share_a_folder(
    dataset: Path, environment: dict[str, str], call: Call, tmp_path: Path
) -> None:
    """A second benchmark starts while the first one's runs are under way, and carries out none of these."""
    arguments = (*slow_runs(dataset, tmp_path), "--jobs", 1)
    process = start(environment, *arguments, cwd=tmp_path)
    wait_for(lambda: calls(tmp_path) > 4, process)
    (tmp_path / "slow").unlink()
    here = call(*arguments, cwd=tmp_path)
    _, stderr = process.communicate()
    assert (here.returncode, process.returncode) == (0, 0), here.stderr + stderr
    assert len(pd.read_csv(tmp_path / "ssl-video-results" / "leaderboard.csv")) == 2
    # A run that both had trained would have its steps twice.
    assert [steps_of(result) for result in results(tmp_path)] == [list(range(STEPS))] * 2


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


def test_a_run_that_is_killed_once_goes_on_by_itself(dataset: Path, call: Call, tmp_path: Path) -> None:
    """To the same weights as without that: the records are those of every step, once."""
    once = f'os.path.exists("{tmp_path}/mark") and not os.remove("{tmp_path}/mark")'
    (tmp_path / "mark").touch()
    (tmp_path / "killed.py").write_text(KILLED.format(condition=once))
    done = call(*RUN, "--data", dataset, "--algo", "killed.py:killed", "--seeds", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("resuming once from its last checkpoint") == 1
    killed = next(file for file in results(tmp_path) if file.parent.name.startswith("killed"))
    lines = (killed.parent / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(6))


def test_a_run_that_is_killed_again_is_reported_and_the_others_finish(
    dataset: Path, call: Call, tmp_path: Path
) -> None:
    (tmp_path / "killed.py").write_text(KILLED.format(condition=True))
    done = call(*RUN, "--data", dataset, "--algo", "killed.py:killed", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("resuming once from its last checkpoint") == 2
    assert done.stderr.count("failed killed") == 2
    assert "killed by SIGKILL" in done.stderr
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
