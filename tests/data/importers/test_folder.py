"""Folders of class folders -> indexes."""

import os
from pathlib import Path

import pytest
from helpers.input_errors import problems
from helpers.sources import FILES, parts, touch

from ssl_video.data.importers import read


def test_folder_of_class_folders(tmp_path: Path) -> None:
    touch(
        tmp_path / "set", "run/1.MP4", "run/2.avi", "run/.3.mp4", "run/notes.txt", "top.mp4", ".cache/x.mp4"
    )
    touch(tmp_path / "set", "walk it/1.webm", "walk it/2.mov", "walk it/deep/3.mp4", "docs/a.pdf")
    index = read(tmp_path / "set")
    assert index.name == "set"
    assert index.classes == ("run", "walk it")
    clips = ["run/1.MP4", "run/2.avi", "walk it/1.webm", "walk it/2.mov", "walk it/deep/3.mp4"]
    assert index.ids.tolist() == clips
    assert index.paths[2] == str(tmp_path / "set/walk it/1.webm")
    ignored = index.notes[0].split(": ")[1].split(", ")
    assert sorted(ignored) == [
        "1 folders without videos",
        "1 videos outside of class folders",
        "2 files that are not videos",
    ]
    assert index.notes[2].startswith("no split is given: held out 25% of each class as test, by whole source")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("train", "test"), {"train": "train", "test": "test"}),
        (("Train", "validation"), {"Train": "train", "validation": "test"}),
        (("train", "val", "test"), {"train": "train", "val": "", "test": "test"}),
    ],
)
def test_folder_of_parts(tmp_path: Path, names: tuple[str, ...], expected: dict[str, str]) -> None:
    touch(tmp_path, *(f"{part}/{label}/{part}.mp4" for part in names for label in "ab"), "beside/c/1.mp4")
    index = read(tmp_path)
    assert index.classes == ("a", "b")
    assert parts(index) == {f"{n}/{c}/{n}.mp4": part for n, part in expected.items() for c in "ab"}
    assert "1 folders beside train/ and test/" in index.notes[0]


def test_a_train_part_alone(tmp_path: Path) -> None:
    """Nothing is held out of it; beside other class folders it would be a class."""
    touch(tmp_path, *(f"train/{label}/{clip}.mp4" for label in "ab" for clip in range(4)), "unlabeled/x.mp4")
    index = read(tmp_path)
    assert index.classes == ("a", "b")
    assert sorted(parts(index).values()) == ["train"] * 8 + ["unlabeled"]
    assert any(note.startswith("there is no test clip: runs have no accuracy") for note in index.notes)
    (tmp_path / "unlabeled/x.mp4").unlink()
    (tmp_path / "unlabeled").rmdir()
    assert sorted(parts(read(tmp_path)).values()) == ["train"] * 8
    touch(tmp_path, *(f"plane/{clip}.mp4" for clip in range(4)))
    assert read(tmp_path).classes == ("plane", "train")


def test_train_and_test_with_videos_are_classes(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{label}/{k}.mp4" for label in ("train", "test") for k in range(4)))
    assert read(tmp_path).classes == ("test", "train")


def test_problems_of_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert (
        "no videos found (the folder is empty); expected a folder for each"
        in problems(read, tmp_path / "empty")[0]
    )
    touch(tmp_path / "flat", "1.mp4", "2.mp4")
    assert "no videos found (2 videos outside of class folders)" in problems(read, tmp_path / "flat")[0]
    touch(tmp_path / "one", "a/1.mp4", "a/2.mp4")
    assert "all 2 labeled clips are of one class, 'a'" in problems(read, tmp_path / "one")[0]
    touch(tmp_path / "parts", "train/a/1.mp4", "train/b/1.mp4", "test/c/1.mp4")
    assert "1 class has no training clip: 'c'" in problems(read, tmp_path / "parts")[0]
    touch(tmp_path / "bad", "a/1.mp4", "a/2.mp4", "b/1.mp4")
    touch(tmp_path / "bad", "b/2.mp4", content=b"")
    (tmp_path / "bad/b/3.mp4").symlink_to(tmp_path / "nowhere")
    found = problems(read, tmp_path / "bad")
    assert "1 file cannot be read (broken links?): 'b/3.mp4'" in found[0]
    assert "1 file is empty (0 bytes): 'b/2.mp4'" in found[1]
    assert len(problems(read, tmp_path / "bad", root=tmp_path, split="split2")) == 2


def test_file_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, *FILES[:4])
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/a/caf\xe9.mp4")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system only takes UTF-8 names")
    [problem] = problems(read, tmp_path)
    assert "1 file name is not UTF-8: 'a/caf\\udce9.mp4'" in problem


def test_a_level_between_class_and_clip_is_a_source_video(tmp_path: Path) -> None:
    """As in CLASS/subject/clip.mp4; a clip beside such folders is a source video of its own."""
    names = [f"{label}/s{subject}/{clip}.mp4" for label in "AB" for subject in range(3) for clip in range(2)]
    touch(tmp_path, *names, "A/loose.mp4", "A/s0/deeper/3.mp4")
    index = read(tmp_path)
    assert index.ids.tolist() == sorted([*names, "A/loose.mp4", "A/s0/deeper/3.mp4"])
    assert index.classes == ("A", "B")
    assert index.groups is not None
    groups = dict(zip(index.ids.tolist(), index.groups.tolist(), strict=True))
    assert groups["A/s1/0.mp4"] == groups["A/s1/1.mp4"] == "A/s1"
    assert (groups["A/loose.mp4"], groups["A/s0/deeper/3.mp4"]) == ("A/loose.mp4", "A/s0/deeper")
    assert (
        "13 clips are in folders inside class folders, which count as source videos (groups)" in index.notes
    )
    sides = parts(index)
    assert all(
        sides[f"{label}/s{n}/0.mp4"] == sides[f"{label}/s{n}/1.mp4"] for label in "AB" for n in range(3)
    )
