"""Source videos stay on one side, and clips for validation are taken from the labeled ones."""

import numpy as np
import pytest
from helpers.partitions import labeled, make_index, problem

from ssl_video.data.index import Index
from ssl_video.data.partitions import partition
from ssl_video.errors import InputError


def units(index: Index, rows: np.ndarray) -> set[tuple[int, str]]:
    assert index.groups
    return {(int(index.labels[row]), index.groups[row]) for row in rows}


# Source videos


@pytest.mark.parametrize(
    "protocol", ["per-class:6", "percent:33", "percent:17+global", "percent:90+balanced"]
)
def test_no_source_video_is_on_both_sides(grouped: Index, protocol: str) -> None:
    for draw in range(10):
        plain = partition.make(grouped, protocol, draw=draw)
        part = partition.make(grouped, f"{protocol}+groups", draw=draw)
        assert len(part.labeled) == len(plain.labeled)
        assert not units(grouped, part.labeled) & units(grouped, part.unlabeled)
        # All but the last source video of a class (or of all) are complete: up to three clips are left of it.
        left = 60 - len(part.labeled) - len(part.unlabeled)
        by_class = np.bincount(grouped.labels[part.labeled]).tolist()
        assert left == sum(-n % 4 for n in ([sum(by_class)] if "global" in protocol else by_class))
        if left:
            assert part.notes[0].startswith(f"{left} training clips are not used: other clips of their")
    part = partition.make(grouped, f"{protocol}+groups", labeled_in_unlabeled=True)
    assert set(part.labeled) <= set(part.unlabeled)


def test_source_videos_have_to_be_known(index: Index) -> None:
    assert "give a manifest with a column named group" in problem(index, "per-class:1+groups")


# Validation


def test_validation_takes_clips_from_the_labeled_ones(index: Index) -> None:
    whole = partition.make(index, "percent:100", draw=5)
    part = partition.make(index, "percent:100", draw=5, validation=0.25)
    # 3 of 12; 1.75 -> 2 of 7; the only clip of "walk it" stays
    assert np.bincount(index.labels[part.validation], minlength=3).tolist() == [3, 2, 0]
    assert sorted([*part.labeled, *part.validation]) == whole.labeled.tolist()
    assert part.unlabeled.tolist() == []
    assert part.notes[0] == "1 class has no validation clip: 'walk it'"
    again = partition.make(index, "percent:100", draw=6, validation=0.25)
    assert again.validation.tolist() != part.validation.tolist()
    fixed = partition.make(index, "percent:100", draw=5, validation=2, labeled_in_unlabeled=True)
    assert np.bincount(index.labels[fixed.validation], minlength=3).tolist() == [2, 2, 0]
    assert set(fixed.unlabeled) == set(fixed.labeled)
    assert set(fixed.validation) < set(part.validation)


def test_validation_is_at_least_a_clip_and_leaves_one(index: Index) -> None:
    for amount in (0.01, 0.99, 1, 40):
        part = partition.make(index, "percent:20", validation=amount)
        # 2.4 -> 2, 1.4 -> 1, 0.2 -> 1 labeled clips: only "jump" has one to spare
        assert np.bincount(index.labels[part.labeled]).tolist() == [1, 1, 1]
        assert np.bincount(index.labels[part.validation]).tolist() == [1]


@pytest.mark.parametrize("protocol", ["percent:60", "percent:60+groups"])
def test_validation_takes_whole_source_videos(grouped: Index, protocol: str) -> None:
    for draw in range(5):
        part = partition.make(grouped, protocol, draw=draw, validation=3)
        assert not units(grouped, part.labeled) & units(grouped, part.validation)
        assert (np.bincount(grouped.labels[part.validation]) >= 3).all()
        assert len(part.labeled) + len(part.validation) == 36


def test_labeled_clips_that_train_are_nested_without_validation(index: Index) -> None:
    small = partition.make(index, "percent:50", validation=0.34)
    large = partition.make(index, "percent:100", validation=0.34)
    assert labeled(index, small) < labeled(index, large)


def test_validation_that_cannot_be() -> None:
    index = make_index([f"{c}/{k}.mp4" for c in "ab" for k in range(4)], groups=["g0"] * 4 + ["g1"] * 4)
    with pytest.raises(
        InputError, match="no class has two labeled source videos, one of which could be kept"
    ):
        partition.make(index, "per-class:3", validation=0.5)
    for amount in (-0.1, 1.5):
        with pytest.raises(InputError, match="expected a fraction below 1, or a whole number per class"):
            partition.make(index, "per-class:3", validation=amount)
