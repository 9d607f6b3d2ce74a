"""The protocols of the literature: what ships, and whether the published lists are as it says."""

import functools
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.partitions import make_index
from helpers.paths import LISTS

from ssl_video.data.importers import list_file
from ssl_video.data.names import folder, stem
from ssl_video.data.partitions import partition, published, summary
from ssl_video.data.partitions.protocols import Percent, parse
from ssl_video.data.partitions.summary import Clips
from ssl_video.errors import InputError

needs_lists = pytest.mark.skipif(not LISTS.is_dir(), reason="needs the published lists")
WITH_LISTS = [name for name in published.names() if published.load(name).lists]
UCF_TRAIN = "ucf101_official/trainlist01.txt"


@functools.cache
def clips(name: str) -> Clips:
    """The labeled clips of a published protocol, or of a list."""
    known = published.load(name) if name in published.names() else None
    return summary.of_file(known.find(LISTS) if known else LISTS / name)["labeled"]


def names(name: str) -> set[str]:
    return set(clips(name).names)


# What ships


def test_there_are_protocols_for_the_usual_data_sets() -> None:
    families = {name.rsplit("-", 1)[0] for name in published.names()}
    assert families == {
        "hmdb51-videossl", "kinetics100-actorcutmix", "kinetics400-ltg", "kinetics400-svformer",
        "mini-ssv2-tcl", "ucf101-svformer", "ucf101-videossl",
    }  # fmt: skip


@pytest.mark.parametrize("name", published.names())
def test_files_are_complete(name: str) -> None:
    known = published.load(name)
    assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)+", name)
    assert not partition.check(known.rule)
    assert known.about
    assert known.source
    assert known.remarks.endswith(".")
    assert isinstance(known.labeled_in_unlabeled, bool)
    facts = (known.labeled, known.per_class, known.fingerprint)
    assert all(facts) if known.lists else not any(facts)
    if known.lists:
        assert re.fullmatch("[0-9a-f]{12}", known.fingerprint)
    rule = parse(known.rule)
    if isinstance(rule, Percent) and rule.scope == "global":
        assert known.train
        assert rule.of(known.train) == known.labeled


def test_without_its_list_a_protocol_says_what_to_do(tmp_path: Path) -> None:
    [text] = partition.check("ucf101-svformer-10")
    assert "needs a published list: list_ucf_10/train.csv (from GitHub ChenHsing/SVFormer" in text
    assert "--lists DIR" in text
    assert "--protocol per-class:10" in text
    [text] = partition.check("ucf101-svformer-10", lists=tmp_path)
    assert "or below is list_ucf_10/train.csv" in text
    [text] = partition.check("ucf101-svformer-10", lists=tmp_path / "x")
    assert "there is no folder" in text


def test_a_wrong_list_is_refused(tmp_path: Path) -> None:
    index = make_index([f"{c}/{k}.mp4" for c in "ab" for k in range(4)])
    (tmp_path / "list_ucf_10").mkdir()
    (tmp_path / "list_ucf_10/train.csv").write_text("a/1.mp4 0\nb/2.mp4 1\n")
    with pytest.raises(InputError) as caught:
        partition.make(index, "ucf101-svformer-10", lists=tmp_path)
    [text] = caught.value.problems
    found = published.fingerprint(["2", "1"])
    assert f"is not the list of ucf101-svformer-10: it has 2 clips with the fingerprint {found}" in text
    assert "published were 1010 with 8b3e2904860b; take the file from GitHub ChenHsing/SVFormer" in text


def test_a_protocol_without_a_list_says_that_the_draw_is_ours() -> None:
    index = make_index([f"{c}/{k:02d}.mp4" for c in "ab" for k in range(30)])
    part = partition.make(index, "mini-ssv2-tcl-5", labeled_in_unlabeled=True)
    assert part.fingerprint == partition.make(index, "percent:5+ceil", labeled_in_unlabeled=True).fingerprint
    assert len(part.labeled) == 4  # 1.5 -> 2 of each class
    assert part.notes == (
        "mini-ssv2-tcl-5 was published with 81,663 training clips; this data set has 60",
        "mini-ssv2-tcl-5 was published with 11,799 test clips; this data set has 0",
        "mini-ssv2-tcl-5 was published with the labeled clips outside of the unlabeled part: "
        "--no-labeled-in-unlabeled",
        "mini-ssv2-tcl-5 was published as a rule: these clips are a draw of our own",
    )


# What was published. All numbers are counted from the repositories' lists.


@needs_lists
@pytest.mark.parametrize("name", WITH_LISTS)
def test_the_lists_are_as_the_files_say(name: str) -> None:
    known = published.load(name)
    present = [path for end in known.lists for path in LISTS.rglob(end)]
    assert present
    for path in present:  # every repository's version
        found = list_file.read(path)
        known.check(path, [stem(entry.path) for entry in found])
        assert len(found) == known.labeled
    counts = summary.summarize(clips(name)).per_class
    least = 0 if name == "ucf101-videossl-5" else counts.least
    assert known.per_class == (least, counts.most)


@needs_lists
def test_ucf101_videossl() -> None:
    classes = {folder(entry.path) for entry in list_file.read(LISTS / UCF_TRAIN)}
    train = {stem(entry.path) for entry in list_file.read(LISTS / UCF_TRAIN)}
    test = {stem(entry.path) for entry in list_file.read(LISTS / "ucf101_official/testlist01.txt")}
    assert (len(train), len(test), len(classes)) == (9537, 3783, 101)
    chosen = {percent: names(f"ucf101-videossl-{percent}") for percent in (5, 10, 20, 50)}
    assert {p: len(each) for p, each in chosen.items()} == {5: 476, 10: 953, 20: 1907, 50: 4768}
    for percent, each in chosen.items():
        rest = names(f"videossl/ucf101/ssl_sub101c_{percent}p_unlabeled0.lst")
        assert not each & rest
        assert each | rest == train
    spread = {p: summary.summarize(clips(f"ucf101-videossl-{p}")) for p in chosen}
    assert [(s.per_class.least, s.per_class.most) for s in spread.values()] == [
        (1, 11),
        (1, 21),
        (8, 34),
        (29, 64),
    ]
    assert classes - set(clips("ucf101-videossl-5").label.names) == {"CliffDiving"}
    ten = clips("ucf101-videossl-10")
    lone = np.bincount(ten.label.codes) == 1
    assert "PushUps" in ten.label.names[lone].tolist()
    assert not any(chosen[small] < chosen[large] for small, large in ((5, 10), (10, 20), (20, 50)))
    # The diversity trap: source videos of each class
    groups = [each.groups for each in spread.values()]
    assert [round(each.mean, 1) for each in groups if each] == [4.2, 7.5, 12.4, 17.3]
    whole = summary.summarize(clips(UCF_TRAIN)).groups
    assert whole
    assert (whole.least, whole.most) == (18, 18)


@needs_lists
def test_ucf101_svformer() -> None:
    one, ten = names("ucf101-svformer-1"), names("ucf101-svformer-10")
    assert (len(one), len(ten), len(one & ten)) == (101, 1010, 17)
    found = summary.compare(clips("ucf101-svformer-1"), clips("ucf101-svformer-10")).clips
    assert (found.first.sum(), found.second.sum(), found.both.sum()) == (101, 1010, 17)
    train = {stem(entry.path) for entry in list_file.read(LISTS / UCF_TRAIN)}
    for percent, labeled, left in ((1, one, 9436), (10, ten, 8527)):
        rest = names(f"svformer/list_ucf_{percent}/unlabel.csv")
        assert len(rest) == left
        assert (labeled | rest, labeled & rest) == (train, set())
        val, test = (LISTS / f"svformer/list_ucf_{percent}/{part}.csv" for part in ("val", "test"))
        assert val.read_bytes() == test.read_bytes()
    spread = [summary.summarize(clips(f"ucf101-svformer-{percent}")).groups for percent in (1, 10)]
    assert [round(each.mean, 1) for each in spread if each] == [1.0, 8.0]


@needs_lists
def test_hmdb51() -> None:
    chosen = {percent: names(f"hmdb51-videossl-{percent}") for percent in (40, 50, 60)}
    assert {p: len(each) for p, each in chosen.items()} == {40: 2094, 50: 2618, 60: 3141}
    whole = "video-data-aug/hmdb51/videossl_splits/hmdb51_train_100_percent_labeled_split_1_rawframes.txt"
    assert len(names(whole)) == 5236
    counts = summary.summarize(clips("hmdb51-videossl-40")).per_class
    assert (counts.least, counts.most) == (23, 215)
    # The pool: the official training part and the clips that split 1 does not use
    official: dict[str, set[str]] = {"0": set(), "1": set(), "2": set()}
    for path in (LISTS / "hmdb51_official").glob("*_test_split1.txt"):
        for line in path.read_text().splitlines():
            clip, part = line.split()
            official[part].add(stem(clip))
    assert {part: len(each) for part, each in official.items()} == {"0": 1666, "1": 3570, "2": 1530}
    assert names(whole) == official["0"] | official["1"]
    unused = list_file.read(LISTS / "videossl/hmdb51/ssl_sub51c_10p_val0.lst-org")
    assert {stem(entry.path) for entry in unused} == official["0"]
    for percent, each in chosen.items():
        assert each < names(whole)
        assert each == names(f"svformer/list_hmdb_{percent}/train.csv")
    # Malformed lines in the lists that no paper of the table uses
    for percent in (70, 80):
        with pytest.raises(InputError, match=r"expected path\*number, found"):
            list_file.read(LISTS / f"videossl/hmdb51/ssl_sub51c_{percent}p_labeled0.lst")


@needs_lists
def test_kinetics400() -> None:
    for percent, count, common in ((1, 2400, 36), (10, 24000, 2935)):
        ours = [clips(f"kinetics400-{who}-{percent}") for who in ("svformer", "ltg")]
        found = summary.compare(*ours)
        assert len(found.classes) == 400
        assert set(found.clips.first) == set(found.clips.second) == {count // 400}
        assert found.clips.both.sum() == common


@needs_lists
def test_kinetics100() -> None:
    start = "video-data-aug/kinetics400/videossl_splits/kinetics100_"
    train, val = (names(f"{start}{part}_100_percent_labeled_rawframes.txt") for part in ("train", "val"))
    assert (len(train), len(val)) == (85114, 4579)
    counts = np.bincount(clips(f"{start}train_100_percent_labeled_rawframes.txt").label.codes)
    for percent, labeled in ((5, 4209), (10, 8470), (20, 16985), (50, 42517)):
        each = clips(f"kinetics100-actorcutmix-{percent}")
        assert len(each.names) == labeled
        assert set(each.names) < train
        fraction = np.bincount(each.label.codes) / counts
        assert np.abs(fraction * 100 - percent).max() < 0.14 * percent  # proportional
