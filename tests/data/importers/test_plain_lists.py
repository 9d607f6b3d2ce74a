"""Lists of other code bases, in their four formats."""

import re
from pathlib import Path

import pytest
from helpers.input_errors import problems
from helpers.paths import LISTS
from helpers.sources import manifest, needs_lists, touch

from ssl_video.data.importers.make import IndexRequest, make
from ssl_video.data.importers.plain_lists import from_lists
from ssl_video.data.importers.raw_index import RawIndex

CLIPS = ["Archery/v_Archery_g01_c01", "Archery/v_Archery_g02_c01", "Biking/v_Biking_g01_c01"]
CLASSES = ["1 Archery", "2 Biking", "3 Climbing"]


def read(tmp_path: Path, *train: str, classes: list[str] | None = None) -> RawIndex:
    parts = {"train": [manifest(tmp_path, *train, name="train.txt")]}
    return from_lists(parts, manifest(tmp_path, *classes, name="classes.txt") if classes else None)


def label(*numbers: int, form: str = "{0}.avi {1}") -> list[str]:
    return [form.format(clip, number) for clip, number in zip(CLIPS, numbers, strict=True)]


@pytest.mark.parametrize(
    "form", ["{0}.avi {1}", "/mnt/x/{0}.mp4 {1}", "{0} 164 {1}", "{0}.avi*{1}", "{0}.avi,{1}"]
)
@pytest.mark.parametrize("numbers", [(0, 0, 1), (1, 1, 2)], ids=["from 0", "from 1"])
@pytest.mark.parametrize(
    "classes", [CLASSES, ["Archery", "Biking", "Climbing"], None, ["id,name", "0,Archery", "1,Biking"]]
)
def test_every_format_and_numbering(
    tmp_path: Path, form: str, numbers: tuple[int, ...], classes: list[str] | None
) -> None:
    raw = read(tmp_path, *label(*numbers, form=form), classes=classes)
    assert raw.labels.to_pylist() == ["Archery", "Archery", "Biking"]
    assert raw.splits is not None
    assert raw.splits.to_pylist() == ["train"] * 3
    assert not raw.problems
    assert not raw.notes


def test_class_names_in_the_list_are_taken(tmp_path: Path) -> None:
    raw = read(tmp_path, "path,label", "x/1.mp4,air drumming", "x/2.mp4,zumba")
    assert raw.labels.to_pylist() == ["air drumming", "zumba"]


@pytest.mark.parametrize(
    ("numbers", "classes", "expected", "first"),
    [
        # Nothing but the range tells: 0 is in, or the number of classes is.
        ((0, 1, 1), ["a", "b"], ["a", "b", "b"], None),
        ((1, 2, 2), ["a", "b"], ["a", "b", "b"], None),
        # Both are possible: as the file of classes counts.
        ((1, 2, 2), ["a", "b", "c"], ["b", "c", "c"], 0),
        ((1, 2, 2), ["1 a", "2 b", "3 c"], ["a", "b", "b"], 1),
    ],
)
def test_numbers_without_class_folders(
    tmp_path: Path, numbers: tuple[int, ...], classes: list[str], expected: list[str], first: int | None
) -> None:
    lines = [f"videos/{place}.mp4 {number}" for place, number in enumerate(numbers)]
    raw = read(tmp_path, *lines, classes=classes)
    assert raw.labels.to_pylist() == expected
    note = f"train.txt is taken to number the classes from {first}, as classes.txt does"
    assert raw.notes == ([] if first is None else [note])


def test_names_of_clips_may_say_the_class(tmp_path: Path) -> None:
    lines = [
        f"videos/{clip.split('/')[1]}.avi {number}" for clip, number in zip(CLIPS, (5, 5, 7), strict=True)
    ]
    assert read(tmp_path, *lines).labels.to_pylist() == ["Archery", "Archery", "Biking"]


def test_folders_of_which_some_clips_have_another_number(tmp_path: Path) -> None:
    # As in lists for HMDB-51: most clips of each folder tell its number.
    lines = [
        f"{name}/{k}.avi {number ^ (k == 3)}" for number, name in enumerate(("kick", "run")) for k in range(5)
    ]
    raw = read(tmp_path, *lines)
    assert raw.labels.to_pylist() == ["kick"] * 5 + ["run"] * 5
    assert raw.notes == [
        "train.txt: 2 of 10 clips have the number of another class than their folder, and the folder counts: "
        "'kick/3.avi 1', 'run/3.avi 0'"
    ]
    [problem] = read(tmp_path, *lines, classes=["kick", "run"]).problems
    assert (
        "2 of 10 clips are in the folder of another class than their number says: 'kick/3.avi 1'" in problem
    )


def test_problems_of_lists(tmp_path: Path) -> None:
    [problem] = read(tmp_path, "videos/1.mp4 0", "videos/2.mp4 1").problems
    assert "give a file of class names (--classes FILE)" in problem
    # Two folders and two numbers, which have nothing to do with each other
    places = [f"{place}/{number}{k}.mp4 {number}" for place in "pq" for k, number in enumerate((0, 0, 1))]
    [problem] = read(tmp_path, *places).problems
    assert "its clips' folders do not name them" in problem
    [problem] = read(tmp_path, "x/1.mp4 0", "x/2.mp4 7", classes=["a", "b", "c"]).problems
    assert re.search(r"train.txt has numbers from 0 to 7, .*classes.txt names 3 classes", problem)
    [problem] = read(tmp_path, "path,label", "x/1.mp4,zumba", "x/2.mp4,3").problems
    assert "1 entries have no class name: 'x/2.mp4'" in problem
    [problem] = problems(read, tmp_path, "x/1.mp4 0", classes=["1 a", "3 b"])
    assert "expected a line for each number from 1 on" in problem
    [problem] = problems(read, tmp_path, "x/1.mp4 0", classes=["a", "b", "a"])
    assert "twice: 'a'" in problem


def test_lists_of_a_part_may_overlap_and_parts_may_not(tmp_path: Path) -> None:
    labeled = manifest(tmp_path, *label(0, 0, 1)[1:], name="labeled.txt")
    everything = manifest(tmp_path, *label(0, 0, 1), name="all.txt")
    test = manifest(tmp_path, "Archery/x.avi 0", "Biking/y.avi 1", name="test.txt")
    request = IndexRequest(lists={"train": [labeled, everything], "test": [test]}, check=False)
    index = make(request, "lists")
    assert len(index.rows("train")) == 3
    assert "2 entries repeat a clip of their part and are left out" in index.notes
    request = IndexRequest(lists={"train": [everything], "test": [labeled]}, check=False)
    assert "2 paths are listed more than once" in problems(make, request, "lists")[0]


def test_frame_folders_need_the_videos(tmp_path: Path) -> None:
    train = manifest(tmp_path, *label(0, 0, 1, form="{0} 100 {1}"), name="train.txt")
    test = manifest(tmp_path, "Archery/x 10 0", "Biking/y 10 1", name="test.txt")
    lists = {"train": [train], "test": [test]}
    found = problems(make, IndexRequest(lists=lists, check=False), "lists")
    assert "5 paths are not those of videos" in found[0]
    touch(tmp_path / "videos", *(f"{clip}.webm" for clip in [*CLIPS, "Archery/x", "Biking/y"]))
    index = make(IndexRequest(lists=lists, videos=tmp_path / "videos"), "lists")
    assert index.ids[0] == "Archery/v_Archery_g01_c01.webm"
    assert (len(index.rows("train")), len(index.rows("test"))) == (3, 2)


TRAIN = {
    "videossl": [
        "videossl/ucf101/ssl_sub101c_5p_labeled0.lst",
        "videossl/ucf101/ssl_sub101c_5p_unlabeled0.lst",
    ],
    "svformer": ["svformer/list_ucf_10/train.csv", "svformer/list_ucf_10/unlabel.csv"],
    "video-data-aug": ["video-data-aug/ucf101/ucf101_train_split_1_rawframes.txt"],
}
TEST = {
    "videossl": "videossl/ucf101/ssl_sub101c_5p_val0.lst",
    "svformer": "svformer/list_ucf_10/test.csv",
    "video-data-aug": "video-data-aug/ucf101/ucf101_val_split_1_rawframes.txt",
}


@needs_lists
@pytest.mark.parametrize("source", TRAIN)
@pytest.mark.parametrize("classes", [None, "ucf101_official/classInd.txt", "label_maps/ucf101/label_map.txt"])
def test_published_lists_for_ucf101_agree_with_the_official_ones(source: str, classes: str | None) -> None:
    def clips(raw: RawIndex) -> set[tuple[str, str, str]]:
        assert not raw.problems
        names = (re.sub(r"\.avi$", "", name.split("/")[-1]) for name in raw.ids.to_pylist())
        assert raw.splits is not None
        return set(zip(names, raw.labels.to_pylist(), raw.splits.to_pylist(), strict=True))

    official = from_lists(
        {
            "train": [LISTS / "ucf101_official/trainlist01.txt"],
            "test": [LISTS / "ucf101_official/testlist01.txt"],
        },
        LISTS / "ucf101_official/classInd.txt",
    )
    parts = {"train": [LISTS / name for name in TRAIN[source]], "test": [LISTS / TEST[source]]}
    found = clips(from_lists(parts, LISTS / classes if classes else None))
    assert found == clips(official)
    assert len(found) == 9537 + 3783


@needs_lists
def test_published_lists_for_hmdb51_with_wrong_numbers() -> None:
    name = "hmdb51_train_100_percent_labeled_split_1_rawframes.txt"
    parts = {"train": [LISTS / "video-data-aug/hmdb51/videossl_splits" / name]}
    raw = from_lists(parts, None)
    assert len(raw.ids) == 5236
    assert "132 of 5236 clips have the number of another class than their folder" in raw.notes[0]
    # Every clip's name has its class in it.
    clips = zip(raw.ids.to_pylist(), raw.labels.to_pylist(), strict=True)
    assert all(f"_{label}_" in clip for clip, label in clips)
