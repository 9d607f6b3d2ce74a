"""Runs under way, from records that are being written."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from filelock import Timeout
from helpers.records import record, write_into

from ssl_video.benchmarks.running import watch
from ssl_video.cli.watch import command
from ssl_video.errors import InputError
from ssl_video.runs.lock import is_locked, lock_folder


def line(step: int, **values: float | None) -> str:
    return json.dumps({"step": step, **values}) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "results/runs/one"
    folder.mkdir(parents=True)
    (folder / "spec.yaml").write_text(yaml.safe_dump({"algorithm": "x", "steps": 4}))
    return folder


def append(folder: Path, text: str) -> None:
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(text)


def test_a_run_is_followed_line_by_line(folder: Path) -> None:
    (run,) = watch.runs(folder)
    assert list(run.refresh()) == []
    assert run.state == "waiting"
    append(folder, line(0, loss=2.0) + line(1, loss=1.5)[:-4])
    assert [row["step"] for row in run.refresh()] == [0]  # the second line is being written
    append(folder, line(1, loss=1.5)[-4:] + line(2, loss=None))
    assert [row["step"] for row in run.refresh()] == [1, 2]
    assert (run.step, run.steps, run.state) == (3, 4, "running")
    assert run.curves == {"loss": [(0, 2.0), (1, 1.5)]}  # what was not finite leaves a gap
    assert list(run.refresh()) == []


def test_a_resumed_run_drops_steps(folder: Path) -> None:
    (run,) = watch.runs(folder)
    append(folder, line(0, loss=2.0) + line(1, loss=1.5) + line(2, loss=1.0))
    list(run.refresh())
    (folder / "metrics.jsonl").write_text(line(0, loss=2.0) + line(1, loss=1.25))
    list(run.refresh())
    assert run.curves == {"loss": [(0, 2.0), (1, 1.25)]}


@pytest.mark.parametrize(
    "text",
    [
        *('{"run": "x"', "[]", "3", "{}", '{"run": "x"}', "\udcff"),
        json.dumps(record(run="one", top1=2)),
    ],
    ids=["cut", "list", "number", "nothing", "name alone", "no text", "wrong"],
)
def test_a_damaged_result_is_none(folder: Path, text: str) -> None:
    (run,) = watch.runs(folder)
    (folder / "result.json").write_bytes(text.encode(errors="surrogateescape"))
    append(folder, line(0, loss=2.0))
    assert [row["step"] for row in run.refresh()] == [0]
    assert run.result is None
    shown = CliRunner().invoke(command, [str(folder), "--once"])
    assert shown.exit_code == 0, shown.exception
    assert "finished" not in shown.output


def test_silence_is_taken_for_a_stop_and_a_result_for_the_end(folder: Path) -> None:
    (run,) = watch.runs(folder)
    append(folder, line(0, loss=2.0))
    ago = time.time() - 1000
    os.utime(folder / "metrics.jsonl", (ago, ago))
    list(run.refresh())
    assert run.state == "stopped"
    write_into(folder)
    list(run.refresh())
    assert run.state == "finished"


HOLD = """
import sys, time
from pathlib import Path
from ssl_video.runs.lock import lock_folder
with lock_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_killed_run_of_this_machine_is_stopped_at_once(folder: Path) -> None:
    """Its last record is new; and while its process lives, an old one does not make it stopped."""
    (run,) = watch.runs(folder)
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert run.state == "waiting"
        append(folder, line(0, loss=2.0))
        ago = time.time() - 1000
        os.utime(folder / "metrics.jsonl", (ago, ago))
        list(run.refresh())
        assert run.state == "running"
        process.kill()
    os.utime(folder / "metrics.jsonl")
    list(run.refresh())
    assert run.state == "stopped"


def test_a_lock_of_another_machine_says_nothing(folder: Path) -> None:
    (run,) = watch.runs(folder)
    with lock_folder(folder):
        pass
    append(folder, line(0, loss=2.0))
    list(run.refresh())
    assert run.state == "stopped"
    (folder / ".machine").write_text("another")
    assert run.state == "running"


def test_looking_does_not_take_a_run(folder: Path) -> None:
    with lock_folder(folder):
        assert is_locked(folder)
        with pytest.raises(Timeout), lock_folder(folder):
            pass
    assert is_locked(folder) is False
    with lock_folder(folder):
        pass


def test_all_runs_of_a_results_folder(folder: Path) -> None:
    other = folder.parent / "two"
    other.mkdir()
    (other / "spec.yaml").write_text("steps: 9\n")
    (folder.parent / "no-run").mkdir()
    assert [(run.folder.name, run.steps) for run in watch.runs(folder.parents[1])] == [("one", 4), ("two", 9)]
    (other / "spec.yaml").write_text("steps: [")
    # It does not hide the others, and is told to those who ask for it alone.
    assert [(run.folder.name, run.steps) for run in watch.runs(folder.parents[1])] == [("one", 4), ("two", 0)]
    with pytest.raises(InputError, match=r"spec\.yaml is not valid YAML"):
        watch.runs(other)


def test_a_place_without_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no run in .*: expected a run's folder"):
        watch.runs(tmp_path)


def test_sparkline() -> None:
    """Eight values in four parts: means 0.5, 2.5, 4.5, 6.5 of span 6 -> bars 0, 7/3, 14/3, 7."""
    assert watch.sparkline([(step, float(step)) for step in range(8)], width=4) == "▁▃▅█"
    assert watch.sparkline([(0, 3.0), (1, 3.0)]) == "▁▁"
    assert watch.sparkline([]) == ""


def test_tensorboard_gets_curves_and_final_accuracies(folder: Path) -> None:
    written: list[tuple[str, float, int]] = []

    class Writer:
        def add_scalar(self, tag: str, value: float, step: int) -> None:
            written.append((tag, value, step))

    (run,) = watch.runs(folder)
    append(folder, line(0, loss=2.0, coverage=None))
    watch.to_tensorboard(run.refresh(), Writer())
    assert written == [("loss", 2.0, 0)]
    write_into(folder, predictors={"model": {"top1": 0.5, "top5": 1.0, "mean_class": 0.25}})
    watch.to_tensorboard(run.refresh(), Writer())
    assert written[1:] == [
        *(("test/top1/model", 0.5, 4), ("test/top5/model", 1.0, 4), ("test/mean_class/model", 0.25, 4)),
    ]
    watch.to_tensorboard(run.refresh(), Writer())
    assert len(written) == 4  # once is enough
