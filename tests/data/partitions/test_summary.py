"""Partitions and lists in numbers, worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
from helpers.partitions import make_index

from ssl_video.data.partitions import partition, partition_file, summary
from ssl_video.data.partitions.summary import Spread
from ssl_video.errors import InputError


def test_numbers_of_rows() -> None:
    # a: three clips of two source videos, b: one clip, c: none. The name x is another source video in b.
    ids = ["a/1", "a/2", "a/3", "b/1", "c/1"]
    index = make_index(ids, groups=["x", "x", "y", "x", "z"])
    found = summary.summarize(summary.of_rows(index, np.arange(4)))
    assert (found.clips, found.missing) == (4, ("c",))
    assert found.per_class == Spread(0, pytest.approx(4 / 3), 3)
    assert found.groups == Spread(1, 1.5, 2)  # over a and b
    unknown = summary.of_rows(make_index(ids), np.arange(4))
    assert summary.summarize(unknown).groups is None


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("lines", "classes", "groups"),
    [
        (("x/Run/v_Run_g01_c01.avi 3", "x/Sit/v_Sit_g02_c01.avi 1"),
         ["Run", "Sit"], ["v_Run_g01", "v_Sit_g02"]),
        # UCF-101's files of this class spell it otherwise; the folder is the class.
        (("HandstandPushups/v_HandStandPushups_g01_c01 5 3", "Sit/v_Sit_g02_c01 5 1"),
         ["HandstandPushups", "Sit"], ["v_HandStandPushups_g01", "v_Sit_g02"]),
        (("videos/v_Run_g01_c01.avi 3", "videos/v_Sit_g02_c01.avi 1"),
         ["Run", "Sit"], ["v_Run_g01", "v_Sit_g02"]),
        (("one.avi 3", "two.avi 1"), ["class 3", "class 1"], None),
        (("path,label", "one.avi,Run", "two.avi,Sit"), ["Run", "Sit"], None),
    ],
)  # fmt: skip
def test_what_a_list_says_by_itself(
    tmp_path: Path, lines: tuple[str, ...], classes: list[str], groups: list[str] | None
) -> None:
    clips = summary.of_file(write(tmp_path / "list.txt", *lines))["labeled"]
    assert clips.label.tolist() == classes
    assert (clips.groups.tolist() if clips.groups else None) == groups


def test_a_list_that_does_not_name_classes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not say of which classes its clips are"):
        summary.of_file(write(tmp_path / "list.txt", "one.avi", "two.avi"))


def test_comparison_of_lists(tmp_path: Path) -> None:
    first = write(
        tmp_path / "a",
        *("air_drumming/v_AirDrumming_g01_c01.avi 0", "air_drumming/v_AirDrumming_g02_c01.avi 0"),
        *("bowling/v_Bowling_g01_c01.avi 1", "bowling/v_Bowling_g01_c01.avi 1"),  # twice the same
    )
    second = write(
        tmp_path / "b",
        *("air drumming/v_AirDrumming_g01_c01 70 1", "air drumming/v_AirDrumming_g01_c02 70 1"),
        "yoga/v_Yoga_g01_c01 70 2",
    )
    found = summary.compare(*(summary.of_file(path)["labeled"] for path in (first, second)))
    assert found.classes == ("air_drumming", "bowling", "yoga")
    assert [part.tolist() for part in vars(found.clips).values()] == [[2, 1, 0], [2, 0, 1], [1, 0, 0]]
    assert found.groups
    assert [part.tolist() for part in vars(found.groups).values()] == [[2, 1, 0], [1, 0, 1], [1, 0, 0]]


def test_source_videos_of_equal_names_in_other_classes() -> None:
    index = make_index(["a/1", "a/2", "b/1", "b/2"], groups=["x", "y", "x", "x"])
    first, second = (summary.of_rows(index, np.array(rows)) for rows in ([0, 2], [1, 3]))
    found = summary.compare(first, second)
    assert found.clips.both.tolist() == [0, 0]
    assert found.groups
    assert found.groups.both.tolist() == [0, 1]  # x of b


def test_parts_of_a_partition_file(tmp_path: Path) -> None:
    index = make_index([f"{c}/{k}.mp4" for c in "ab" for k in range(6)], groups=list("xxxyyy") * 2)
    made = partition.make(index, "per-class:4+groups", validation=1)
    partition_file.write(made, index, tmp_path / "part.txt")
    parts = summary.of_file(tmp_path / "part.txt")
    # Three clips of one source video; one of the other one, for validation, and two that are left of it
    assert {name: len(clips.names) for name, clips in parts.items()} == {
        "labeled": 6,
        "validation": 2,
        "unused": 4,
    }
