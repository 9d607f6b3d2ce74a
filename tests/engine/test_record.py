import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from ssl_video.data.dataset import Data
from ssl_video.engine import record
from ssl_video.engine.assemble import resolve
from ssl_video.engine.processes import Execution, Processes
from ssl_video.engine.record import Ratio, Recorder
from ssl_video.engine.run import Plan, plan
from ssl_video.spec import build, plain, read_yaml

ALONE = Processes(Execution("cpu"))


def write(folder: Path, start: int, stop: int) -> None:
    """A run's part from step `start` to `stop`, as the training loop writes it."""
    recorder = Recorder(folder, start, ALONE)
    for step in range(start, stop):
        recorder.step(step, 0.1, {"loss/labeled": Ratio(torch.tensor(step / 4))})
    recorder.flush()


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / record.METRICS).read_text().splitlines()]


def test_lines(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, 0, ALONE)
    recorder.step(0, 1 / 3, {"loss/labeled": Ratio(torch.tensor(2 / 3, requires_grad=True))})
    recorder.step(1, 0.5, {"loss/labeled": Ratio(torch.tensor(0.5, dtype=torch.bfloat16))})
    assert list(tmp_path.iterdir()) == []
    assert recorder.flush() is None
    assert (tmp_path / record.METRICS).read_text() == (
        '{"step": 0, "learning_rate": 0.333333333, "loss/labeled": 0.666667}\n'
        '{"step": 1, "learning_rate": 0.5, "loss/labeled": 0.5}\n'
    )
    assert recorder.flush() is None
    assert len(rows(tmp_path)) == 2


def test_a_resumed_run_drops_the_lines_after_its_checkpoint(tmp_path: Path) -> None:
    write(tmp_path, 0, 6)
    straight = (tmp_path / record.METRICS).read_bytes()
    write(tmp_path, 4, 6)
    assert (tmp_path / record.METRICS).read_bytes() == straight
    write(tmp_path, 0, 6)
    assert (tmp_path / record.METRICS).read_bytes() == straight


def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    write(tmp_path, 0, 5)
    whole = (tmp_path / record.METRICS).read_bytes()
    (tmp_path / record.METRICS).write_bytes(whole[:-20])
    write(tmp_path, 4, 5)
    assert (tmp_path / record.METRICS).read_bytes() == whole


def test_lines_that_are_lost_do_not_take_others_along(tmp_path: Path) -> None:
    """Somebody removed the file between two parts of the run."""
    write(tmp_path, 0, 2)
    (tmp_path / record.METRICS).unlink()
    write(tmp_path, 2, 4)
    write(tmp_path, 4, 6)
    assert [row["step"] for row in rows(tmp_path)] == [2, 3, 4, 5]


def test_what_is_not_finite_is_null_and_the_first_loss_of_these_is_reported(tmp_path: Path) -> None:
    one, nan, inf = (Ratio(torch.tensor(value)) for value in (1.0, float("nan"), float("inf")))
    recorder = Recorder(tmp_path, 0, ALONE)
    recorder.step(0, 0.1, {"loss/a": one, "precision/model": nan})
    assert recorder.flush() is None
    recorder.step(1, 0.1, {"loss/a": one, "loss/b/c": inf})
    recorder.step(2, 0.1, {"loss/a": nan, "loss/b/c": nan})
    assert recorder.flush() == (1, "b/c")
    assert [list(row.values())[2:] for row in rows(tmp_path)] == [[1.0, None], [1.0, None], [None, None]]


def test_a_result_exists_whole_or_not_at_all(tmp_path: Path) -> None:
    assert record.read_result(tmp_path) is None
    record.write_result(tmp_path, {"top1": 0.5})
    assert record.read_result(tmp_path) == {"top1": 0.5}
    for damaged in ('{"top1": ', "[]", "3"):
        (tmp_path / record.RESULT).write_text(damaged)
        assert record.read_result(tmp_path) is None


@pytest.mark.parametrize("algorithm", ["cmpl", "plugin"])
def test_a_written_specification_is_the_same_run(
    make_plan: Callable[..., Plan], data: Data, plugin: str, tmp_path: Path, algorithm: str
) -> None:
    made = make_plan(
        algorithm=plugin if algorithm == "plugin" else algorithm,
        options={} if algorithm == "plugin" else {"threshold": 0.7},
        seed=3,
        test_crops=3,
    )
    record.write_spec(tmp_path, plain(made.spec))
    spec = build(read_yaml(tmp_path / record.SPEC))
    again = plan(spec, data, torch.device("cpu"))
    assert plain(again.spec) == plain(made.spec)
    assert (again.name, again.configuration) == (made.name, made.configuration)
    # In the file nothing is left to defaults or to the machine.
    written = yaml.safe_load((tmp_path / record.SPEC).read_text())
    assert written["precision"] == "float32"
    assert written["options"]
    assert resolve(made.spec, torch.device("cpu")) == made.spec
