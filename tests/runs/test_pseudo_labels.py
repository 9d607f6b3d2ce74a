"""Every pseudo-label of a finished run, as arrays made of the lines of the run under way."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.numbers import close

from ssl_video.errors import InputError
from ssl_video.runs import pseudo_labels
from ssl_video.runs.pseudo_labels import UNFINISHED

CLIPS, CLASSES, TRUTHS = ["a", "b", "c"], ["run", "jump"], np.array([1, 0, 1])
# Two steps of two clips each; the auxiliary network begins with the second step.
LINES = [
    {"step": 0, "indices": [0, 2], "networks": {"primary": {"labels": [0, 1], "weights": [1.0, 0.1235]}}},
    {
        "step": 1,
        "indices": [1, 2],
        "networks": {
            "primary": {"labels": [1, 1], "weights": [1.0, 0.1235]},
            "auxiliary": {"labels": [0, 1], "weights": [0.0, 1.0]},
        },
    },
]


def begin(folder: Path) -> None:
    """Write what a run under way has noted by the end of its training."""
    (folder / UNFINISHED).write_text("".join(json.dumps(line) + "\n" for line in LINES))


def test_arrays_of_a_finished_run(tmp_path: Path) -> None:
    begin(tmp_path)
    used = pseudo_labels.write(tmp_path, CLIPS, CLASSES, TRUTHS)
    assert used == {"primary": 1.0, "auxiliary": 0.25}
    made = pseudo_labels.read(tmp_path)
    assert made.clips.tolist() == CLIPS
    assert made.classes.tolist() == CLASSES
    assert made.truths.tolist() == [1, 0, 1]
    assert made.steps.tolist() == [0, 0, 1, 1]
    assert made.indices.tolist() == [0, 2, 1, 2]
    assert made.labels["primary"].tolist() == [0, 1, 1, 1]
    assert made.weights["primary"].tolist() == close([1, 0.1235, 1, 0.1235])
    # Where a network gave no label, none is used.
    assert made.labels["auxiliary"].tolist() == [-1, -1, 0, 1]
    assert made.weights["auxiliary"].tolist() == [0, 0, 0, 1]


def test_a_run_that_noted_nothing_has_no_file(tmp_path: Path) -> None:
    assert pseudo_labels.write(tmp_path, CLIPS, CLASSES, TRUTHS) == {}
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=r"there is no .*pseudo-labels\.npz: its algorithm produces none"):
        pseudo_labels.read(tmp_path)


def test_a_damaged_file(tmp_path: Path) -> None:
    begin(tmp_path)
    pseudo_labels.write(tmp_path, CLIPS, CLASSES, TRUTHS)
    path = tmp_path / pseudo_labels.PSEUDO_LABELS
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"pseudo-labels\.npz is damaged"):
        pseudo_labels.read(tmp_path)


def test_those_of_clips_with_a_class_can_be_checked(tmp_path: Path) -> None:
    """Clip a has none: its entry in step 0 goes, and the others' indices move."""
    begin(tmp_path)
    pseudo_labels.write(tmp_path, CLIPS, CLASSES, np.array([-1, 0, 1]))
    made = pseudo_labels.read(tmp_path).checkable
    assert made.clips.tolist() == ["b", "c"]
    assert made.truths.tolist() == [0, 1]
    assert (made.steps.tolist(), made.indices.tolist()) == ([0, 1, 1], [1, 0, 1])
    assert made.labels["primary"].tolist() == [1, 1, 1]
    assert made.labels["auxiliary"].tolist() == [-1, 0, 1]
    assert made.weights["auxiliary"].tolist() == [0.0, 0.0, 1.0]
    whole = pseudo_labels.read(tmp_path)
    assert whole.clips.tolist() == CLIPS
    assert len(whole.steps) == 4
