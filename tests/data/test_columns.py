"""Columns: strings and categories without a Python object per row."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from helpers.sources import manifest

from ssl_video.data.columns import Category, Paths, Strings, mapped
from ssl_video.data.importers import index_file, read
from ssl_video.errors import InputError

WORDS = ["b", "", "ä/ü", "a", "b", "𝄞"]


@pytest.mark.parametrize(
    "values",
    [
        pa.array(WORDS),
        pa.array(WORDS, pa.large_string()),
        pa.chunked_array([WORDS[:2], WORDS[2:]]),
        pa.array(["left out", *WORDS, "left out"])[1:7],
    ],
    ids=["string", "large", "chunks", "slice"],
)
def test_strings_are_a_sequence_whatever_they_come_as(values: pa.Array) -> None:
    strings = Strings(values)
    assert len(strings) == 6
    assert list(strings) == strings.tolist() == WORDS
    assert strings[2] == strings[np.int64(2)] == "ä/ü"
    assert strings[-1] == "𝄞"
    assert strings[1:3].tolist() == ["", "ä/ü"]
    assert strings[np.array([5, 0, 0])].tolist() == ["𝄞", "b", "b"]
    assert strings[np.array([True, False, False, True, False, False])].tolist() == ["b", "a"]
    assert strings[np.array([], np.int64)].tolist() == []
    assert [WORDS[row] for row in strings.order()] == sorted(WORDS)
    assert pickle.loads(pickle.dumps(strings)).tolist() == WORDS


def test_the_hash_is_one_of_number_lengths_and_bytes() -> None:
    def digest(values: pa.Array) -> str:
        hasher = hashlib.sha256()
        Strings(values).hash_into(hasher)
        return hasher.hexdigest()

    expected = hashlib.sha256((2).to_bytes(8, "little") + np.array([1, 2]).astype("<i8").tobytes() + b"abc")
    assert digest(pa.array(["a", "bc"])) == expected.hexdigest()
    assert digest(pa.array(["x", "a", "bc", "y"])[1:3]) == expected.hexdigest()
    assert len({digest(pa.array(x)) for x in (["a", "bc"], ["ab", "c"], ["abc"], ["abc", ""])}) == 4
    empty = hashlib.sha256((0).to_bytes(8, "little")).hexdigest()
    assert digest(pa.array([], pa.string())) == digest(pa.array(["a"])[:0]) == empty


def test_categories_have_sorted_names_or_those_given() -> None:
    category = Category.of(["b", "a", "b", "c"])
    assert category.names.tolist() == ["a", "b", "c"]
    assert category.codes.tolist() == [1, 0, 1, 2]
    assert category.codes.dtype == np.int64
    assert (len(category), category[3]) == (4, "c")
    assert category.tolist() == ["b", "a", "b", "c"]
    assert category.rows("b", "c", "d").tolist() == [0, 2, 3]
    assert category.rows().tolist() == []
    given = Category.of(pa.chunked_array([["b"], ["a"]]), ["", "b", "a", "never"])
    assert given.codes.tolist() == [1, 2]
    assert given.names.tolist() == ["", "b", "a", "never"]
    assert Category.of([]).tolist() == []
    assert Category.of([]).rows("a").tolist() == []
    for one in (category, given):
        again = pickle.loads(pickle.dumps(one))
        assert again.tolist() == one.tolist()
        assert Category.of(one.array()).tolist() == one.tolist()


def test_paths_are_put_together_and_stay_below_their_folder() -> None:
    paths = Paths("/data", Strings(pa.array(["a/1.mp4", "a..b/..c.mp4"])))
    assert list(paths) == [paths[0], paths[1]] == ["/data/a/1.mp4", "/data/a..b/..c.mp4"]
    assert list(paths[1:]) == ["/data/a..b/..c.mp4"]
    for name in ("../a.mp4", "a/../../b.mp4", "/etc/passwd", "a/..", "a\0b"):
        outside = Paths("/data", Strings(pa.array([name])))
        with pytest.raises(InputError, match="does not lie in /data"):
            outside[0]
        with pytest.raises(InputError, match="does not lie in /data"):
            list(outside)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = [f"{c}/{k:04}.mp4,{c},{part}" for c in "ab" for k, part in enumerate(["train", "test"] * 500)]
    path = tmp_path / "set.arrow"
    index_file.write(read(manifest(tmp_path, "path,label,split", *rows), check=False), path)
    return path


def test_columns_of_a_file_are_sent_by_its_name(file: Path) -> None:
    index = read(file)
    sent = pickle.dumps(index)
    # 2,000 names of 10 bytes are not among it.
    assert len(sent) < 1500
    again = pickle.loads(sent)
    assert again.ids.tolist() == index.ids.tolist()
    assert again.splits.tolist() == index.splits.tolist()
    assert again.fingerprint == index.fingerprint
    assert len(pickle.dumps(index.paths)) < 500


def test_a_file_that_changed_is_not_read_as_if_it_had_not(file: Path) -> None:
    sent, changed = pickle.dumps(read(file)), file.with_name("changed")
    changed.write_bytes(file.read_bytes() + b" ")
    changed.replace(file)
    mapped.cache_clear()  # a worker starts with none
    with pytest.raises(InputError, match="was changed while it was in use"):
        pickle.loads(sent)
    file.unlink()
    with pytest.raises(InputError, match="cannot read the index file"):
        pickle.loads(sent)


def test_a_row_without_a_value() -> None:
    """Its code is -1: it reads as nothing, and no name finds it, not even the last one."""
    made = Category(np.array([1, -1, 0]), Strings(pa.array(["a", "b"])))
    assert made.tolist() == ["b", "", "a"]
    assert [made[row] for row in range(3)] == ["b", "", "a"]
    assert (made.rows("b").tolist(), made.rows("a", "b").tolist(), made.rows("").tolist()) == (
        [0],
        [0, 2],
        [],
    )


def test_paths_in_other_folders() -> None:
    ids = Strings(pa.array(["a/1.mp4", "more/2.mp4", "more", "more/../3.mp4"]))
    paths = Paths("/data", ids, {"more": "/archive"})
    assert [paths[row] for row in range(3)] == ["/data/a/1.mp4", "/archive/2.mp4", "/data/more"]
    assert list(paths[1:2]) == ["/archive/2.mp4"]
    with pytest.raises(InputError):
        paths[3]
