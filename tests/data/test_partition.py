"""Protocols -> partitions, and lists in every format that they are published in."""

import dataclasses
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from ssl_video.data import lists, partition
from ssl_video.data.index import Index, read
from ssl_video.data.partition import Partition
from ssl_video.errors import InputError

SHARED = Path(__file__).parents[2] / "../shared"
UCF = SHARED / "data/ucf101_5c/manifest.csv"
needs_shared = pytest.mark.skipif(not UCF.is_file(), reason="needs the published lists and UCF-101 subset")


def make_index(ids: list[str], splits: list[str] | None = None, **columns: list[str]) -> Index:
    """An index of clips whose class is their first folder, all for training unless said otherwise."""
    classes = tuple(sorted({name.split("/")[0] for name in ids}))
    return Index(
        name="small",
        paths=np.array([f"/data/{name}" for name in ids]),
        ids=np.array(ids),
        labels=np.array([classes.index(name.split("/")[0]) for name in ids]),
        classes=classes,
        groups=None,
        splits=np.array(splits or ["train"] * len(ids)),
        columns={name: np.array(values) for name, values in columns.items()},
        notes=(),
    )


def labeled(index: Index, part: Partition) -> set[str]:
    return set(index.ids[part.labeled].tolist())


def problem(index: Index, protocol: str) -> str:
    with pytest.raises(InputError) as caught:
        partition.make(index, protocol)
    assert partition.check(protocol, index) == list(caught.value.problems)
    return "\n".join(caught.value.problems)


# 12 training clips of "jump", 7 of "run", 1 of "walk it", and two test clips of each
@pytest.fixture
def index() -> Index:
    train = {"jump": 12, "run": 7, "walk it": 1}
    names = [(f"{c}/{c[0]}{k:02d}.mp4", "train") for c, n in train.items() for k in range(n)]
    names += [(f"{c}/{c[0]}{k}.mp4", "test") for c in train for k in (50, 51)]
    return make_index([name for name, _ in names], [part for _, part in names])


# Drawn protocols


def counts(index: Index, protocol: str) -> list[int]:
    rows = partition.make(index, protocol).labeled
    return np.bincount(index.labels[rows], minlength=len(index.classes)).tolist()


def test_parts_cover_the_index_without_overlap(index: Index) -> None:
    part = partition.make(index, "percent:50", draw=3)
    assert (part.protocol, part.draw, part.labeled_in_unlabeled) == ("percent:50", 3, False)
    both = np.concatenate([part.labeled, part.unlabeled])
    assert sorted(both.tolist()) == np.flatnonzero(index.splits == "train").tolist()
    assert part.test.tolist() == list(range(20, 26))
    assert all((np.diff(rows) > 0).all() for rows in (part.labeled, part.unlabeled, part.test))
    larger = partition.make(index, "percent:50", draw=3, labeled_in_unlabeled=True)
    assert larger.unlabeled.tolist() == list(range(20))
    assert larger.labeled.tolist() == part.labeled.tolist()
    assert larger.fingerprint != part.fingerprint


def test_unused_clips_are_in_no_part(index: Index) -> None:
    splits = index.splits.copy()
    splits[[0, 20]] = ""
    part = partition.make(dataclasses.replace(index, splits=splits), "per-class:1", labeled_in_unlabeled=True)
    assert part.unlabeled.tolist() == list(range(1, 20))
    assert part.test.tolist() == list(range(21, 26))


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("per-class:1", [1, 1, 1]),
        ("percent:100", [12, 7, 1]),
        ("percent:50", [6, 4, 1]),  # 6, 3.5 -> 4, 0.5 -> 1
        ("percent:12.5", [2, 1, 1]),  # 1.5 -> 2, 0.875 -> 1, 0.125 -> 0 -> 1
        ("percent:37.5", [5, 3, 1]),  # 4.5 -> 5 (to even would be 4), 2.625 -> 3
        ("percent:1", [1, 1, 1]),
        ("percent:0.001", [1, 1, 1]),
    ],
)
def test_counts_in_each_class(index: Index, protocol: str, expected: list[int]) -> None:
    assert counts(index, protocol) == expected


def test_percentages_are_exact() -> None:
    # 14.5 % of 100 is 14.5 -> 15; in floating point 0.145 * 100 is 14.499999999999998.
    index = make_index([f"{c}/{k:03d}.mp4" for c in "ab" for k in range(100)])
    assert counts(index, "percent:14.5") == [15, 15]


def test_notes_of_drawn_protocols(index: Index) -> None:
    assert partition.make(index, "percent:50").notes == ()
    assert partition.make(index, "percent:5").notes == (
        "2 classes have one labeled clip where 5 % rounds to none: 'run', 'walk it'",
    )
    assert partition.make(index, "percent:100").notes == (
        "every training clip is labeled: there is none without a label",
    )
    assert partition.make(index, "percent:100", labeled_in_unlabeled=True).notes == ()


def test_draws_are_nested_and_differ() -> None:
    index = make_index([f"{c}/{k:02d}.mp4" for c in "abc" for k in range(20)])
    drawn = [labeled(index, partition.make(index, "per-class:4", draw=draw)) for draw in range(20)]
    assert len(set(map(frozenset, drawn))) == 20
    chain = [partition.make(index, p, draw=7) for p in ("per-class:1", "percent:20", "per-class:10")]
    first, second, third = (labeled(index, part) for part in chain)
    assert first < second < third
    # Classes are drawn independently: the same positions in all classes would be no draw.
    by_class = [{name.split("/")[1] for name in third if name[0] == c} for c in "abc"]
    assert by_class[0] != by_class[1] != by_class[2] != by_class[0]


def test_draws_are_uniform() -> None:
    index = make_index([f"{c}/{k}.mp4" for c in "ab" for k in range(5)])
    rows = np.concatenate([partition.make(index, "per-class:2", draw=draw).labeled for draw in range(500)])
    # Each clip is labeled with probability 2/5: 200 of 500 times, standard deviation 11.
    assert np.abs(np.bincount(rows, minlength=10) - 200).max() < 50


def test_a_draw_is_the_same_for_ever() -> None:
    """A change here would silently change everybody's labeled clips."""
    index = make_index([f"{c}/{k}.mp4" for c in ("jump", "run") for k in range(8)])
    part = partition.make(index, "per-class:3", draw=1)
    # Worked out by hand: with the first 16 bytes of sha256("1\\0jump") as a little-endian key, the smallest
    # of Philox's first 8 raw numbers are those at 4, 5 and 7; for "run" those at 1, 2 and 4.
    assert part.labeled.tolist() == [4, 5, 7, 9, 10, 12]
    rows: list[tuple[str, ...]] = [("class", "jump"), ("class", "run")]
    rows += [("labeled", name, name.split("/")[0]) for name in index.ids[[4, 5, 7, 9, 10, 12]].tolist()]
    rows += [("unlabeled", name) for name in index.ids[[0, 1, 2, 3, 6, 8, 11, 13, 14, 15]].tolist()]
    text = "\n".join(sorted("\0".join(row) for row in rows))
    assert part.fingerprint == hashlib.sha256(text.encode()).hexdigest()[:12] == "f0d75b1def52"


def test_a_draw_depends_on_neither_order_nor_other_classes(index: Index) -> None:
    first = partition.make(index, "percent:40", draw=2)
    order = np.random.default_rng(0).permutation(len(index.ids))
    shuffled = dataclasses.replace(
        index,
        **{name: getattr(index, name)[order] for name in ("paths", "ids", "labels", "splits")},
    )
    second = partition.make(shuffled, "percent:40", draw=2)
    assert labeled(shuffled, second) == labeled(index, first)
    assert second.fingerprint == first.fingerprint
    assert second.labeled.tolist() != first.labeled.tolist()

    fewer = make_index(
        [name for name in index.ids.tolist() if name.startswith("run") and name != "run/r50.mp4"]
    )
    more = make_index([*fewer.ids.tolist(), "a/1.mp4", "z/1.mp4"])
    runs = labeled(fewer, partition.make(fewer, "percent:40", draw=2))
    assert {n for n in labeled(more, partition.make(more, "percent:40", draw=2)) if n[0] == "r"} == runs


def test_more_clips_than_a_class_has(index: Index) -> None:
    text = problem(index, "per-class:8")
    assert "2 classes have fewer training clips: 'run (7)', 'walk it (1)'" in text


# The form of protocols


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("per-class:0", "a number of clips from 1"),
        ("per-class:-1", "a number of clips from 1"),
        ("per-class:1.5", "a number of clips from 1"),
        ("per-class", "a number of clips from 1"),
        ("percent:0", "above 0 and up to 100"),
        ("percent:0.0", "above 0 and up to 100"),
        ("percent:100.1", "above 0 and up to 100"),
        ("percent:nan", "above 0 and up to 100"),
        ("percent:10%", "above 0 and up to 100"),
        ("column:", "the name of a column"),
        ("list:", "there is no file"),
        ("list:no/such.txt", "there is no file no/such.txt"),
        ("perclass:10", "unknown protocol 'perclass:10'; did you mean per-class:N"),
        ("no/such.txt", "unknown protocol 'no/such.txt'"),
        ("", "unknown protocol ''"),
    ],
)
def test_protocols_of_no_known_form(index: Index, protocol: str, expected: str) -> None:
    [found] = partition.check(protocol)
    assert expected in found
    assert expected in problem(index, protocol)


def test_check_without_an_index_looks_at_the_form_only(index: Index, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("what/ever.avi 3\n")
    for protocol in ("per-class:1000", "percent:3.5", "column:x", f"list:{tmp_path}/list.txt"):
        assert partition.check(protocol) == []
        assert len(partition.check(protocol, index)) == (0 if protocol == "percent:3.5" else 1)
    assert {key.split(":")[0] for key in partition.describe()} == {"per-class", "percent", "column", "list"}


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


# Lists


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
    assert part.notes == ("1 classes have no labeled clip: 'walk it'",)
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
    ids = [f"{part}/{label}/1.mp4" for part in ("train", "test") for label in "ab"]
    index = dataclasses.replace(
        make_index(ids, ["train", "train", "test", "test"]), classes=("a", "b"), labels=np.array([0, 1, 0, 1])
    )
    assert labeled(index, from_list(index, tmp_path, "train/a/1.mp4 0")) == {"train/a/1.mp4"}
    with pytest.raises(InputError, match="1 of 2 entries fit several clips"):
        from_list(index, tmp_path, "train/a/1.mp4 0", "b/1.mp4 0")


def test_folders_that_are_not_classes(tmp_path: Path) -> None:
    # Clips lie in folders by camera, and the manifest names classes by number.
    index = dataclasses.replace(make_index(["left/1.mp4", "left/2.mp4", "right/1.mp4"]), classes=("0", "1"))
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
    assert "1 of 4 entries are clips, but not in the training part" in second
    assert "'run/r50.mp4'" in second


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "has no entries"),
        ("# only a comment\n", "has no entries"),
        ("path,label\n", "has no entries"),
        ('"run/r01.mp4,run\n', "not valid CSV"),
        ("fly/f01.avi 1\nswim/s01.avi 2\n", "none of its 2 entries is a clip of small: it has 'fly/f01.avi'"),
        ("jump/j01.avi*1\njump/j02.avi*1run/r02.avi*2\n", "'line 2: jump/j02.avi.1run/r02.avi.2'; mend"),
        ("jump/j01.avi*1\njump/j02.avi*x\n", "expected path.number, found 'line 2"),
        ("path,label\nrun/r01.mp4,run\njump/j,01.mp4,jump\n", "expected 2 fields.*'jump/j,01.mp4,jump'"),
        ("jump/caf\xe9.avi 1\n", "not a text file in UTF-8"),
    ],
)
def test_lists_that_cannot_be_used(index: Index, tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "list.txt").write_bytes(text.encode("latin-1"))
    assert re.search(expected, problem(index, f"list:{tmp_path}/list.txt"))


# Written partitions


def test_what_is_written_can_be_read_as_a_list(tmp_path: Path) -> None:
    index = make_index(
        ["a/1, 2.mp4", 'a/"3".mp4', "a/#4.mp4", "b/1.mp4", "b/2.mp4"], ["train"] * 4 + ["test"]
    )
    part = partition.make(index, "percent:60", draw=9)  # 3 of 3 clips of a are 1.8 -> 2, of b 0.6 -> 1
    partition.write(part, index, tmp_path / "partition.txt")
    again = partition.make(index, f"list:{tmp_path}/partition.txt")
    assert again.fingerprint == part.fingerprint
    assert again.labeled.tolist() == part.labeled.tolist()
    text = (tmp_path / "partition.txt").read_text().splitlines()
    assert text[:8] == [
        f"# data set: small, fingerprint {index.fingerprint}",
        "# protocol: percent:60",
        "# draw: 9",
        "# labeled clips are in the unlabeled part: no",
        "# labeled: 3",
        "# unlabeled: 1",
        "# test: 1",
        f"# fingerprint: {part.fingerprint}",
    ]
    assert text[8] == "path,label"
    assert "b/1.mp4,b" in text[9:]


def test_fingerprint_stands_for_clips_and_classes(index: Index) -> None:
    part = partition.make(index, "per-class:1")
    assert re.fullmatch("[0-9a-f]{12}", part.fingerprint)
    # The same clips by another rule
    chosen = np.isin(np.arange(26), part.labeled).astype(int).astype(str)
    with_chosen = dataclasses.replace(index, columns={"chosen": chosen}, name="x", paths=index.ids)
    assert partition.make(with_chosen, "column:chosen").fingerprint == part.fingerprint
    # Another name of a class, a clip less in test, a clip less in train
    renamed = dataclasses.replace(with_chosen, classes=("jump", "run", "walk"))
    assert partition.make(renamed, "column:chosen").fingerprint != part.fingerprint
    unlabeled = int(part.unlabeled[0])
    for row in (25, unlabeled):
        splits = index.splits.copy()
        splits[row] = ""
        smaller = dataclasses.replace(with_chosen, splits=splits)
        assert partition.make(smaller, "column:chosen").fingerprint != part.fingerprint
    # Another name of a test clip
    ids = index.ids.copy()
    ids[25] = "walk it/w52.mp4"
    other = dataclasses.replace(with_chosen, ids=ids)
    assert partition.make(other, "column:chosen").fingerprint != part.fingerprint
    # Another class of a labeled clip
    labels = index.labels.copy()
    labels[part.labeled[0]] = 1
    relabeled = dataclasses.replace(with_chosen, labels=labels)
    assert partition.make(relabeled, "column:chosen").fingerprint != part.fingerprint


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
def test_published_lists_are_read_completely() -> None:
    folder = SHARED / "lists"
    # Counts of the papers' repositories; every clip is listed once.
    expected = {
        "videossl/ucf101/ssl_sub101c_5p_labeled0.lst": 476,
        "videossl/hmdb51/ssl_sub51c_40p_labeled0.lst": 2094,
        "video-data-aug/hmdb51/videossl_splits/hmdb51_train_40_percent_labeled_split_1_rawframes.txt": 2094,
        "svformer/list_hmdb_40/train.csv": 2094,
        "ltg/kinetics400/videossl_splits/kinetics400_train_1_percent_labeled_videos.txt": 2400,
        "ucf101_official/testlist01.txt": 3783,
    }
    assert {name: len(lists.read(folder / name)) for name in expected} == expected
    # HMDB-51 by names alone: three repositories, one list
    stems = [
        {re.sub(r"\.avi$", "", entry.path).split("/")[-1] for entry in lists.read(folder / name)}
        for name in list(expected)[1:4]
    ]
    assert stems[0] == stems[1] == stems[2]
    with pytest.raises(InputError, match="line 357: wave/Superbad"):
        lists.read(folder / "videossl/hmdb51/ssl_sub51c_70p_labeled0.lst")


@needs_shared
def test_lists_of_another_split_are_refused() -> None:
    index = read(UCF)
    assert "206 of 9586 entries are clips, but not in the training part" in problem(
        index, str(SHARED / "lists/ucf101_official/trainlist02.txt")
    )
    assert "labels" in problem(read(UCF, split="split2"), "column:videossl_50p")
    official = partition.make(index, str(SHARED / "lists/ucf101_official/trainlist01.txt"))
    assert len(official.labeled) == 534
