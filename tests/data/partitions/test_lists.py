"""Lists in every format that they are published in -> rows of an index."""

import re
from pathlib import Path

import pytest
from helpers.partitions import labeled, make_index, problem
from helpers.paths import SHARED

from ssl_video.data.importers import read
from ssl_video.data.index import Index
from ssl_video.data.partitions import partition
from ssl_video.data.partitions.partition import Partition
from ssl_video.errors import InputError

UCF = SHARED / "data/ucf101_5c/manifest.csv"
needs_shared = pytest.mark.skipif(not UCF.is_file(), reason="needs the published lists and UCF-101 subset")


def from_list(index: Index, folder: Path, *lines: str, end: str = "\n") -> Partition:
    (folder / "list").write_bytes((end.join(lines) + end).encode())
    return partition.make(index, str(folder / "list"))


@pytest.mark.parametrize(
    "lines",
    [
        ("jump/j01.avi 0", "run/r02.avi 1"),
        ("/mnt/blob/data set/jump/j01.avi 0", "/mnt/blob/data set/run/r02.avi 1"),
        ("jump/j01 104 0", "run/r02 99 1"),
        ("jump/j01", "run/r02"),
        ("jump/j01.avi*1", "run/r02.avi*2"),
        ("jump/j01.mp4,0", "run/r02.mp4,1"),
        ("path,label", "jump/j01.mp4,jump", "run/r02.mp4,run"),
        ("label,path,frames", "jump,jump/j01.mp4,5", "run,run/r02.mp4,6"),
        ("j01.avi 0", "r02.avi 1"),
        ("j01.avi,0", "r02.avi,1"),
        ("videos/j01.avi jump", "videos/r02.avi run"),
        ("C:\\data\\jump\\j01.avi 0", "C:\\data\\run\\r02.avi 1"),
        ("JUMP/j01 104 0", "", "# a comment", "#", "run/r02 99 1", "run/r02 99 1"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_formats(index: Index, tmp_path: Path, lines: tuple[str, ...], end: str) -> None:
    part = from_list(index, tmp_path, *lines, end=end)
    assert labeled(index, part) == {"jump/j01.mp4", "run/r02.mp4"}
    assert part.notes == ("1 class has no labeled clip: 'walk it'",)
    again = partition.make(index, f"list:{tmp_path}/list", draw=4)
    assert again.fingerprint == part.fingerprint


def test_spelling_of_classes(index: Index, tmp_path: Path) -> None:
    for name in ("walk_it", "Walk-It", "walk it"):
        part = from_list(index, tmp_path, f"{name}/w00 3 4", "jump/j00 3 4")
        assert labeled(index, part) == {"walk it/w00.mp4", "jump/j00.mp4"}


def test_odd_names(tmp_path: Path) -> None:
    # HMDB-51 has names that start with #, names with brackets and dots, and names with exclamation marks.
    ids = ["a/#20_x_0.avi", "a/b(1)_v.2_x!.avi", "b/1 2.avi", "b/3.avi"]
    index = make_index(ids)
    frames = ["a/#20_x_0 5 0", "a/b(1)_v.2_x! 5 0", "b/1 2 5 0"]
    for lines in ([f"{name} 0" for name in ids[:3]], frames, [name[2:] for name in frames]):
        assert labeled(index, from_list(index, tmp_path, *lines)) == set(ids[:3])


def test_equal_names_in_several_folders(tmp_path: Path) -> None:
    index = make_index(["a/1.mp4", "a/2.mp4", "b/1.mp4", "b/3.mp4"])
    part = from_list(index, tmp_path, "/x/a/1.avi 0", "/x/b/1.avi 0", "/x/b/3.avi 0")
    assert labeled(index, part) == {"a/1.mp4", "b/1.mp4", "b/3.mp4"}
    assert labeled(index, from_list(index, tmp_path, "/x/b/1.avi 0")) == {"b/1.mp4"}
    with pytest.raises(InputError, match=r"1 of 2 entries fit several clips: '1\.avi'"):
        from_list(index, tmp_path, "1.avi 0", "2.avi 0")
    # The name is unique, but the clip is of another class than the list says.
    with pytest.raises(InputError, match=r"1 of 2 entries are not among the clips.*: 'b/2\.avi'"):
        from_list(index, tmp_path, "b/2.avi 0", "a/1.avi 1")


def test_equal_names_in_train_and_test(tmp_path: Path) -> None:
    ids = [f"{part}/{label}/1.mp4" for part in ("test", "train") for label in "ab"]
    index = make_index(ids, ["test", "test", "train", "train"], labels=["a", "b", "a", "b"])
    assert labeled(index, from_list(index, tmp_path, "train/a/1.mp4 0")) == {"train/a/1.mp4"}
    with pytest.raises(InputError, match="1 of 2 entries fit several clips"):
        from_list(index, tmp_path, "train/a/1.mp4 0", "b/1.mp4 0")


def test_folders_that_are_not_classes(tmp_path: Path) -> None:
    # Clips lie in folders by camera, and the manifest names classes by number.
    index = make_index(["left/1.mp4", "left/2.mp4", "right/1.mp4"], labels=["0", "0", "1"])
    assert labeled(index, from_list(index, tmp_path, "/x/left/1.avi 0", "/x/right/1.avi 1")) == {
        "left/1.mp4",
        "right/1.mp4",
    }


@pytest.mark.parametrize(
    "foreign",
    [
        ("fly/f01.avi 7", "fly/j02.avi 7"),
        ("v_Fly_g01_c01.avi 7", "v_Fly_g01_c02.avi 7"),
        ("f1.avi fly", "j02.avi fly"),
    ],
)
def test_entries_of_foreign_classes_are_left_out(
    index: Index, tmp_path: Path, foreign: tuple[str, str]
) -> None:
    part = from_list(index, tmp_path, "jump/j01.avi 0", *foreign)
    assert labeled(index, part) == {"jump/j01.mp4"}
    assert part.notes[0].startswith("2 of 3 entries of ")
    assert part.notes[0].endswith("are of classes that small does not have: left out")


def test_problems_of_lists_at_once(index: Index, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        from_list(index, tmp_path, "jump/j01.avi 0", "jump/j99.avi 0", "run/r50.avi 1", "fly/f.avi 2")
    first, second = caught.value.problems
    assert "1 of 4 entries are not among the clips: 'jump/j99.avi'" in first
    assert "1 of 4 entries are clips for testing" in second
    assert "'run/r50.avi'" in second


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "has no entries"),
        ("# only a comment\n", "has no entries"),
        ("path,label\n", "has no entries"),
        ('"run/r01.mp4,run\n', "not valid CSV"),
        ("fly/f01.avi 1\nswim/s01.avi 2\n", "none of its 2 entries is a clip of small: it has 'fly/f01.avi'"),
        ("jump/j01.avi*1\njump/j02.avi*1run/r02.avi*2\n", "'line 2: jump/j02.avi.1run/r02.avi.2'; fix"),
        ("jump/j01.avi*1\njump/j02.avi*x\n", "expected path.number, found 'line 2"),
        ("path,label\nrun/r01.mp4,run\njump/j,01.mp4,jump\n", "expected 2 fields.*'jump/j,01.mp4,jump'"),
        ("jump/caf\xe9.avi 1\n", "not a text file in UTF-8"),
    ],
)
def test_lists_that_cannot_be_used(index: Index, tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "list.txt").write_bytes(text.encode("latin-1"))
    assert re.search(expected, problem(index, f"list:{tmp_path}/list.txt"))


# Clips that are not there


def test_what_is_available(tmp_path: Path) -> None:
    ids = [f"a/{k}.mp4" for k in range(4)] + ["b/0.mp4", "b/1.mp4"]
    index = make_index(ids, ["train", "train", "", "test", "train", "test"])
    path = tmp_path / "list.txt"
    path.write_text("a/0.avi 0\na/2.avi 0\na/9.avi 0\nb/0.avi 1\n")
    first, second = problem(index, str(path)).split("\n")
    assert "1 of 4 entries are not among the clips: 'a/9.avi'; to leave them out, add +available" in first
    assert "1 of 4 entries are clips that are not in use (another split?): 'a/2.avi'; to leave" in second
    for form in (f"{path}+available", f"list:{path}+available"):
        part = partition.make(index, form)
        assert labeled(index, part) == {"a/0.mp4", "b/0.mp4"}
        assert part.notes[0] == f"2 of 4 entries of {path} are not among the clips in use: left out"
    # Test clips stay an error: to leave them out would hide that the list is for another split.
    path.write_text("a/0.avi 0\na/3.avi 0\n")
    assert "1 of 2 entries are clips for testing" in problem(index, f"{path}+available")


def test_a_file_whose_name_ends_like_a_word(index: Index, tmp_path: Path) -> None:
    (tmp_path / "a+b").write_text("jump/j01.avi 0\n")
    assert labeled(index, partition.make(index, str(tmp_path / "a+b"))) == {"jump/j01.mp4"}


# Published lists


@needs_shared
@pytest.mark.parametrize(
    ("column", "files", "count"),
    [
        ("svformer_1p", ["svformer/list_ucf_1/train.csv"], 5),
        ("svformer_10p", ["svformer/list_ucf_10/train.csv"], 50),
        *(
            (
                f"videossl_{p}p",
                [
                    f"videossl/ucf101/ssl_sub101c_{p}p_labeled0.lst",
                    f"video-data-aug/ucf101/videossl_splits/ucf101_train_{p}_percent_labeled_split_1_rawframes.txt",
                ],
                count,
            )
            for p, count in ((5, 27), (10, 57), (20, 111), (50, 274))
        ),
    ],
)
def test_published_lists_equal_the_columns_of_the_subset(column: str, files: list[str], count: int) -> None:
    index = read(UCF)
    by_column = partition.make(index, f"column:{column}")
    assert len(by_column.labeled) == count
    assert len(by_column.unlabeled) == 534 - count
    for file in files:
        by_list = partition.make(index, str(SHARED / "lists" / file))
        assert by_list.labeled.tolist() == by_column.labeled.tolist()
        assert by_list.fingerprint == by_column.fingerprint


@needs_shared
def test_lists_of_another_split_are_refused() -> None:
    index = read(UCF)
    assert "206 of 9586 entries are clips for testing" in problem(
        index, str(SHARED / "lists/ucf101_official/trainlist02.txt")
    )
    assert "labels" in problem(read(UCF, split="split2"), "column:videossl_50p")
    official = partition.make(index, str(SHARED / "lists/ucf101_official/trainlist01.txt"))
    assert len(official.labeled) == 534
