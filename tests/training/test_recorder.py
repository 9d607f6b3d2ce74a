import json
from pathlib import Path
from typing import Any

import torch

from ssl_video.runs.folder import METRICS
from ssl_video.training.distributed import Processes
from ssl_video.training.execution import Execution
from ssl_video.training.recorder import Ratio, Recorder

ALONE = Processes(Execution("cpu"))


def write(folder: Path, start: int, stop: int) -> None:
    """A run's part from step `start` to `stop`, as the training loop writes it."""
    recorder = Recorder(folder, start, ALONE)
    for step in range(start, stop):
        recorder.step(step, 0.1, {"loss/labeled": Ratio(torch.tensor(step / 4))})
    recorder.flush()


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def test_lines(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, 0, ALONE)
    recorder.step(0, 1 / 3, {"loss/labeled": Ratio(torch.tensor(2 / 3, requires_grad=True))})
    recorder.step(1, 0.5, {"loss/labeled": Ratio(torch.tensor(0.5, dtype=torch.bfloat16))})
    assert list(tmp_path.iterdir()) == []
    assert recorder.flush() is None
    assert (tmp_path / METRICS).read_text() == (
        '{"step": 0, "learning_rate": 0.333333333, "loss/labeled": 0.666667}\n'
        '{"step": 1, "learning_rate": 0.5, "loss/labeled": 0.5}\n'
    )
    assert recorder.flush() is None
    assert len(rows(tmp_path)) == 2


def test_a_resumed_run_drops_the_lines_after_its_checkpoint(tmp_path: Path) -> None:
    write(tmp_path, 0, 6)
    straight = (tmp_path / METRICS).read_bytes()
    write(tmp_path, 4, 6)
    assert (tmp_path / METRICS).read_bytes() == straight
    write(tmp_path, 0, 6)
    assert (tmp_path / METRICS).read_bytes() == straight


def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    write(tmp_path, 0, 5)
    whole = (tmp_path / METRICS).read_bytes()
    (tmp_path / METRICS).write_bytes(whole[:-20])
    write(tmp_path, 4, 5)
    assert (tmp_path / METRICS).read_bytes() == whole


def test_lines_that_are_lost_do_not_take_others_along(tmp_path: Path) -> None:
    """Somebody removed the file between two parts of the run."""
    write(tmp_path, 0, 2)
    (tmp_path / METRICS).unlink()
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
