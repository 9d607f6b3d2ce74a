"""HMDB-51's official lists."""

from pathlib import Path

import pytest
from helpers.input_errors import problems
from helpers.paths import LISTS
from helpers.sources import manifest, needs_lists

from ssl_video.data.importers import index_file, read
from ssl_video.data.importers.hmdb51 import from_hmdb51
from ssl_video.data.importers.make import IndexRequest, make

LISTED = [
    # name, marks in split 1 and 2: 1 train, 2 test, 0 neither
    ("climb", "Film_A_climb_f_cm_np1_ba_bad_0.avi", "1", "2"),
    ("climb", "Film_A_climb_f_cm_np1_ba_bad_1.avi", "0", "2"),
    ("climb", "Film_B_climb_u_nm_np10_ri_goo_0.avi", "2", "1"),
    ("climb_stairs", "Film_A_climb_stairs_l_cm_np2_le_med_3.avi", "1", "1"),
    ("climb_stairs", "(x) y!_climb_stairs_l_cm_np2_le_med_3.avi", "2", "0"),
    ("climb_stairs", "C_climb_stairs_l_cm_np2_le_med_3.avi", "1", "2"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for label in ("climb", "climb_stairs"):
        for split in (1, 2):
            lines = [f"{row[1]} {row[1 + split]} " for row in LISTED if row[0] == label]
            manifest(tmp_path, *lines, name=f"{label}_test_split{split}.txt")
    return tmp_path


def test_splits_with_and_without_what_they_leave_out(folder: Path) -> None:
    index = make(IndexRequest([folder], kind="hmdb51", check=False), "hmdb")
    assert index.classes == ("climb", "climb_stairs")
    assert index.ids.tolist() == sorted(f"{row[0]}/{row[1]}" for row in LISTED)
    # In the order of ids: climb A0, A1, B; climb_stairs (, C, F
    assert index.splits.tolist() == ["train", "", "test", "test", "train", "train"]
    assert {name: column.tolist() for name, column in index.columns.items()} == {
        "split2": ["test", "test", "train", "", "test", "train"],
        "split_all": ["train", "train", "test", "test", "train", "train"],
        "split2_all": ["test", "test", "train", "train", "test", "train"],
    }
    assert index.groups is not None
    assert index.groups.tolist() == ["Film_A", "Film_A", "Film_B", "(x) y!", "C", "Film_A"]


def test_without_groups_where_a_name_is_of_another_form(folder: Path) -> None:
    for split in (1, 2):
        file = folder / f"climb_test_split{split}.txt"
        manifest(folder, *file.read_text().splitlines(), "other.avi 1", name=file.name)
    assert from_hmdb51(folder).groups is None


def test_lists_that_are_wrong(folder: Path) -> None:
    manifest(folder, "a b.avi 1", "c.avi 3", "d.avi", name="climb_test_split1.txt")
    assert from_hmdb51(folder).problems == [
        "climb_test_split1.txt: expected a name and 0, 1 or 2, found 'c.avi 3'",
        "climb_test_split1.txt: expected a name and 0, 1 or 2, found 'd.avi'",
    ]
    (folder / "climb_stairs_test_split2.txt").unlink()
    assert "lists are missing: 'climb_stairs_test_split2.txt'" in problems(from_hmdb51, folder)[0]


@needs_lists
def test_the_published_lists(tmp_path: Path) -> None:
    index = make(IndexRequest([LISTS / "hmdb51_official"], kind="hmdb51", check=False), "hmdb51")
    assert (len(index), len(index.classes)) == (6766, 51)
    sizes = {
        name: (len(column.rows("train")), len(column.rows("test")), len(column.rows("")))
        for name, column in {"split": index.splits, **index.columns}.items()
    }
    official, everything = (3570, 1530, 1666), (5236, 1530, 0)
    assert sizes == {
        **dict.fromkeys(("split", "split2", "split3"), official),
        **dict.fromkeys(("split_all", "split2_all", "split3_all"), everything),
    }
    assert index.groups is not None
    # No source video of a class is on both sides of an official split.
    assert not [note for note in index.notes if "train and in test" in note]
    index_file.write(index, tmp_path / "hmdb51.arrow")
    for split in ("split2", "split3"):
        other = read(tmp_path / "hmdb51.arrow", split=split)
        assert not [note for note in other.notes if "train and in test" in note]
    pool = read(tmp_path / "hmdb51.arrow", split="split_all")
    assert len(pool.rows("train")) == 5236
    # What split 1 leaves out is of the same films as its test clips.
    assert [note.split(":")[0] for note in pool.notes] == [
        "source videos (groups) are taken from the file names",
        "177 source videos have clips in train and in test, which makes test results too good",
    ]
