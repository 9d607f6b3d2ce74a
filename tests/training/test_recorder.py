import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from ssl_video.runs.folder import METRICS
from ssl_video.runs.jsonl import Records
from ssl_video.training.distributed import Processes
from ssl_video.training.execution import Execution
from ssl_video.training.recorder import Ratio, Recorder

ALONE = Processes(Execution("cpu"))


def write(records: Records, start: int, stop: int) -> None:
    """A run's part from step `start` to `stop`, as the training loop writes it."""
    recorder = Recorder(records, ALONE)
    for step in range(start, stop):
        recorder.step(step, 0.1, {"loss/labeled": Ratio(torch.tensor(step / 4))})
    recorder.flush()


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def test_lines(tmp_path: Path) -> None:
    recorder = Recorder(Records(tmp_path), ALONE)
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


def resumed(folder: Path, marks: Mapping[str, Any] | None, said: list[str]) -> Records:
    """The records of a run that goes on from a checkpoint with these marks."""
    records = Records(folder)
    records.warn = said.append
    records.resume([METRICS], marks)
    return records


@pytest.fixture
def marks(tmp_path: Path) -> dict[str, Any]:
    """The marks after four of six steps of a run that was killed then."""
    records = Records(tmp_path)
    write(records, 0, 4)
    found = records.state()
    write(records, 4, 6)
    return found


def test_a_resumed_run_drops_the_lines_after_its_checkpoint(tmp_path: Path, marks: dict[str, Any]) -> None:
    straight, said = (tmp_path / METRICS).read_bytes(), list[str]()
    for start, checkpoint in ((4, marks), (0, {})):
        records = resumed(tmp_path, checkpoint, said)
        write(records, start, 6)
        assert (tmp_path / METRICS).read_bytes() == straight
        assert records.damaged() == said == []


def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path, marks: dict[str, Any]) -> None:
    whole = (tmp_path / METRICS).read_bytes()
    (tmp_path / METRICS).write_bytes(whole[:-20])
    write(resumed(tmp_path, marks, []), 4, 6)
    assert (tmp_path / METRICS).read_bytes() == whole


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [],
        lambda lines: lines[1:],
        lambda lines: [lines[0], *lines],
        lambda lines: [lines[0], b"[1, 2]\n", *lines[2:]],
        lambda lines: [b"\xff" + lines[0][1:], *lines[1:]],
        lambda lines: [lines[0].replace(b"0.1", b"0.2"), *lines[1:]],
    ],
)
def test_a_record_that_is_not_as_it_was_written_begins_anew(
    tmp_path: Path, marks: dict[str, Any], damage: Callable[[list[bytes]], list[bytes]]
) -> None:
    """It is used whole or not at all, and stays marked over later checkpoints."""
    path, said = tmp_path / METRICS, list[str]()
    path.write_bytes(b"".join(damage(path.read_bytes().splitlines(keepends=True))))
    records = resumed(tmp_path, marks, said)
    write(records, 4, 5)
    assert [row["step"] for row in rows(tmp_path)] == [4]
    assert len(said) == 1
    assert "metrics.jsonl was changed or removed" in said[0]
    later = resumed(tmp_path, records.state(), said)
    write(later, 5, 6)
    assert [row["step"] for row in rows(tmp_path)] == [4, 5]
    assert later.damaged() == [METRICS]
    assert len(said) == 1


def test_a_file_that_goes_while_the_run_is_under_way_is_noticed(tmp_path: Path) -> None:
    records, said = Records(tmp_path), list[str]()
    records.warn = said.append
    write(records, 0, 2)
    (tmp_path / METRICS).unlink()
    write(records, 2, 3)
    write(records, 3, 4)
    assert [row["step"] for row in rows(tmp_path)] == [2, 3]
    assert len(said) == 1
    assert records.damaged() == [METRICS]


def test_what_was_changed_before_the_end_is_noticed(tmp_path: Path) -> None:
    records = Records(tmp_path)
    write(records, 0, 2)
    assert records.damaged() == []
    path = tmp_path / METRICS
    path.write_text(path.read_text().replace('"step": 1', '"step": 7'))
    assert records.damaged() == [METRICS]


def test_checkpoints_of_older_versions_have_no_marks(tmp_path: Path, marks: dict[str, Any]) -> None:
    said = list[str]()
    assert resumed(tmp_path, None, said).damaged() == [METRICS]
    assert len(said) == 1
    assert not (tmp_path / METRICS).exists()
    assert resumed(tmp_path, None, said).damaged() == []


def test_what_is_not_finite_is_null_and_the_first_loss_of_these_is_reported(tmp_path: Path) -> None:
    one, nan, inf = (Ratio(torch.tensor(value)) for value in (1.0, float("nan"), float("inf")))
    recorder = Recorder(Records(tmp_path), ALONE)
    recorder.step(0, 0.1, {"loss/a": one, "precision/model": nan})
    assert recorder.flush() is None
    recorder.step(1, 0.1, {"loss/a": one, "loss/b/c": inf})
    recorder.step(2, 0.1, {"loss/a": nan, "loss/b/c": nan})
    assert recorder.flush() == (1, "b/c")
    assert [list(row.values())[2:] for row in rows(tmp_path)] == [[1.0, None], [1.0, None], [None, None]]
