"""Every pseudo-label of a run: what is written, and that a killed run's file is that of one never killed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.numbers import close

from ssl_video.contract import Pseudo
from ssl_video.engine import pseudo_labels
from ssl_video.engine.processes import Execution, Processes
from ssl_video.engine.pseudo_labels import UNFINISHED, Keeper
from ssl_video.errors import InputError

ALONE = Processes(Execution("cpu"))
CLIPS, CLASSES, TRUTHS = ["a", "b", "c"], ["run", "jump"], np.array([1, 0, 1])


def given(labels: list[int], weights: list[float]) -> Pseudo:
    return Pseudo(torch.tensor(labels), torch.tensor(weights, requires_grad=True))


def note(folder: Path, start: int, stop: int) -> None:
    """Steps of two clips each; the auxiliary network begins with the second step."""
    keeper = Keeper(folder, start, ALONE)
    for step in range(start, stop):
        pseudo = {"primary": given([step % 2, 1], [1.0, 0.12345])}
        if step:
            pseudo["auxiliary"] = given([0, step % 2], [0.0, 1.0])
        keeper.note(step, torch.tensor([step % 3, 2]), pseudo)
    keeper.flush()


def test_a_line_holds_a_batch(tmp_path: Path) -> None:
    note(tmp_path, 0, 2)
    first, second = [json.loads(line) for line in (tmp_path / UNFINISHED).read_text().splitlines()]
    assert first == {
        "step": 0,
        "positions": [0, 2],
        "networks": {"primary": {"labels": [0, 1], "weights": [1.0, 0.1235]}},
    }
    assert list(second["networks"]) == ["primary", "auxiliary"]
    assert second["networks"]["auxiliary"] == {"labels": [0, 1], "weights": [0.0, 1.0]}


def test_a_resumed_file_is_the_uninterrupted_one(tmp_path: Path) -> None:
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    straight.mkdir()
    killed.mkdir()
    note(straight, 0, 6)
    note(killed, 0, 4)
    # Killed in the middle of a line, and the checkpoint is of step 2.
    with (killed / UNFINISHED).open("a") as file:
        file.write('{"step": 4, "posi')
    note(killed, 2, 6)
    assert (killed / UNFINISHED).read_bytes() == (straight / UNFINISHED).read_bytes()


def test_arrays_of_a_finished_run(tmp_path: Path) -> None:
    note(tmp_path, 0, 2)
    used = pseudo_labels.write(tmp_path, CLIPS, CLASSES, TRUTHS)
    assert used == {"primary": 1.0, "auxiliary": 0.25}
    made = pseudo_labels.read(tmp_path)
    assert made.clips.tolist() == CLIPS
    assert made.classes.tolist() == CLASSES
    assert made.truths.tolist() == [1, 0, 1]
    assert made.steps.tolist() == [0, 0, 1, 1]
    assert made.positions.tolist() == [0, 2, 1, 2]
    assert made.labels["primary"].tolist() == [0, 1, 1, 1]
    assert made.weights["primary"].tolist() == close([1, 0.1235, 1, 0.1235])
    # Where a network gave no label, none is used.
    assert made.labels["auxiliary"].tolist() == [-1, -1, 0, 1]
    assert made.weights["auxiliary"].tolist() == [0, 0, 0, 1]


def test_a_method_without_pseudo_labels_has_no_file(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path, 0, ALONE)
    keeper.note(0, torch.tensor([0, 1]), {})
    keeper.flush()
    assert pseudo_labels.write(tmp_path, CLIPS, CLASSES, TRUTHS) == {}
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=r"there is no .*pseudo-labels\.npz: its algorithm gives none, or"):
        pseudo_labels.read(tmp_path)


def test_a_damaged_file(tmp_path: Path) -> None:
    note(tmp_path, 0, 2)
    pseudo_labels.write(tmp_path, CLIPS, CLASSES, TRUTHS)
    path = tmp_path / pseudo_labels.PSEUDO_LABELS
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"pseudo-labels\.npz is damaged"):
        pseudo_labels.read(tmp_path)
