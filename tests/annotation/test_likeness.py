"""Which clips are like each other: copies of files, and neighbours in a recording."""

import os
from pathlib import Path

import pytest

from ssl_video.annotation.likeness import Likeness, contents, united
from ssl_video.data.importers import to_label


def like(*names: str) -> list[list[int]]:
    """Return the rows that each of some clips is like."""
    found = Likeness([to_label.video(name) for name in names])
    return [found(row).tolist() for row in range(len(names))]


def test_copies_have_the_same_content(tmp_path: Path) -> None:
    for name, text in (("a", "one"), ("b", "two"), ("c", "one"), ("d", "three"), ("e", "one")):
        (tmp_path / f"{name}.mp4").write_text(text)
    (tmp_path / "link.mp4").symlink_to(tmp_path / "d.mp4")
    names = [str(tmp_path / f"{name}.mp4") for name in ("a", "b", "c", "d", "e", "link", "absent")]
    assert like(*names) == [[0, 2, 4], [1], [0, 2, 4], [3, 5], [0, 2, 4], [3, 5], [6]]


def test_folders_of_pictures(tmp_path: Path) -> None:
    for folder, text in (("a", "one"), ("b", "one"), ("c", "two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.png").write_text(text)
    found = contents([str(tmp_path / name) for name in "abc"])
    assert found[0] == found[1] != found[2]


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        (tmp_path / name).write_text("same")
    monkeypatch.setattr("ssl_video.data.frames.video_facts.digest", lambda name: os.stat(f"{name}/absent"))
    assert len(set(contents([str(tmp_path / name) for name in "ab"]))) == 2


def test_neighbours_in_a_recording(tmp_path: Path) -> None:
    """Parts of ten seconds are alike up to gaps of less than ten."""
    file = tmp_path / "a.mp4"
    parts = ("0,10", "10,20", "20,30", "15,18", "39,49", "40,50")
    found = like(*(f"{file}#t={part}" for part in parts))
    # The third part of three seconds lies in the second, and is two seconds from the third.
    assert found == [[0, 1], [0, 1, 2, 3], [1, 2, 3, 4], [1, 2, 3], [2, 4, 5], [4, 5]]


def test_parts_and_whole_files(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    assert like(f"{file}#t=50,60", str(file), f"{tmp_path}/b.mp4#t=50,60") == [[0, 1], [0, 1], [2]]
    assert like(f"{file}#t=0,10", f"{file}#t=25", f"{file}#f=900,910") == [[0, 2], [1, 2], [0, 1, 2]]


def test_copies_of_parts(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.mp4").write_text("same")
    names = ("a.mp4#t=0,10", "b.mp4#t=0,10", "b.mp4#t=10,20", "b.mp4")
    found = Likeness([to_label.video(tmp_path / name) for name in names])
    assert [found.copies(row) for row in range(4)] == [[0, 1], [0, 1], [2], [3]]


def test_sets_of_clips_that_share_a_file_or_a_source() -> None:
    """The first and the fifth have nothing in common but the third: its file, and its source video."""
    files, sources = [1, 2, 1, 3, 4, 5], [None, "x", "y", None, "y", "x"]
    found = united(files, sources).tolist()
    assert found[0] == found[2] == found[4]
    assert found[1] == found[5]
    assert len({found[0], found[1], found[3]}) == 3
    # A number of a file is no name of a source.
    assert len(set(united([1, 2], [2, 1]).tolist())) == 2
