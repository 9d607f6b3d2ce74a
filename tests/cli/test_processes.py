"""Every command as a process of its own does and says what it does and says in the process of the tests."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.command_line import TINY, Call

from ssl_video.cli import _COMMANDS

Arguments = Callable[[Path, Path], list[object]]
# By command: the arguments, from a folder of class folders and the folder of a finished run.
COMMANDS: dict[str, Arguments] = {
    "audit": lambda _, run: [run, "--windows", 2],
    "cache": lambda data, _: [data, "--size", 16],
    "check": lambda *_: ["supervised", "--only", "imports"],
    "compare": lambda _, run: [run, run],
    "dynamics": lambda _, run: [run, "--json"],
    "evaluate": lambda _, run: [run, "--json"],
    "index": lambda data, _: [data, "-o", "index.arrow"],
    "leaderboard": lambda *_: ["--format", "csv"],
    "list": lambda *_: ["algorithms"],
    "new": lambda *_: ["backbone", "net.py"],
    "page": lambda *_: ["supervised"],
    "predict": lambda data, run: [run, data / "test/dark/0.mp4", "--json"],
    "report": lambda *_: ["-o", "report"],
    "speed": lambda data, _: ["step", "--data", data, "--protocol", "per-class:2", "--repeat", 2, *TINY[2:]],
    "split": lambda _, run: ["show", run / "partition.txt"],
    "views": lambda data, _: [data / "test/dark/0.mp4", "--size", 16, "--output", "views.png"],
    "watch": lambda _, run: [run, "--once"],
}
# They say how long they took.
TIMED = {"cache", "check"}
# They take seconds of their own, not only to start; other tests call them in this process.
SLOW = {"dynamics", "page", "report", "speed"}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_process_of_its_own(name: str, bench: Path, dataset: Path, call: Call, process: Call) -> None:
    arguments = COMMANDS[name](dataset, sorted((bench / "ssl-video-results/runs").glob("fixmatch-*"))[0])
    there = process(name, *arguments, cwd=bench)
    assert there.returncode == 0, there.stderr
    if name in SLOW:
        return
    if name == "new":
        (bench / "net.py").unlink()
    here = call(name, *arguments, cwd=bench)
    assert here.returncode == 0, here.stderr
    if name not in TIMED:
        assert there.stdout == here.stdout


def test_no_command_is_left_out() -> None:
    """The rest is started by test_bench_stops.py, test_doctor.py and tests/engine/test_launch.py."""
    assert {*COMMANDS, "bench", "doctor", "train"} == set(_COMMANDS)
