"""No process outlives the one that started it, however that one ended."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.command_line import TINY_STEP, start, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has other processes"),
]
# Waits in every step and says in which process; a run reports every 20 steps.
WAITING = '''import os, pathlib, time
from ssl_video import algorithm
from ssl_video.algorithms.fixmatch import FixMatch

@algorithm("waiting")
class Waiting(FixMatch):
    """FixMatch that waits."""

    def loss(self, batch, progress):
        pathlib.Path(f"run-{os.getpid()}").touch()
        time.sleep(0.5)
        return super().loss(batch, progress)
'''
_LONG = 60.0  # seconds; a process that is left over stays for ever


def begun(
    environment: dict[str, str], dataset: Path, folder: Path
) -> tuple["subprocess.Popen[str]", list[int]]:
    """Start a benchmark of two runs with a loading process each; return it and the numbers of its runs."""
    (folder / "waiting.py").write_text(WAITING)
    bench = start(
        environment,
        *("bench", "--data", dataset, "--algo", "waiting.py:waiting", "--protocol", "per-class:2"),
        *("--no-baseline", "--seeds", 2, "--jobs", 2, "--workers", 1, "--steps", 10**6, *TINY_STEP),
        cwd=folder,
    )
    wait_for(lambda: len(list(folder.glob("run-*"))) == 2, bench)
    runs = [int(file.name.removeprefix("run-")) for file in folder.glob("run-*")]
    # A server of processes, and a loading process that it has started.
    wait_for(lambda: all(len(descendants(run)) >= 2 for run in runs), bench)
    return bench, runs


def descendants(process: int) -> set[int]:
    """Return the numbers of all processes that a process has started, and of those that they started."""
    lines = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    parents = [tuple(map(int, line.split())) for line in lines.stdout.splitlines()]
    found = {process}
    while more := {number for number, parent in parents if parent in found} - found:
        found |= more
    return found - {process}


def alive(processes: set[int]) -> set[int]:
    """Return those of some processes that have not ended; one that nobody waits for has ended."""
    lines = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=True)
    states = dict(line.split()[:2] for line in lines.stdout.splitlines())
    return {number for number in processes if not states.get(str(number), "Z").startswith("Z")}


def assert_all_end(processes: set[int]) -> None:
    deadline = time.monotonic() + _LONG
    while (left := alive(processes)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not left


def end(bench: "subprocess.Popen[str]", processes: set[int]) -> None:
    for number in {bench.pid} | processes | descendants(bench.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    bench.communicate()


def test_a_killed_benchmark_leaves_no_process(
    dataset: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    bench, runs = begun(environment, dataset, tmp_path)
    started = descendants(bench.pid)
    try:
        assert started > set(runs)
        bench.kill()
        assert_all_end(started)
    finally:
        end(bench, started)


def test_a_killed_run_leaves_no_process(dataset: Path, environment: dict[str, str], tmp_path: Path) -> None:
    bench, (run, other) = begun(environment, dataset, tmp_path)
    started = descendants(run)
    try:
        os.kill(run, signal.SIGKILL)
        assert_all_end(started)
        assert alive({bench.pid, other}) == {bench.pid, other}
    finally:
        end(bench, started)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a server of processes")
def test_the_server_of_loading_processes_imports_little(
    dataset: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """What it imports delays the first batch, and its end after that of the run, by seconds."""
    bench, runs = begun(environment, dataset, tmp_path)
    started = descendants(bench.pid)
    try:
        lines = subprocess.run(
            ["ps", "-A", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True
        )
        commands = dict(line.split(maxsplit=1) for line in lines.stdout.splitlines())
        own = [commands.get(str(number), "") for run in runs for number in descendants(run)]
        assert any("ssl_video.data.loader" in command for command in own)
        assert not any("torch._dynamo" in command for command in own)
    finally:
        end(bench, started)
