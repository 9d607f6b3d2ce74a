"""Protocols -> partitions: how many clips are labeled, by a drawn rule or a column."""

import re
from fractions import Fraction

import numpy as np
import pytest
from helpers.partitions import make_index, problem

from ssl_video.data.index import PARTS, Index
from ssl_video.data.partitions import partition, published
from ssl_video.data.partitions.protocols import Percent


def counts(index: Index, protocol: str, draw: int = 0) -> list[int]:
    rows = partition.make(index, protocol, draw=draw).labeled
    return np.bincount(index.labels[rows], minlength=len(index.classes)).tolist()


# Parts


def test_parts_cover_the_index_without_overlap(index: Index) -> None:
    part = partition.make(index, "percent:50", draw=3)
    assert (part.protocol, part.draw, part.labeled_in_unlabeled) == ("percent:50", 3, False)
    both = np.concatenate([part.labeled, part.unlabeled])
    assert sorted(both.tolist()) == index.rows("train").tolist()
    assert part.test.tolist() == index.rows("test").tolist() == [12, 13, 21, 22, 24, 25]
    assert part.validation.tolist() == []
    assert all((np.diff(rows) > 0).all() for rows in (part.labeled, part.unlabeled, part.test))
    larger = partition.make(index, "percent:50", draw=3, labeled_in_unlabeled=True)
    assert larger.unlabeled.tolist() == index.rows("train").tolist()
    assert larger.labeled.tolist() == part.labeled.tolist()
    assert larger.fingerprint != part.fingerprint


def test_unused_clips_are_in_no_part(index: Index) -> None:
    part = partition.make(index.without(np.array([0, 12])), "per-class:1", labeled_in_unlabeled=True)
    assert part.unlabeled.tolist() == [*range(1, 12), *range(14, 21), 23]
    assert part.test.tolist() == [13, 21, 22, 24, 25]


def test_parts_are_the_names_of_splits(index: Index) -> None:
    assert tuple(index.splits.names) == PARTS


# Numbers of clips


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("per-class:1", [1, 1, 1]),
        ("percent:100", [12, 7, 1]),
        ("percent:50", [6, 4, 1]),  # 6, 3.5 -> 4, 0.5 -> 1
        ("percent:50+floor", [6, 3, 1]),  # 0.5 -> 0 -> 1
        ("percent:50+ceil", [6, 4, 1]),
        ("percent:10+ceil", [2, 1, 1]),  # 1.2, 0.7, 0.1
        ("percent:25+ceil", [3, 2, 1]),  # 3 stays 3
        ("percent:12.5", [2, 1, 1]),  # 1.5 -> 2, 0.875 -> 1, 0.125 -> 0 -> 1
        ("percent:37.5", [5, 3, 1]),  # 4.5 -> 5 (to even would be 4), 2.625 -> 3
        ("percent:1", [1, 1, 1]),
        ("percent:0.001", [1, 1, 1]),
        ("percent:15+balanced", [1, 1, 1]),  # 15 % of 20 clips / 3 classes = 1
        ("percent:23+balanced+floor", [1, 1, 1]),  # 1.53
    ],
)
def test_counts_in_each_class(index: Index, protocol: str, expected: list[int]) -> None:
    assert counts(index, protocol) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    # 12.5 % of 20 clips are 2.5; 20 % are 4.
    [
        ("12.5+global", 3),
        ("12.5+global+floor", 2),
        ("12.5+global+ceil", 3),
        ("20+global+ceil", 4),
        ("1+global", 1),
    ],
)
def test_counts_of_the_whole(index: Index, words: str, expected: int) -> None:
    drawn = [counts(index, f"percent:{words}", draw) for draw in range(30)]
    assert {sum(each) for each in drawn} == {expected}
    assert len({tuple(each) for each in drawn}) > 1  # without regard to classes


def test_percentages_are_exact() -> None:
    # 14.5 % of 100 is 14.5 -> 15; in floating point 0.145 * 100 is 14.499999999999998.
    index = make_index([f"{c}/{k:03d}.mp4" for c in "ab" for k in range(100)])
    assert counts(index, "percent:14.5") == [15, 15]
    # The percentages of the literature of UCF-101's 9,537 training clips
    fractions = {p: Percent(Fraction(p), "global", "floor", False).of(9537) for p in (5, 10, 20, 50)}
    assert fractions == {5: 476, 10: 953, 20: 1907, 50: 4768}


def test_more_clips_than_a_class_has(index: Index) -> None:
    text = problem(index, "per-class:8")
    assert "8 labeled clips of each class are wanted, and 2 classes have fewer training clips: " in text
    assert "'run (7)', 'walk it (1)'" in text
    assert "1 class has fewer training clips: 'walk it (1)'" in problem(index, "percent:23+balanced")


def test_notes_of_drawn_protocols(index: Index) -> None:
    assert partition.make(index, "percent:50").notes == ()
    assert partition.make(index, "percent:5").notes == (
        "2 classes have one labeled clip where 5 % rounds to none: 'run', 'walk it'",
    )
    assert partition.make(index, "percent:50+floor").notes == (
        "1 class has one labeled clip where 50 % rounds to none: 'walk it'",
    )
    assert partition.make(index, "percent:5+ceil").notes == ()
    assert partition.make(index, "percent:100").notes == (
        "every training clip is labeled, so no clip is unlabeled",
    )
    assert partition.make(index, "percent:100", labeled_in_unlabeled=True).notes == ()
    [note] = partition.make(index, "percent:1+global").notes  # one clip
    assert re.fullmatch("2 classes have no labeled clip: '.*', '.*'", note)


# Columns and lists


def with_column(values: list[str]) -> Index:
    ids = [f"{c}/{k}.mp4" for c in "ab" for k in range(3)]
    return make_index(ids, ["train", "train", "test"] * 2, chosen=values)


@pytest.mark.parametrize(
    "values", [["1", "0", "0", "1", "0", "0"], ["True", "false", "", "TRUE", "", ""], ["1.0", "0.0", ""] * 2]
)
def test_column(values: list[str]) -> None:
    index = with_column(values)
    part = partition.make(index, "column:chosen")
    assert part.labeled.tolist() == [0, 3]
    assert part.unlabeled.tolist() == [1, 4]
    assert partition.make(index, "column:chosen", draw=5).fingerprint == part.fingerprint


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            ["1", "0", "1", "0", "0", "1"],
            "labels 2 clips for testing (is it for another split?): 'a/2.mp4'",
        ),
        (["0"] * 6, "labels no clip"),
        (["1", "2", "0", "maybe", "0", "0"], "has '2', 'maybe'; expected 1 or true"),
    ],
)
def test_columns_that_cannot_be_used(values: list[str], expected: str) -> None:
    assert expected in problem(with_column(values), "column:chosen")
    assert "unknown column 'choosen'; did you mean chosen?" in problem(with_column(values), "column:choosen")


def test_a_clip_of_a_column_that_is_quarantined_is_left_out_if_that_is_asked_for() -> None:
    index = with_column(["1", "1", "0", "1", "0", "0"])
    left = index.without(np.array([0, 4]))
    expected = "labels 1 clip not in use (quarantined, or of another split?): 'a/0.mp4'"
    assert expected in problem(left, "column:chosen")
    assert "add +available to the protocol" in problem(left, "column:chosen")
    part = partition.make(left, "column:chosen+available")
    assert part.labeled.tolist() == [1, 3]
    assert "left out of 3 clips that column 'chosen' labels: 1 not in use" in part.notes
    whole = partition.make(index, "column:chosen+available")
    assert not any("left out" in note for note in whole.notes)
    assert whole.fingerprint == partition.make(index, "column:chosen").fingerprint
    assert "labels no clip" in problem(index.without(np.array([0, 1, 3])), "column:chosen+available")


def test_a_class_without_a_label_is_legal() -> None:
    part = partition.make(with_column(["1", "1", "0", "0", "0", "0"]), "column:chosen")
    assert part.labeled.tolist() == [0, 1]
    assert part.notes == ("1 class has no labeled clip: 'b'",)


def test_published_names_are_known(index: Index) -> None:
    assert "ucf101-videossl-10" in published.names()
    assert "needs a published list" in problem(index, "ucf101-videossl-10")
