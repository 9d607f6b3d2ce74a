"""Lines of published lists."""

from pathlib import Path

import pytest
from helpers.input_errors import problems
from helpers.paths import LISTS
from helpers.sources import manifest, needs_lists

from ssl_video.data.importers.list_file import ListEntry, read
from ssl_video.data.names import folder, key, stem


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a b/x.avi 12", ListEntry("a b/x.avi", "", 12)),
        ("a/x.AVI 300 12", ListEntry("a/x.AVI", "", 12)),
        ("a/x 300 12", ListEntry("a/x", "", 12)),
        ("a/x 12", ListEntry("a/x", "", 12)),
        ("a/x.webm", ListEntry("a/x.webm", "", None)),
        ("a/x", ListEntry("a/x", "", None)),
        ("a/x.mp4 air drumming", ListEntry("a/x.mp4", "air drumming", None)),
        ("a/x.mp4 300 air drumming", ListEntry("a/x.mp4", "air drumming", None)),
        ("a/x.avi*0", ListEntry("a/x.avi", "", 0)),
        ("a\\x.avi 1", ListEntry("a/x.avi", "", 1)),
        ('"a,b/x.avi",air drumming', ListEntry("a,b/x.avi", "air drumming", None)),
        ("a/x.avi,007", ListEntry("a/x.avi", "", 7)),
        ("a/x.avi " + 5000 * "9", ListEntry("a/x.avi", 5000 * "9", None)),
    ],
)
def test_forms_of_a_line(tmp_path: Path, line: str, expected: ListEntry) -> None:
    assert read(manifest(tmp_path, "# a comment", "", line, "#", f" {line} ")) == [expected, expected]


def test_a_header_names_columns_wherever_they_are(tmp_path: Path) -> None:
    file = manifest(tmp_path, "label,split,Path", "zumba,train,a/1.mp4", "3,train,a/2.mp4")
    assert read(file) == [ListEntry("a/1.mp4", "zumba", None), ListEntry("a/2.mp4", "", 3)]
    assert read(manifest(tmp_path, "split,path", "train,a/1.mp4")) == [ListEntry("a/1.mp4", "", None)]


def test_lists_that_are_none(tmp_path: Path) -> None:
    assert "has no entries" in problems(read, manifest(tmp_path, "# nothing", ""))[0]
    found = problems(read, manifest(tmp_path, "a/1.avi*3", "# x", "a/2*avi*3", "a/3.avi*x"))
    assert "expected path*number, found 'line 3: a/2*avi*3', 'line 4: a/3.avi*x'" in found[0]
    assert "expected 2 fields, as in the first line" in problems(read, manifest(tmp_path, "a,1", "b,2,3"))[0]


def test_names() -> None:
    assert [stem(name) for name in ("a/b.c.MP4", "a.b/c", "x.txt")] == ["b.c", "c", "x.txt"]
    assert [folder(name) for name in ("a/b/c.mp4", "c.mp4")] == ["b", ""]
    assert key("Air_Drumming") == key("air-drumming") == key("air drumming") == "airdrumming"
    assert key("massaging person's head") == key("massaging_persons_head")


@needs_lists
def test_published_lists_count_from_0_or_from_1() -> None:
    for name, lowest, highest, count in (
        ("videossl/ucf101/ssl_sub101c_100p_labeled0.lst", 1, 101, 9537),
        ("videossl/hmdb51/ssl_sub51c_40p_labeled0.lst", 0, 50, 2094),
        ("video-data-aug/hmdb51/hmdb51_val_split_1_rawframes.txt", 0, 50, 1530),
        ("svformer/list_k400_10/train.csv", 0, 399, 24000),
        ("ltg/kinetics400/videossl_splits/kinetics400_train_1_percent_labeled_rawframes.txt", 0, 399, 2400),
    ):
        numbers = [entry.number or 0 for entry in read(LISTS / name)]
        assert (min(numbers), max(numbers), len(numbers)) == (lowest, highest, count)
