"""Every command prints the same as a process of its own and in the process of the tests."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.command_line import TINY_STEP, Call

from ssl_video.cli import COMMANDS as TOP
from ssl_video.cli import GROUPS


def _labels(run: Path) -> Path:
    """A table of labels, beside the files of a run."""
    (run / "labels.csv").write_text("path,label\na.mp4,dark\n")
    return run / "labels.csv"


Arguments = Callable[[Path, Path], list[object]]
# By command: the arguments, from a folder of class folders and the folder of a finished run.
COMMANDS: dict[str, Arguments] = {
    "analyze audit": lambda _, run: [run, "--windows", 2],
    "data cache": lambda data, _: [data, "--size", 16],
    "algorithm check": lambda *_: ["supervised", "--only", "imports"],
    "analyze compare": lambda _, run: [run, run],
    "analyze dynamics": lambda _, run: [run, "--json"],
    "evaluate": lambda _, run: [run, "--json"],
    "export": lambda _, run: [run, "-o", "model.pt2"],
    "features": lambda data, run: [run, data / "test", "-o", "features.npz"],
    "doctor": lambda _, run: [run.parents[1], "--cache", run.parent],
    "data index": lambda data, _: [data, "-o", "index.arrow"],
    "data labels": lambda data, run: [
        _labels(run),
        "-o",
        "tasks.json",
        "--to",
        "label-studio",
        "--overwrite",
    ],
    "leaderboard": lambda *_: ["--format", "csv"],
    "list": lambda *_: ["algorithms"],
    "algorithm new": lambda *_: ["method.py"],
    "backbone new": lambda *_: ["net.py"],
    "algorithm page": lambda *_: ["supervised"],
    "predict": lambda data, run: [run, data / "test/dark/0.mp4", "--json"],
    "report": lambda *_: ["-o", "report"],
    "analyze speed": lambda data, _: [
        "step",
        "--data",
        data,
        "--protocol",
        "per-class:2",
        "--repeat",
        2,
        *TINY_STEP,
    ],
    "data partition": lambda _, run: ["show", run / "partition.txt"],
    "suggest": lambda _, run: [run, "--number", 2],
    "data views": lambda data, _: [data / "test/dark/0.mp4", "--size", 16, "--output", "views.png"],
    "watch": lambda _, run: [run, "--once"],
}
# They say how long they took.
TIMED = {"data cache", "algorithm check"}
# They take seconds of their own, not only to start; other tests call them in this process.
SLOW = {"analyze dynamics", "algorithm page", "report", "analyze speed", "export"}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_process_of_its_own(name: str, bench: Path, dataset: Path, call: Call, process: Call) -> None:
    arguments = COMMANDS[name](dataset, sorted((bench / "ssl-video-results/runs").glob("fixmatch-*"))[0])
    there = process(*name.split(), *arguments, cwd=bench)
    assert there.returncode == 0, there.stderr
    if name in SLOW:
        return
    if name.endswith(" new"):
        (bench / arguments[0]).unlink()
    here = call(*name.split(), *arguments, cwd=bench)
    assert here.returncode == 0, here.stderr
    if name not in TIMED:
        assert there.stdout == here.stdout


def test_no_command_is_left_out() -> None:
    """The rest is started by test_bench_stops.py, test_doctor.py and tests/training/test_launch.py."""
    grouped = {f"{group} {name}" for group, (_, lines) in GROUPS.items() for name in lines}
    assert {*COMMANDS, "bench", "data doctor", "train"} == {*TOP, *grouped}
