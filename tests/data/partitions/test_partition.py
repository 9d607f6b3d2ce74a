"""Protocols -> partitions: drawn rules, columns, the validation part, fingerprints."""

import dataclasses
import hashlib
import itertools
import re
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from drawn import labeled, problem
from indexes import make_index

from ssl_video.data.columns import Category, Strings
from ssl_video.data.index import PARTS, Index
from ssl_video.data.names import stem
from ssl_video.data.partitions import partition, published
from ssl_video.data.partitions.partition import Partition
from ssl_video.data.partitions.protocols import Percent
from ssl_video.data.partitions.stems import hashes, stems
from ssl_video.errors import InputError


def strings_of(texts: list[str]) -> Strings:
    return Strings(pa.array(texts, pa.large_string()))


def counts(index: Index, protocol: str, draw: int = 0) -> list[int]:
    rows = partition.make(index, protocol, draw=draw).labeled
    return np.bincount(index.labels[rows], minlength=len(index.classes)).tolist()


# Three classes of 20 clips, four of each source video. The name g0 stands for another one in each class.
@pytest.fixture
def grouped() -> Index:
    ids = [f"{c}/{c}{k:02d}.mp4" for c in "abc" for k in range(20)]
    return make_index(ids, groups=[f"g{k // 4}" for _ in "abc" for k in range(20)])


def units(index: Index, rows: np.ndarray) -> set[tuple[int, str]]:
    assert index.groups
    return {(int(index.labels[row]), index.groups[row]) for row in rows}


# Parts


def test_parts_cover_the_index_without_overlap(index: Index) -> None:
    part = partition.make(index, "percent:50", draw=3)
    assert (part.protocol, part.draw, part.labeled_in_unlabeled) == ("percent:50", 3, False)
    both = np.concatenate([part.labeled, part.unlabeled])
    assert sorted(both.tolist()) == index.rows("train").tolist()
    assert part.test.tolist() == index.rows("test").tolist() == [12, 13, 21, 22, 24, 25]
    assert part.validation.tolist() == []
    assert all((np.diff(rows) > 0).all() for rows in (part.labeled, part.unlabeled, part.test))
    larger = partition.make(index, "percent:50", draw=3, labeled_in_unlabeled=True)
    assert larger.unlabeled.tolist() == index.rows("train").tolist()
    assert larger.labeled.tolist() == part.labeled.tolist()
    assert larger.fingerprint != part.fingerprint


def test_unused_clips_are_in_no_part(index: Index) -> None:
    part = partition.make(index.without(np.array([0, 12])), "per-class:1", labeled_in_unlabeled=True)
    assert part.unlabeled.tolist() == [*range(1, 12), *range(14, 21), 23]
    assert part.test.tolist() == [13, 21, 22, 24, 25]


# Numbers of clips


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("per-class:1", [1, 1, 1]),
        ("percent:100", [12, 7, 1]),
        ("percent:50", [6, 4, 1]),  # 6, 3.5 -> 4, 0.5 -> 1
        ("percent:50+floor", [6, 3, 1]),  # 0.5 -> 0 -> 1
        ("percent:50+ceil", [6, 4, 1]),
        ("percent:10+ceil", [2, 1, 1]),  # 1.2, 0.7, 0.1
        ("percent:25+ceil", [3, 2, 1]),  # 3 stays 3
        ("percent:12.5", [2, 1, 1]),  # 1.5 -> 2, 0.875 -> 1, 0.125 -> 0 -> 1
        ("percent:37.5", [5, 3, 1]),  # 4.5 -> 5 (to even would be 4), 2.625 -> 3
        ("percent:1", [1, 1, 1]),
        ("percent:0.001", [1, 1, 1]),
        ("percent:15+balanced", [1, 1, 1]),  # 15 % of 20 clips / 3 classes = 1
        ("percent:23+balanced+floor", [1, 1, 1]),  # 1.53
    ],
)
def test_counts_in_each_class(index: Index, protocol: str, expected: list[int]) -> None:
    assert counts(index, protocol) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    # 12.5 % of 20 clips are 2.5; 20 % are 4.
    [
        ("12.5+global", 3),
        ("12.5+global+floor", 2),
        ("12.5+global+ceil", 3),
        ("20+global+ceil", 4),
        ("1+global", 1),
    ],
)
def test_counts_of_the_whole(index: Index, words: str, expected: int) -> None:
    drawn = [counts(index, f"percent:{words}", draw) for draw in range(30)]
    assert {sum(each) for each in drawn} == {expected}
    assert len({tuple(each) for each in drawn}) > 1  # without regard to classes


def test_percentages_are_exact() -> None:
    # 14.5 % of 100 is 14.5 -> 15; in floating point 0.145 * 100 is 14.499999999999998.
    index = make_index([f"{c}/{k:03d}.mp4" for c in "ab" for k in range(100)])
    assert counts(index, "percent:14.5") == [15, 15]
    # The percentages of the literature of UCF-101's 9,537 training clips
    shares = {p: Percent(Fraction(p), "global", "floor", False).of(9537) for p in (5, 10, 20, 50)}
    assert shares == {5: 476, 10: 953, 20: 1907, 50: 4768}


def test_more_clips_than_a_class_has(index: Index) -> None:
    text = problem(index, "per-class:8")
    assert "8 labeled clips of each class are wanted, and 2 classes have fewer training clips: " in text
    assert "'run (7)', 'walk it (1)'" in text
    assert "1 classes have fewer training clips: 'walk it (1)'" in problem(index, "percent:23+balanced")


def test_notes_of_drawn_protocols(index: Index) -> None:
    assert partition.make(index, "percent:50").notes == ()
    assert partition.make(index, "percent:5").notes == (
        "2 classes have one labeled clip where 5 % rounds to none: 'run', 'walk it'",
    )
    assert partition.make(index, "percent:50+floor").notes == (
        "1 classes have one labeled clip where 50 % rounds to none: 'walk it'",
    )
    assert partition.make(index, "percent:5+ceil").notes == ()
    assert partition.make(index, "percent:100").notes == (
        "every training clip is labeled: there is none without a label",
    )
    assert partition.make(index, "percent:100", labeled_in_unlabeled=True).notes == ()
    [note] = partition.make(index, "percent:1+global").notes  # one clip
    assert re.fullmatch("2 classes have no labeled clip: '.*', '.*'", note)


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


# Source videos


@pytest.mark.parametrize(
    "protocol", ["per-class:6", "percent:33", "percent:17+global", "percent:90+balanced"]
)
def test_no_source_video_is_on_both_sides(grouped: Index, protocol: str) -> None:
    for draw in range(10):
        plain = partition.make(grouped, protocol, draw=draw)
        part = partition.make(grouped, f"{protocol}+groups", draw=draw)
        assert len(part.labeled) == len(plain.labeled)
        assert not units(grouped, part.labeled) & units(grouped, part.unlabeled)
        # All but the last source video of a class (or of all) are complete: up to three clips are left of it.
        left = 60 - len(part.labeled) - len(part.unlabeled)
        by_class = np.bincount(grouped.labels[part.labeled]).tolist()
        assert left == sum(-n % 4 for n in ([sum(by_class)] if "global" in protocol else by_class))
        if left:
            assert part.notes[0].startswith(f"{left} training clips are not used: other clips of their")
    part = partition.make(grouped, f"{protocol}+groups", labeled_in_unlabeled=True)
    assert set(part.labeled) <= set(part.unlabeled)


def test_source_videos_have_to_be_known(index: Index) -> None:
    assert "give a manifest with a column named group" in problem(index, "per-class:1+groups")


# Validation


def test_validation_takes_clips_from_the_labeled_ones(index: Index) -> None:
    whole = partition.make(index, "percent:100", draw=5)
    part = partition.make(index, "percent:100", draw=5, validation=0.25)
    # 3 of 12; 1.75 -> 2 of 7; the only clip of "walk it" stays
    assert np.bincount(index.labels[part.validation], minlength=3).tolist() == [3, 2, 0]
    assert sorted([*part.labeled, *part.validation]) == whole.labeled.tolist()
    assert part.unlabeled.tolist() == []
    assert part.notes[0] == "1 classes have no validation clip: 'walk it'"
    again = partition.make(index, "percent:100", draw=6, validation=0.25)
    assert again.validation.tolist() != part.validation.tolist()
    fixed = partition.make(index, "percent:100", draw=5, validation=2, labeled_in_unlabeled=True)
    assert np.bincount(index.labels[fixed.validation], minlength=3).tolist() == [2, 2, 0]
    assert set(fixed.unlabeled) == set(fixed.labeled)
    assert set(fixed.validation) < set(part.validation)


def test_validation_is_at_least_a_clip_and_leaves_one(index: Index) -> None:
    for amount in (0.01, 0.99, 1, 40):
        part = partition.make(index, "percent:20", validation=amount)
        # 2.4 -> 2, 1.4 -> 1, 0.2 -> 1 labeled clips: only "jump" has one to spare
        assert np.bincount(index.labels[part.labeled]).tolist() == [1, 1, 1]
        assert np.bincount(index.labels[part.validation]).tolist() == [1]


@pytest.mark.parametrize("protocol", ["percent:60", "percent:60+groups"])
def test_validation_takes_whole_source_videos(grouped: Index, protocol: str) -> None:
    for draw in range(5):
        part = partition.make(grouped, protocol, draw=draw, validation=3)
        assert not units(grouped, part.labeled) & units(grouped, part.validation)
        assert (np.bincount(grouped.labels[part.validation]) >= 3).all()
        assert len(part.labeled) + len(part.validation) == 36


def test_labeled_clips_that_train_are_nested_without_validation(index: Index) -> None:
    small = partition.make(index, "percent:50", validation=0.34)
    large = partition.make(index, "percent:100", validation=0.34)
    assert labeled(index, small) < labeled(index, large)


def test_validation_that_cannot_be() -> None:
    index = make_index([f"{c}/{k}.mp4" for c in "ab" for k in range(4)], groups=["g0"] * 4 + ["g1"] * 4)
    with pytest.raises(
        InputError, match="no class has two labeled source videos, one of which could be kept"
    ):
        partition.make(index, "per-class:3", validation=0.5)
    for amount in (-0.1, 1.5):
        with pytest.raises(InputError, match="expected a share below 1, or a whole number per class"):
            partition.make(index, "per-class:3", validation=amount)


# Columns


def with_column(values: list[str]) -> Index:
    ids = [f"{c}/{k}.mp4" for c in "ab" for k in range(3)]
    return make_index(ids, ["train", "train", "test"] * 2, chosen=values)


@pytest.mark.parametrize(
    "values", [["1", "0", "0", "1", "0", "0"], ["True", "false", "", "TRUE", "", ""], ["1.0", "0.0", ""] * 2]
)
def test_column(values: list[str]) -> None:
    index = with_column(values)
    part = partition.make(index, "column:chosen")
    assert part.labeled.tolist() == [0, 3]
    assert part.unlabeled.tolist() == [1, 4]
    assert partition.make(index, "column:chosen", draw=5).fingerprint == part.fingerprint


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "0", "1", "0", "0", "1"], "labels 2 clips that are not in the training part"),
        (["0"] * 6, "labels no clip"),
        (["1", "2", "0", "maybe", "0", "0"], "has '2', 'maybe'; expected 1 or true"),
    ],
)
def test_columns_that_cannot_be_used(values: list[str], expected: str) -> None:
    assert expected in problem(with_column(values), "column:chosen")
    assert "unknown column 'choosen'; did you mean chosen?" in problem(with_column(values), "column:choosen")


def test_a_class_without_a_label_is_legal() -> None:
    part = partition.make(with_column(["1", "1", "0", "0", "0", "0"]), "column:chosen")
    assert part.labeled.tolist() == [0, 1]
    assert part.notes == ("1 classes have no labeled clip: 'b'",)


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


def test_parts_are_the_names_of_splits(index: Index) -> None:
    assert tuple(index.splits.names) == PARTS


def test_published_names_are_known(index: Index) -> None:
    assert "ucf101-videossl-10" in published.names()
    assert "needs a published list" in problem(index, "ucf101-videossl-10")
