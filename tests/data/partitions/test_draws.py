"""Draws: nested, uniform, a function of names alone, and known by their fingerprints."""

import dataclasses
import hashlib
import itertools
import re

import numpy as np
import pyarrow as pa
import pytest
from helpers.partitions import labeled, make_index

from ssl_video.data.columns import Category, Strings
from ssl_video.data.index import Index
from ssl_video.data.names import stem
from ssl_video.data.partitions import partition
from ssl_video.data.partitions.partition import Partition
from ssl_video.data.partitions.stems import hashes, stems


def strings_of(texts: list[str]) -> Strings:
    return Strings(pa.array(texts, pa.large_string()))


def fingerprint(index: Index, part: Partition) -> str:
    """Numbers, lengths and bytes of class names and ids; numbers of the labeled clips' classes."""
    hasher = hashlib.sha256()
    for texts in (
        index.label.names,
        *(index.ids[rows] for rows in (part.labeled, part.unlabeled, part.test)),
    ):
        encoded = [text.encode() for text in texts]
        for number in (len(encoded), *map(len, encoded)):
            hasher.update(number.to_bytes(8, "little"))
        hasher.update(b"".join(encoded))
    for row in part.labeled:
        hasher.update(int(index.labels[row]).to_bytes(8, "little"))
    return hasher.hexdigest()[:12]


# Draws


@pytest.mark.parametrize("words", ["", "+global", "+balanced", "+floor", "+groups", "+global+ceil+groups"])
def test_draws_are_nested(words: str) -> None:
    ids = [f"{c}/{c}{k:03d}.mp4" for c in "abc" for k in range(100)]
    index = make_index(ids, groups=[f"g{k // 3}" for _ in "abc" for k in range(100)])
    for draw in range(5):
        sets = [
            labeled(index, partition.make(index, f"percent:{p}{words}", draw=draw)) for p in (1, 5, 10, 60)
        ]
        assert all(small < large for small, large in itertools.pairwise(sets))
        assert [len(each) for each in sets] == [3, 15, 30, 180]


def test_kinds_of_draws_are_nested_in_each_other() -> None:
    index = make_index([f"{c}/{k:02d}.mp4" for c in "abc" for k in range(20)])
    chain = [partition.make(index, p, draw=7) for p in ("per-class:1", "percent:20", "per-class:10")]
    first, second, third = (labeled(index, part) for part in chain)
    assert first < second < third
    # Classes are drawn independently: the same names in all classes would be no draw.
    by_class = [{name.split("/")[1] for name in third if name[0] == c} for c in "abc"]
    assert by_class[0] != by_class[1] != by_class[2] != by_class[0]


@pytest.mark.parametrize("protocol", ["per-class:4", "percent:20+global", "per-class:4+groups"])
def test_draws_differ(grouped: Index, protocol: str) -> None:
    drawn = [labeled(grouped, partition.make(grouped, protocol, draw=draw)) for draw in range(20)]
    assert len(set(map(frozenset, drawn))) > 15  # of source videos there are 125 choices


@pytest.mark.parametrize("protocol", ["per-class:2", "percent:40+global"])
def test_draws_are_uniform(protocol: str) -> None:
    index = make_index([f"{c}/{k}.mp4" for c in "ab" for k in range(5)])
    rows = np.concatenate([partition.make(index, protocol, draw=draw).labeled for draw in range(500)])
    # Each clip is labeled with probability 2/5: 200 of 500 times, standard deviation 11.
    assert np.abs(np.bincount(rows, minlength=10) - 200).max() < 50


def reference(text: bytes, seed: int) -> int:
    """The hash of a name, with Python's integers."""
    ones = 2**64 - 1

    def mix(number: int) -> int:
        number = (number + 0x9E3779B97F4A7C15) & ones
        number = ((number ^ number >> 30) * 0xBF58476D1CE4E5B9) & ones
        number = ((number ^ number >> 27) * 0x94D049BB133111EB) & ones
        return number ^ number >> 31

    number = mix(seed ^ len(text))
    for start in range(0, len(text), 8):
        number = mix(number ^ int.from_bytes(text[start : start + 8], "little"))
    return number


def test_hashes_of_names() -> None:
    texts = ["", "a", "12345678", "123456789", "v_Archery_g01_c02", "höchst 出", "a\0", "\0"] * 2
    strings = strings_of(texts)
    seeds = np.arange(len(texts), dtype=np.uint64) * np.uint64(2**60 + 1)
    expected = [reference(text.encode(), int(seed)) for text, seed in zip(texts, seeds, strict=True)]
    assert hashes(strings, seeds).tolist() == expected
    assert hashes(strings[3:9], seeds[3:9]).tolist() == expected[3:9]
    assert len(set(expected)) == len(texts)  # "a", "a\0", "", "\0" and equal texts with other seeds
    # SplitMix64's first numbers for the seed 0 (Vigna's splitmix64.c), which are mix(0), mix(increment)
    assert reference(b"", 0) == 0xE220A8397B1DCDAF
    assert reference(b"", 0x9E3779B97F4A7C15) == 0x6E789E6AA1B965F4


def test_stems_are_those_of_names() -> None:
    paths = ["a/b.c/v.mp4", "v.MP4", "a/1.5", "x/y.avi.mp4", "a/#20_x(1)!.avi", "é/ü.webm", "no", "a/b.mp4x"]
    assert stems(strings_of(paths)).tolist() == [stem(path) for path in paths]


def test_a_draw_is_the_same_for_ever() -> None:
    """A change here would silently change everybody's labeled clips."""
    index = make_index([f"{c}/{k}.mp4" for c in ("jump", "run") for k in range(8)])
    part = partition.make(index, "per-class:3", draw=1)
    expected = list[int]()
    for number, name in enumerate(("jump", "run")):
        seed = int.from_bytes(hashlib.sha256(f"1\0{name}".encode()).digest()[:8], "little")
        order = sorted(range(8), key=lambda k: reference(str(k).encode(), seed))
        expected += sorted(8 * number + k for k in order[:3])
    assert part.labeled.tolist() == expected == [0, 6, 7, 11, 13, 14]
    assert part.fingerprint == fingerprint(index, part) == "3a1d2ec761be"


@pytest.mark.parametrize("protocol", ["percent:40", "percent:40+global", "percent:40+groups"])
def test_a_draw_depends_on_names_alone(protocol: str) -> None:
    ids = [f"{c}/{c}{k:02d}.mp4" for c in "abc" for k in range(20)]
    groups = [f"g{k // 4}" for _ in "abc" for k in range(20)]
    index = make_index(ids, groups=groups)
    first = [stem(name) for name in sorted(labeled(index, partition.make(index, protocol, draw=2)))]
    # Elsewhere the clips lie in other folders, in another order, as other files, with more classes around.
    places = {"a": "z/a", "b": "y/b", "c": "x/c", "q": "q/q"}
    other = sorted(
        (f"{places[c]}/{c}{k:02d}.avi", c, f"g{k // 4}")
        for c in ("abc" if "global" in protocol else "abcq")
        for k in range(20)
    )
    elsewhere = make_index([o[0] for o in other], labels=[o[1] for o in other], groups=[o[2] for o in other])
    second = labeled(elsewhere, partition.make(elsewhere, protocol, draw=2))
    assert sorted(stem(name) for name in second if not name.startswith("q")) == first


@pytest.mark.parametrize("words", ["", "+global", "+groups"])
def test_a_clip_that_is_missing_changes_nothing_about_the_others(grouped: Index, words: str) -> None:
    whole = partition.make(grouped, f"percent:50{words}", draw=4)
    lost = whole.labeled[3]
    less = labeled(grouped, partition.make(grouped.without(np.array([lost])), f"percent:50{words}", draw=4))
    # It makes room for one more, or for none where the number goes down with it.
    assert labeled(grouped, whole) - less == {grouped.ids[lost]}
    assert len(less - labeled(grouped, whole)) <= 1


# Fingerprints


def test_fingerprint_stands_for_clips_and_classes(index: Index) -> None:
    part = partition.make(index, "per-class:1")
    assert re.fullmatch("[0-9a-f]{12}", part.fingerprint)
    # The same clips by another rule
    chosen = Category.of(np.isin(np.arange(26), part.labeled).astype(int).astype(str).tolist())
    with_chosen = dataclasses.replace(index, columns={"chosen": chosen}, name="x", root="/elsewhere")
    assert partition.make(with_chosen, "column:chosen").fingerprint == part.fingerprint
    # Another name of a class, another name of a test clip
    names = strings_of(["jump", "run", "walk"])
    renamed = dataclasses.replace(with_chosen, label=Category(index.labels, names))
    moved = dataclasses.replace(with_chosen, ids=strings_of([*index.ids[:25], "walk it/w52.mp4"]))
    # A clip less in test, a clip less in train
    smaller = [with_chosen.without(np.array([row])) for row in (25, int(part.unlabeled[0]))]
    # Another class of a labeled clip
    labels = index.labels.copy()
    labels[part.labeled[0]] = 1
    relabeled = dataclasses.replace(with_chosen, label=Category(labels, index.label.names))
    others = [partition.make(other, "column:chosen") for other in (renamed, moved, *smaller, relabeled)]
    assert len({part.fingerprint, *(other.fingerprint for other in others)}) == 6


def test_fingerprint_of_a_partition_with_validation(index: Index) -> None:
    part = partition.make(index, "percent:100", validation=1)
    assert fingerprint(index, part) != part.fingerprint
    # The same labeled and unlabeled clips, with those for validation out of use
    without = partition.make(index.without(part.validation), "percent:100")
    assert without.labeled.tolist() == part.labeled.tolist()
    assert without.fingerprint != part.fingerprint
    assert fingerprint(index, without) == without.fingerprint
