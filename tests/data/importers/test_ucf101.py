"""UCF-101's official lists."""

from pathlib import Path

import numpy as np
import pytest
from helpers.input_errors import problems
from helpers.paths import LISTS
from helpers.sources import manifest, needs_lists

from ssl_video.data.importers.make import IndexRequest, make
from ssl_video.data.importers.ucf101 import from_ucf101


def clip(label: str, group: int, number: int = 1) -> str:
    return f"{label}/v_{label}_g{group:02}_c{number:02}.avi"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes, two splits: source video 1 is for test in split 1, source video 2 in split 2."""
    for split, held in ((1, 1), (2, 2)):
        for part in ("train", "test"):
            chosen = [
                (clip(label, group), number)
                for number, label in enumerate(("Archery", "Biking"), 1)
                for group in (1, 2, 3)
                if (group == held) == (part == "test")
            ]
            lines = [f"{name} {number}" if part == "train" else name for name, number in chosen]
            manifest(tmp_path, *lines, name=f"{part}list{split:02}.txt")
    return manifest(tmp_path, "1 Archery", "2 Biking", name="classInd.txt").parent


def test_splits_are_columns_and_groups_come_from_names(folder: Path) -> None:
    index = make(IndexRequest([folder], kind="ucf101", check=False), "ucf")
    assert index.classes == ("Archery", "Biking")
    assert index.ids.tolist() == [clip(label, g) for label in ("Archery", "Biking") for g in (1, 2, 3)]
    assert index.splits.tolist() == ["test", "train", "train"] * 2
    assert {name: column.tolist() for name, column in index.columns.items()} == {
        "split2": ["train", "test", "train"] * 2
    }
    assert index.groups is not None
    assert index.groups[0] == "v_Archery_g01"


def test_lists_that_do_not_fit_together(folder: Path) -> None:
    manifest(folder, clip("Archery", 1), clip("Archery", 2), name="testlist01.txt")
    manifest(folder, "1 Archery", "3 Biking", name="classInd.txt")
    found = from_ucf101(folder).problems
    assert found == [
        f"{clip('Archery', 2)} is in the training and in the test list of split 1",
        "classInd.txt gives other numbers than the lists to 'Biking'",
    ]
    (folder / "testlist02.txt").unlink()
    (folder / "trainlist01.txt").unlink()
    [problem] = problems(from_ucf101, folder)
    assert "there is no trainlist01.txt and no testlist02.txt" in problem


@needs_lists
def test_the_published_lists() -> None:
    index = make(IndexRequest([LISTS / "ucf101_official"], kind="ucf101", check=False), "ucf101")
    assert (len(index), len(index.classes)) == (13320, 101)
    sizes = {
        name: (len(column.rows("train")), len(column.rows("test")), len(column.rows("")))
        for name, column in {"split": index.splits, **index.columns}.items()
    }
    assert sizes == {"split": (9537, 3783, 0), "split2": (9586, 3734, 0), "split3": (9624, 3696, 0)}
    assert index.groups is not None
    # 25 source videos in each class, 18 of them for training in split 1, 7 for test
    groups = [len(np.unique(index.groups.codes[rows])) for rows in (index.rows("train"), index.rows("test"))]
    assert groups == [101 * 18, 101 * 7]
    # None is on both sides.
    assert not [note for note in index.notes if "train and in test" in note]
