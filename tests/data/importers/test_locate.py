"""Files are found at their paths, or by their names."""

from pathlib import Path

import pytest
from helpers.sources import touch

from ssl_video.data.importers.locate import at_their_paths, by_name, leave_out_missing
from ssl_video.data.importers.raw_index import RawIndex, text


def raw(*ids: str, splits: tuple[str, ...] | None = None) -> RawIndex:
    made = RawIndex("list", "set", "", text(ids), text([name.split("/")[0] for name in ids]))
    made.splits = text(splits) if splits else None
    return made


def found(folder: Path, *wanted: str) -> list[str]:
    """Ids of what is found by name; "-" for what is not there and "?" for what is unclear."""
    made = raw(*wanted)
    assert by_name(made, folder) == str(folder) == made.root
    assert made.sizes is not None
    marks = {-1: "-", -2: "?"}
    return [
        marks.get(size, name) for name, size in zip(made.ids.to_pylist(), made.sizes.tolist(), strict=True)
    ]


def test_a_path_comes_before_names(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "a/1.avi", "b/a/1.mp4")
    assert found(tmp_path, "a/1.mp4", "a/1.avi") == ["a/1.mp4", "a/1.avi"]


def test_foreign_folders_and_extensions(tmp_path: Path) -> None:
    touch(tmp_path, "air_drumming/x1.mp4", "air_drumming/x2.WEBM", "Zumba/deep.v2.mkv")
    assert found(
        tmp_path, "/mnt/videos/air drumming/x1.avi", "air-drumming/x2", "C:/zumba/deep.v2", "zumba/deep"
    ) == ["air_drumming/x1.mp4", "air_drumming/x2.WEBM", "Zumba/deep.v2.mkv", "-"]


def test_names_alone_serve_where_the_folders_are_others(tmp_path: Path) -> None:
    touch(tmp_path / "flat", "x1.mp4", "x2.mp4")
    assert found(tmp_path / "flat", "drumming/x1.mp4", "zumba/x2.mp4") == ["x1.mp4", "x2.mp4"]
    touch(tmp_path / "deep", "train/drumming/x1.mp4", "val/zumba/x2.mp4")
    assert found(tmp_path / "deep", "x2.webm", "x1") == ["val/zumba/x2.mp4", "train/drumming/x1.mp4"]


def test_a_file_of_another_known_folder_is_not_taken(tmp_path: Path) -> None:
    # a/2 is missing; b has a file of that name.
    touch(tmp_path, "a/1.mp4", "b/2.mp4")
    assert found(tmp_path, "a/1.avi", "a/2.avi", "b/2.avi") == ["a/1.mp4", "-", "b/2.mp4"]


def test_several_files_of_a_name_are_an_error_with_examples(tmp_path: Path) -> None:
    touch(tmp_path, "train/x/1.mp4", "val/x/1.mp4", "train/x/2.mp4", "train/x/2.avi")
    assert found(tmp_path, "x/1.mp4", "x/2.webm") == ["?", "?"]
    made = raw("x/1.mp4", "x/2.webm")
    by_name(made, tmp_path)
    [problem] = made.problems
    assert "2 names fit several files in" in problem
    assert "x/1.mp4 may be train/x/1.mp4 or val/x/1.mp4; x/2.webm may be train/x/2.avi or" in problem


def test_nothing_outside_is_found(tmp_path: Path) -> None:
    touch(tmp_path, "secret.mp4", "set/a/1.mp4")
    assert found(tmp_path / "set", "../secret.mp4", f"{tmp_path}/secret.mp4", "a/../a/1.mp4") == [
        "-",
        "-",
        "a/1.mp4",
    ]


def test_what_is_there_beyond_the_list(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "a/2.mp4", "a/notes.txt", ".hidden/3.mp4", "b/.4.mp4")
    made = raw("a/1.mp4")
    by_name(made, tmp_path)
    assert made.notes == [f"1 other videos in {tmp_path} are not listed and are left out"]


def test_links_are_followed_and_circles_are_not(tmp_path: Path) -> None:
    touch(tmp_path, "disk/a/1.mp4")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a").symlink_to(tmp_path / "disk/a")
    (tmp_path / "disk/a/again").symlink_to(tmp_path / "disk/a")
    assert found(tmp_path / "set", "a/1.mp4") == ["a/1.mp4"]


def test_an_empty_folder(tmp_path: Path) -> None:
    assert found(tmp_path, "a/1.mp4") == ["-"]


def test_sizes_are_those_of_the_files(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", content=b"123")
    touch(tmp_path, "a/2.mp4", content=b"")
    made = raw("a/1.avi", "a/2.avi", "a/3.avi")
    by_name(made, tmp_path)
    assert made.sizes is not None
    assert made.sizes.tolist() == [3, 0, -1]


def test_missing_files_are_counted_by_part(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.mp4", "a/2.mp4", "b/3.mp4")
    names = ("a/1.mp4", "a/2.mp4", "a/9.mp4", "b/3.mp4", "b/8.mp4", "c/7.mp4")
    splits = ("train", "train", "train", "test", "test", "")
    made = raw(*names, splits=splits)
    leave_out_missing(made, at_their_paths(made, [tmp_path]), "do this", allowed=False)
    assert made.problems == [
        f"3 of 6 files do not exist in {tmp_path}: 'a/9.mp4', 'b/8.mp4', 'c/7.mp4' "
        "(train 1 of 3, test 1 of 2, not used 1 of 1); do this"
    ]
    made = raw(*names, splits=splits)
    leave_out_missing(made, at_their_paths(made, [tmp_path]), "", allowed=True)
    assert not made.problems
    assert made.ids.to_pylist() == ["a/1.mp4", "a/2.mp4", "b/3.mp4"]
    assert made.splits is not None
    assert made.splits.to_pylist() == ["train", "train", "test"]
    assert made.notes == [
        "3 of 6 clips are left out, since their files are missing "
        "(train 1 of 3, test 1 of 2, not used 1 of 1)",
        "1 class has no file at all: 'c'",
    ]


def test_if_every_file_is_missing_the_folder_is_wrong(tmp_path: Path) -> None:
    made = raw("a/1.mp4", "b/1.mp4")
    leave_out_missing(made, at_their_paths(made, [tmp_path]), "do this", allowed=True)
    assert "2 of 2 files do not exist" in made.problems[0]


@pytest.mark.parametrize("check", [True, False])
def test_paths_that_lead_out_are_a_problem_of_every_source(tmp_path: Path, check: bool) -> None:
    touch(tmp_path, "secret.mp4", "set/a/1.mp4")
    made = raw("a/1.mp4", "../secret.mp4", "/etc/passwd")
    at_their_paths(made, [tmp_path / "set"], check=check)
    assert "2 paths lead out of" in made.problems[0]
