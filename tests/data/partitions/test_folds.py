"""Folds of the labeled clips."""

from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from helpers.input_errors import problems
from helpers.sources import manifest, touch

from ssl_video.data.importers import read
from ssl_video.data.index import Index
from ssl_video.data.partitions.folds import fold


def index_of(folder: Path, *rows: str, split: bool = False) -> Index:
    """An index of clips given as "path,label,group" (and a split)."""
    touch(folder, *(row.split(",")[0] for row in rows))
    header = "path,label,group" + ",split" * split
    return read(manifest(folder, header, *rows), unsplit="train")


@pytest.fixture
def index(tmp_path: Path) -> Index:
    """Seven and five clips of two classes in four and five source videos, and two without a label."""
    rows = [f"a{clip}.mp4,A,s{clip // 2}" for clip in range(7)] + [f"b{clip}.mp4,B," for clip in range(5)]
    return index_of(tmp_path, *rows, "u0.mp4,,s0", "u1.mp4,,")


def clips_tested(index: Index, folds: int, draw: int) -> list[str]:
    return fold(index, folds, draw).ids[fold(index, folds, draw).rows("test")].tolist()


@pytest.mark.parametrize("folds", [2, 3, 4, 9])
def test_every_labeled_clip_is_tested_once(index: Index, folds: int) -> None:
    found = []
    for draw in range(folds):
        made = fold(index, folds, draw)
        found += made.ids[made.rows("test")].tolist()
        train, test = (set(np.asarray(made.groups.codes)[made.rows(part)]) for part in ("train", "test"))
        assert not train & test, "a source video is on one side"
        assert (made.counts("train") > 0).all()
        assert made.ids[made.rows("unlabeled")].tolist() == ["u0.mp4", "u1.mp4"]
        assert (
            f"a run tests one of {folds} folds of the labeled clips, by whole source videos; train and "
            "bench run all" in made.notes
        )
        assert made.sizes == "12 labeled and 2 unlabeled clips, 2 classes", "the same for all folds"
    assert sorted(found) == [f"a{n}.mp4" for n in range(7)] + [f"b{n}.mp4" for n in range(5)]


def test_further_draws_divide_again_and_all_folds_are_one_data_set(index: Index) -> None:
    first, again = ([clips_tested(index, 3, draw) for draw in draws] for draws in (range(3), range(3, 6)))
    assert sorted(map(sorted, first)) != sorted(map(sorted, again))
    assert sorted(chain(*again)) == sorted(chain(*first))
    made = [fold(index, 3, draw).fingerprint for draw in range(6)]
    assert len(set(made)) == 1
    assert len({made[0], index.fingerprint, fold(index, 4, 0).fingerprint}) == 3


def test_a_draw_depends_on_names_alone(index: Index, tmp_path: Path) -> None:
    """Another clip changes nothing for the source videos of the other class."""
    more = index_of(
        tmp_path / "more",
        *(f"a{clip}.mp4,A,s{clip // 2}" for clip in range(7)),
        *(f"b{clip}.mp4,B," for clip in range(4)),
    )
    of_a = [[name for name in clips_tested(one, 2, 0) if name.startswith("a")] for one in (index, more)]
    assert of_a[0] == of_a[1]


def test_a_class_with_one_source_video_is_never_clips_tested(tmp_path: Path) -> None:
    index = index_of(tmp_path, "a0.mp4,A,x", "a1.mp4,A,x", "b0.mp4,B,y", "b1.mp4,B,z")
    made = fold(index, 2, 0)
    assert "1 class has a single source video, never tested: 'A'" in made.notes
    assert not set(made.ids[made.rows("test")]) & {"a0.mp4", "a1.mp4"}


def test_a_given_test_part_is_left_out(tmp_path: Path) -> None:
    rows = [f"{label}{n}.mp4,{label},,{'test' if n > 2 else 'train'}" for label in "AB" for n in range(4)]
    index = index_of(tmp_path, *rows, split=True)
    made = fold(index, 3, 1)
    assert "2 clips of the data set's own test part: not used with folds" in made.notes
    assert not set(made.ids[made.rows("train", "test")]) & {"A3.mp4", "B3.mp4"}


def test_a_single_fold_trains_on_every_label(tmp_path: Path) -> None:
    rows = [f"{clip}.mp4,{'AB'[clip % 2]},s{clip},{'train' if clip < 6 else 'test'}" for clip in range(8)]
    index = index_of(tmp_path, *rows, "u.mp4,,,", split=True)
    made = fold(index, 1, 3)
    assert made.rows("train").tolist() == index.rows("train").tolist()
    assert (len(made.rows("test")), len(made.rows("unlabeled"))) == (0, 1)
    assert "all 6 labeled clips are for training, none is tested" in made.notes
    assert "2 clips of the data set's own test part: not used with folds" in made.notes
    # The data set of three folds is known from it.
    assert replace(made, folds=3).fingerprint == fold(index, 3, 1).fingerprint


def test_numbers_of_folds(index: Index) -> None:
    assert problems(fold, index, 10, 0) == ("9 source videos cannot be divided into 10 folds: use fewer",)


def test_folds_are_equally_large(index: Index) -> None:
    """Nine source videos in two classes: each fold has three of them."""
    for draw in range(6):
        made = fold(index, 3, draw)
        assert len(set(made.groups.codes[made.rows("test")])) == 3


def test_a_clip_that_is_left_out_moves_no_other(index: Index) -> None:
    """So that a benchmark whose broken clips were quarantined in its first run is the same in its second."""
    rows = np.flatnonzero(np.isin(index.ids.tolist(), ["a0.mp4", "b3.mp4"]))
    for draw in range(3):
        made, left = fold(index, 3, draw), fold(index, 3, draw).without(rows)
        kept = np.setdiff1d(np.arange(len(index)), rows)
        assert [made.splits[row] for row in kept] == [left.splits[row] for row in kept]
        assert left.fingerprint != made.fingerprint
    assert len({fold(index, 3, draw).without(rows).fingerprint for draw in range(6)}) == 1
