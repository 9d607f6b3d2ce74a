"""Clips that are parts of files, and clips that are folders of pictures, from every kind of source."""

from pathlib import Path

import numpy as np
import pytest
from helpers.input_errors import problems
from helpers.sources import manifest, parts, touch

from ssl_video.data.importers import read, unlabeled
from ssl_video.data.importers.list_file import ListEntry
from ssl_video.data.importers.list_file import read as read_list
from ssl_video.data.importers.make import IndexRequest, make
from ssl_video.data.importers.to_index import Unsplit
from ssl_video.data.index import Index
from ssl_video.data.partitions.folds import fold

TABLE = (
    "path,label,start,end",
    "day1.mp4,run,0,10",
    "day1.mp4,sit,10.50,20",
    "day2.mp4,run,5,",
    "day2.mp4,sit,,4.3333333333",
    "day3.mp4,run,,",
    "day3b.mp4,sit,3.0,",
)
FILES = ("day1.mp4", "day2.mp4", "day3.mp4", "day3b.mp4")


def test_a_manifest_with_start_and_end(tmp_path: Path) -> None:
    touch(tmp_path, *FILES)
    index = read(manifest(tmp_path, *TABLE), unsplit="train")
    assert dict(zip(index.ids, index.label.tolist(), strict=True)) == {
        "day1.mp4#t=0,10": "run",
        "day1.mp4#t=10.5,20": "sit",
        "day2.mp4#t=,4.333333": "sit",
        "day2.mp4#t=5": "run",
        "day3.mp4": "run",
        "day3b.mp4#t=3": "sit",
    }
    assert index.groups
    assert index.groups.tolist() == ["day1.mp4"] * 2 + ["day2.mp4"] * 2 + ["day3.mp4", "day3b.mp4"]
    assert not index.columns


def test_a_manifest_with_offset_and_frames(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    rows = ("a.mp4,run,0,32", "a.mp4,sit,64,32", "b.mp4,run,,16", "b.mp4,sit,100,")
    index = read(manifest(tmp_path, "path,label,offset,frames", *rows), unsplit="train")
    assert index.ids.tolist() == ["a.mp4#f=0,32", "a.mp4#f=64,96", "b.mp4#f=,16", "b.mp4#f=100"]
    # A number of frames alone is a fact about the file.
    index = read(manifest(tmp_path, "path,label,frames", "a.mp4,run,32", "b.mp4,sit,16"), unsplit="train")
    assert (index.ids.tolist(), list(index.columns)) == (["a.mp4", "b.mp4"], ["frames"])


def test_segments_that_are_none(tmp_path: Path) -> None:
    touch(tmp_path, *FILES)
    rows = (
        "day1.mp4,run,x,10",
        "day2.mp4,sit,9,3",
        "day2.mp4,sit,-1,3",
        "day1.mp4#t=3,run,4,5",
        "day3.mp4,run,4,4",
    )
    found = problems(read, manifest(tmp_path, "path,label,start,end", *rows), unsplit="train")
    assert [problem.partition(": ")[2] for problem in found[:3]] == [
        "start: expected seconds, 12.5, found 'x', '-1' (line 2, 4)",
        "end must be after start (line 3, 6)",
        "a path with #t= or #f= and a value of start: give one of them (line 5)",
    ]
    rows = ("day1.mp4,run,1.5,10", "day2.mp4,sit,9,0")
    found = problems(read, manifest(tmp_path, "path,label,offset,frames", *rows), unsplit="train")
    assert "offset: expected a number, found '1.5' (line 2)" in found[0]
    assert "frames must be at least 1 (line 3)" in found[1]


def test_one_segment_twice(tmp_path: Path) -> None:
    touch(tmp_path, *FILES)
    rows = ("day1.mp4,run,0,10", "day1.mp4,run,0.0,10.0", "day2.mp4,sit,,")
    assert "1 path is listed more than once: 'day1.mp4#t=0,10'" in problems(
        read, manifest(tmp_path, "path,label,start,end", *rows), unsplit="train"
    )[0]  # fmt: skip


def recordings(tmp_path: Path, days: int, unsplit: Unsplit = "hold-out") -> Index:
    """Recordings with a clip of each of two classes; the last one has a third class."""
    rows = [
        f"day{day}.mp4,{label},{10 * k},{10 * k + 10}" for day in range(days) for k, label in enumerate("ab")
    ]
    rows += [f"day{day}.mp4,c,50,60" for day in (days - 1, days - 2)]
    touch(tmp_path, *(f"day{day}.mp4" for day in range(days)))
    return read(manifest(tmp_path, "path,label,start,end", *rows), unsplit=unsplit)


@pytest.mark.parametrize("days", [3, 4, 9])
def test_a_file_is_held_out_with_the_clips_of_all_classes(tmp_path: Path, days: int) -> None:
    index = recordings(tmp_path, days)
    assert index.groups
    train, test = (set(index.groups.codes[index.rows(part)]) for part in ("train", "test"))
    assert (train & test, len(train | test)) == (set(), days)
    assert (index.counts("train") > 0).all()
    assert (index.counts("test") > 0).all()


@pytest.mark.parametrize(("days", "folds"), [(3, 3), (5, 2), (9, 4)])
def test_a_file_is_in_one_fold_with_the_clips_of_all_classes(tmp_path: Path, days: int, folds: int) -> None:
    index, tested = recordings(tmp_path, days, "train"), np.zeros(3, np.int64)
    for draw in range(2 * folds):
        made = fold(index, folds, draw)
        assert made.groups
        train, test = (set(made.groups.codes[made.rows(part)]) for part in ("train", "test"))
        assert (train & test, len(train | test)) == (set(), days)
        assert (made.counts("train") > 0).all()
        tested += made.counts("test")
    assert tested.tolist() == [2 * days, 2 * days, 4]


def test_a_file_in_both_parts_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    rows = ("a.mp4,x,0,5,train", "a.mp4,y,5,9,test", "b.mp4,y,,,train", "c.mp4,x,,,test")
    notes = read(manifest(tmp_path, "path,label,start,end,split", *rows)).notes
    assert [note for note in notes if "too good: 'a.mp4'" in note]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a b/x.avi 64 32 12", ListEntry("a b/x.avi", "", 12, "#f=64,96")),
        ("a/x 64 32 12", ListEntry("a/x", "", 12, "#f=64,96")),
        ("a/x.avi 64 32 air drumming", ListEntry("a/x.avi", "air drumming", None, "#f=64,96")),
        ("a/x.avi#t=3,4.5 12", ListEntry("a/x.avi", "", 12, "#t=3,4.5")),
        ('"a/x.avi#t=3,4.5",drum', ListEntry("a/x.avi", "drum", None, "#t=3,4.5")),
    ],
)
def test_lines_of_lists(tmp_path: Path, line: str, expected: ListEntry) -> None:
    assert read_list(manifest(tmp_path, line, line)) == [expected, expected]


def test_a_line_without_an_offset_means_frames_in_all(tmp_path: Path) -> None:
    found = read_list(manifest(tmp_path, "a/x.avi 300 2 point shot", "a/y.avi 300 dunk"))
    assert [(entry.label, entry.segment) for entry in found] == [("2 point shot", ""), ("dunk", "")]
    assert (
        "found no frames in 'a/x.avi 64 0 3'" in problems(read_list, manifest(tmp_path, "a/x.avi 64 0 3"))[0]
    )


def test_lists_of_segments_and_of_folders_of_pictures(tmp_path: Path) -> None:
    touch(tmp_path, *(f"frames/{clip}/img_{n:05}.jpg" for clip in "pqr" for n in range(3)))
    train = manifest(tmp_path, "p 0 2 0", "p 2 1 1", "q 0 3 1", name="train.txt")
    test = manifest(tmp_path, "r 0 2 0", "r 2 1 1", name="test.txt")
    names = manifest(tmp_path, "run", "sit", name="classes.txt")
    index = make(IndexRequest(lists={"train": [train], "test": [test]}, classes=names), "x")
    assert dict(zip(index.ids, index.label.tolist(), strict=True)) == {
        **{"frames/p#f=0,2": "run", "frames/p#f=2,3": "sit", "frames/q#f=0,3": "sit"},
        **{"frames/r#f=0,2": "run", "frames/r#f=2,3": "sit"},
    }
    touch(tmp_path, "whole/s/1.jpg", "whole/t/1.jpg")
    train = manifest(tmp_path, "s 1 0", "t 1 1", name="train.txt")
    request = IndexRequest(lists={"train": [train]}, classes=names, videos=tmp_path / "whole")
    assert make(request, "x").ids.tolist() == ["s", "t"]


def test_folders_of_pictures_in_class_folders(tmp_path: Path) -> None:
    touch(
        tmp_path, *(f"{label}/{clip}/{n}.png" for label in ("run", "sit") for clip in "ab" for n in range(3))
    )
    touch(tmp_path, "run/c.mp4", "run/thumb.jpg", "sit/subject/d/1.jpg", "unlabeled/u/1.jpg")
    index = read(tmp_path)
    assert parts(index) == dict.fromkeys(
        ("run/a", "run/b", "run/c.mp4", "sit/a", "sit/b", "sit/subject/d"), "train"
    ) | {"unlabeled/u": "unlabeled"}
    assert index.groups
    assert index.groups.tolist()[-2:] == ["sit/subject", "unlabeled/u"]
    notes = " ".join(index.notes)
    assert "6 folders of pictures: each is a clip: 'run/a'" in notes
    assert "1 pictures in folders of videos or classes" in notes


def test_unlabeled_folders_of_pictures_and_segments(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "lab/run/1.mp4",
        "lab/sit/2.mp4",
        "more/x/1.jpg",
        "more/y/z/1.jpg",
        "more/v.mp4",
        "one/1.jpg",
    )
    table = manifest(tmp_path / "more", "path,start,end", "v.mp4,0,4", "v.mp4,4,8", "v.mp4,0.0,4")
    index = read(tmp_path / "lab", unsplit="train")
    for source, expected in (
        ("more", ["v.mp4", "x", "y/z"]),
        ("one", ["one"]),
        ("more/x", ["x"]),
        (table, ["v.mp4#t=0,4", "v.mp4#t=4,8"]),
    ):
        added = unlabeled.add(index, [tmp_path / source])
        assert added.ids[added.rows("unlabeled")].tolist() == [f"unlabeled/{name}" for name in expected]
    both = unlabeled.add(index, [tmp_path / "more/v.mp4", table])
    assert both.ids[both.rows("unlabeled")].tolist() == ["unlabeled/v.mp4"], "its parts are there already"
    wrong = manifest(tmp_path / "more", "path,start", "v.mp4,early", name="wrong.csv")
    assert "found 'early' (line 2)" in problems(unlabeled.add, index, [wrong])[0]


@pytest.mark.parametrize("names", ["begin,stop", "start_s,end_s", "time_start,time_end", "t_start,t_end"])
def test_columns_that_look_like_start_and_end(tmp_path: Path, names: str) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    index = read(manifest(tmp_path, f"path,label,{names}", "a.mp4,x,0,5", "b.mp4,y,1,2"), unsplit="train")
    assert [note for note in index.notes if "is not used: clips that are parts of files have" in note]
    rows = ("a.mp4,x,0,5", "a.mp4,y,5,9", "b.mp4,y,1,2")
    found = problems(read, manifest(tmp_path, f"path,label,{names}", *rows), unsplit="train")
    assert "need the columns start and end, in seconds" in found[0]


def test_the_case_of_known_columns_does_not_count(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.mp4")
    rows = ("a.mp4,x,0,5,1", "b.mp4,y,1,2,2")
    index = read(manifest(tmp_path, "Path,LABEL,Start,End,Other", *rows), unsplit="train")
    assert (index.ids.tolist(), list(index.columns)) == (["a.mp4#t=0,5", "b.mp4#t=1,2"], ["Other"])
    # A column of exactly this name comes first.
    index = read(manifest(tmp_path, "path,label,Label", "a.mp4,x,0", "b.mp4,y,1"), unsplit="train")
    assert (index.classes, list(index.columns)) == (("x", "y"), ["Label"])
