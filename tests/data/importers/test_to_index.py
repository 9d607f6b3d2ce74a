"""A test part is held out where a source names none."""

from pathlib import Path

import numpy as np
import pytest
from helpers.input_errors import problems
from helpers.paths import SHARED
from helpers.sources import manifest, parts, touch

from ssl_video.data.importers import read
from ssl_video.data.partitions.folds import fold

UCF = SHARED / "data/ucf101_5c"


@pytest.mark.parametrize(("clips", "held"), [(2, 1), (4, 1), (5, 1), (6, 2), (8, 2), (40, 10)])
def test_a_quarter_of_each_class_is_held_out(tmp_path: Path, clips: int, held: int) -> None:
    # Rounded half up: 6 clips / 4 = 1.5 -> 2.
    touch(tmp_path, *(f"{label}/{k}.mp4" for label in "ab" for k in range(clips)))
    index = read(tmp_path)
    assert np.bincount(index.labels[index.rows("test")]).tolist() == [held, held]
    assert np.bincount(index.labels[index.rows("train")]).tolist() == [clips - held] * 2


def test_source_videos_are_held_out_as_a_whole(tmp_path: Path) -> None:
    names = [
        f"{c}/v_{c}_g{g:02d}_c{k:02d}.avi" for c in ("Run", "Walk") for g in range(1, 9) for k in range(3)
    ]
    touch(tmp_path, *names)
    index = read(tmp_path)
    assert index.groups is not None
    assert sorted(set(index.groups.tolist()))[0] == "v_Run_g01"
    group = np.array(index.groups.tolist())
    held = set(group[index.rows("test")])
    # 24 clips of a class / 4 = 6 clips = 2 source videos of 3 clips
    assert len(held) == 4
    assert not held & set(group[index.rows("train")])
    assert "groups) are taken from the file names" in index.notes[0]
    # One name of another kind, and nothing is known about any.
    touch(tmp_path, "Run/extra.avi")
    assert read(tmp_path).groups is None


def test_one_source_video_always_stays_in_train(tmp_path: Path) -> None:
    # 1 and 9 clips: a quarter of 10 is 3, so that the small source video alone would not be enough.
    labels = [f"c{k}" for k in range(8)]
    sizes = {"g01": 1, "g02": 9}
    touch(
        tmp_path, *(f"{c}/v_{c}_{g}_c{k:02d}.avi" for c in labels for g, n in sizes.items() for k in range(n))
    )
    index = read(tmp_path)
    held = np.bincount(index.labels[index.rows("test")]).tolist()
    assert set(held) == {1, 9}  # whichever comes first by its hash


def test_holding_out_depends_on_names_only(tmp_path: Path) -> None:
    names = [f"{label}/{k}.mp4" for label in "ab" for k in range(12)]
    touch(tmp_path / "one", *names)
    touch(tmp_path / "two", *names, "c/1.mp4", "c/2.mp4")
    rows = [f"{name},{name[0]}" for name in names]
    forwards, backwards = (
        read(manifest(tmp_path / "one", "path,label", *order, name=f"{len(order)}{order[0][0]}.csv"))
        for order in (rows, rows[::-1])
    )
    folder, larger = read(tmp_path / "one"), parts(read(tmp_path / "two"))
    assert parts(forwards) == parts(backwards) == parts(folder)
    held = [
        {name[1:] for name, part in parts(folder).items() if part == "test" and name[0] == c} for c in "ab"
    ]
    assert held[0] != held[1]  # a hash, not the first names of each class
    assert {name: part for name, part in larger.items() if name[0] != "c"} == parts(folder)
    assert forwards.fingerprint == backwards.fingerprint == folder.fingerprint


@pytest.mark.parametrize("form", ["folder", "manifest"])
def test_nothing_is_held_out_beside_unlabeled_clips(tmp_path: Path, form: str) -> None:
    names = [f"{label}/{clip}.mp4" for label in ("a", "b", "unlabeled") for clip in range(4)]
    touch(tmp_path, *names, "c/1.mp4")
    rows = [f"{name},{name[0].strip('u')}" for name in (*names, "c/1.mp4")]
    index = read(tmp_path if form == "folder" else manifest(tmp_path, "path,label", *rows))
    assert [len(index.rows(part)) for part in ("train", "test", "unlabeled")] == [9, 0, 4]
    note = (
        "no split is given: all 9 labeled clips are for training, none is for testing (--folds 5 tests every "
        "labeled clip once, --validation 0.2 keeps some for validation)"
    )
    assert index.of_split == (note,)
    assert note in index.notes
    assert index.sizes == "9 labeled, 4 unlabeled and no test clips, 3 classes"
    folded = fold(index, 2, 0)
    assert note not in folded.notes, "of another way to divide the clips"
    assert len(folded.rows("test")) == 4


def test_a_class_that_cannot_be_divided(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "a/2.mp4", "b/1.mp4")
    assert any("held out of 1 class with one clip: 'b'" in problem for problem in problems(read, tmp_path))
    touch(tmp_path / "ucf", *(f"{c}/v_{c}_g01_c0{k}.avi" for c in "ab" for k in (1, 2)))
    [first, *_] = problems(read, tmp_path / "ucf")
    assert "held out of 2 classes with one source video: 'a', 'b'" in first


@pytest.mark.skipif(not UCF.is_dir(), reason="needs the five-class subset of UCF-101")
def test_real_manifest_and_real_folder() -> None:
    index = read(UCF / "manifest.csv")
    assert (index.name, len(index.ids), index.notes) == ("ucf101_5c", 740, ())
    assert index.classes == ("CricketBowling", "CricketShot", "PizzaTossing", "PlayingCello", "PlayingSitar")
    assert [len(index.rows(part)) for part in ("train", "test", "")] == [534, 206, 0]
    folder = read(UCF)
    assert folder.classes == index.classes
    assert index.groups is not None
    assert folder.groups is not None
    assert sorted(folder.groups.tolist()) == sorted(index.groups.tolist())
    assert sorted(folder.paths) == sorted(index.paths)


def test_clips_for_other_purposes_than_training(tmp_path: Path) -> None:
    """To test, a train part is not needed, nor a second class; to look at files, no label is."""
    touch(tmp_path / "parts", *(f"test/{label}/{clip}.mp4" for label in "ab" for clip in range(2)))
    assert "there is no training clip" in problems(read, tmp_path / "parts")[0]
    assert set(parts(read(tmp_path / "parts", training=False)).values()) == {"test"}
    touch(tmp_path / "one", "a/1.mp4", "a/2.mp4")
    index = read(tmp_path / "one", training=False, unsplit="test")
    assert (index.classes, index.rows("test").tolist()) == (("a",), [0, 1])
    assert index.notes == ("no split is given: all 2 labeled clips are tested",)
    rows = ("path,label,split", "a/1.mp4,a,test", "a/2.mp4,a,test")
    assert len(read(manifest(tmp_path / "one", *rows), training=False).rows("test")) == 2
    touch(tmp_path / "flat", "1.mp4", "2.mp4")
    assert "no videos found" in problems(read, tmp_path / "flat")[0]
    flat = read(tmp_path / "flat", training=False)
    assert parts(flat) == {"1.mp4": "unlabeled", "2.mp4": "unlabeled"}
    assert flat.classes == ()
