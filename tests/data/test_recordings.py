"""Unlabeled recordings are cut into segments."""

from pathlib import Path

import numpy as np
import pytest
from helpers.sources import manifest
from helpers.videos import KINDS, encode, pictures
from PIL import Image

from ssl_video.data import dataset, make_partition
from ssl_video.data.index import Index
from ssl_video.spec import Spec, build

KIND = KINDS["mjpeg"]._replace(name="a.mkv")  # 50 frames, two seconds


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A labeled video of each of two classes, and unlabeled ones of two seconds and of one."""
    for name, frames in (("run/1", 50), ("sit/2", 50), ("unlabeled/long", 50), ("unlabeled/short", 25)):
        (tmp_path / "lab" / name).parent.mkdir(parents=True, exist_ok=True)
        encode(tmp_path / "lab" / f"{name}.mkv", KIND, frames)
    return tmp_path / "lab"


def spec(data: Path, **values: object) -> Spec:
    return build({"data": str(data), "segment": 0.6, **values})


def unlabeled(index: Index) -> list[str]:
    return index.ids[index.rows("unlabeled")].tolist()


CUT = ["unlabeled/long.mkv#t=0,0.6", "unlabeled/long.mkv#t=0.6,1.2", "unlabeled/long.mkv#t=1.2"]


def test_a_recording_of_two_segments_or_more_is_cut(lab: Path) -> None:
    index = dataset.read_index(spec(lab))
    assert unlabeled(index) == [*CUT, "unlabeled/short.mkv"]
    assert index.counts("train").tolist() == [1, 1], "labeled clips stay whole"
    assert "1 unlabeled recording cut into 3 segments (--segment)" in index.notes
    assert unlabeled(dataset.read_index(spec(lab, segment=0))) == [
        "unlabeled/long.mkv",
        "unlabeled/short.mkv",
    ]
    assert len(unlabeled(dataset.read_index(spec(lab, segment=0.5)))) == 4 + 2
    data = dataset.load(spec(lab), index)
    assert [data.store.count(row) for row in index.rows("unlabeled").tolist()] == [15, 15, 20, 25]


def test_what_is_known_of_files_does_not_change_their_segments(lab: Path) -> None:
    first = dataset.read_index(spec(lab))
    dataset.load(spec(lab), first)
    again = dataset.read_index(spec(lab))
    assert (again.fingerprint, unlabeled(again)) == (first.fingerprint, unlabeled(first))
    assert first.fingerprint != dataset.read_index(spec(lab, segment=0.5)).fingerprint


def test_a_source_elsewhere_gives_the_same_clips(lab: Path, tmp_path: Path) -> None:
    inside = dataset.read_index(spec(lab))
    (lab / "unlabeled").rename(tmp_path / "more")
    table = manifest(tmp_path / "more", "path", "long.mkv", "short.mkv")
    for source in (tmp_path / "more", table):
        index = dataset.read_index(spec(lab, unlabeled=[str(source)]))
        assert (index.ids.tolist(), index.fingerprint) == (inside.ids.tolist(), inside.fingerprint)


def test_segments_that_overlap_labeled_ones_are_left_out(lab: Path, tmp_path: Path) -> None:
    rows = ("run/1.mkv,run,0,0.7", "sit/2.mkv,sit,,", "unlabeled/short.mkv,sit,0.5,0.8")
    table = manifest(lab, "path,label,start,end", *rows)
    (tmp_path / "link").symlink_to(lab / "run")
    index = dataset.read_index(spec(table, unlabeled=[str(tmp_path / "link"), str(lab / "unlabeled")]))
    assert unlabeled(index) == ["unlabeled-2/1.mkv#t=1.2", *[f"unlabeled-3/{n[10:]}" for n in CUT]]
    assert "3 unlabeled clips of 2 files not used: they overlap clips that have a label" in index.notes


def test_parts_of_labeled_and_of_tested_files_are_left_out(lab: Path, tmp_path: Path) -> None:
    """A part of a test clip among the unlabeled ones would be trained on."""
    rows = (
        "run/1.mkv,run,,,train",
        "sit/2.mkv,sit,,,test",
        "sit/2.mkv,,0,0.5,",
        "unlabeled/long.mkv,,0,0.5,",
    )
    table = manifest(lab, "path,label,start,end,split", *rows)
    index = dataset.read_index(spec(table, segment=0), training=False)
    assert unlabeled(index) == ["unlabeled/long.mkv#t=0,0.5"]
    parts = manifest(lab, "Path,Start,End", "sit/2.mkv,0,1", "unlabeled/long.mkv,1,", name="parts.csv")
    table = manifest(lab, "path,label,split", "run/1.mkv,run,train", "sit/2.mkv,sit,test", name="whole.csv")
    index = dataset.read_index(spec(table, segment=0, unlabeled=[str(parts)]), training=False)
    assert unlabeled(index) == ["unlabeled/unlabeled/long.mkv#t=1"]


def test_folders_of_pictures_have_the_rate_of_the_clips(lab: Path) -> None:
    (lab / "unlabeled/film").mkdir()
    for number, picture in enumerate(pictures(12, 16, 16)):
        Image.fromarray(picture).save(lab / f"unlabeled/film/{number}.png")
    found = [name for name in unlabeled(dataset.read_index(spec(lab, segment=1, fps=4))) if "film" in name]
    assert found == ["unlabeled/film#t=0,1", "unlabeled/film#t=1,2", "unlabeled/film#t=2"]
    assert "unlabeled/film" in unlabeled(dataset.read_index(spec(lab, segment=1)))
    index = dataset.read_index(spec(lab, segment=1, fps=4, stride=2))
    data = dataset.load(spec(lab, segment=1, fps=4, stride=2), index)
    row = index.ids.tolist().index("unlabeled/film#t=1,2")
    assert data.store.count(row) == 8, "two for each picture, as the stride is 2"
    assert np.array_equal(
        data.store.read(row, np.array([0, 2, 6]))[..., 0], pictures(12, 16, 16)[[4, 5, 7], ..., 0]
    )


def test_a_file_that_cannot_be_read_is_quarantined_once(lab: Path) -> None:
    index = dataset.read_index(spec(lab))
    (lab / "unlabeled/long.mkv").write_bytes(b"no video")
    data = dataset.load(spec(lab), index, skip_broken=True)
    assert list(data.broken) == ["unlabeled/long.mkv"]
    assert unlabeled(data.index) == ["unlabeled/short.mkv"]
    assert unlabeled(dataset.read_index(spec(lab))) == ["unlabeled/short.mkv"]


def test_a_partition_counts_the_segments_that_are_asked_for(lab: Path) -> None:
    sizes = [len(make_partition(lab, segment=seconds).partition.unlabeled) for seconds in (0, 0.6, 0.5)]
    assert sizes == [2, 4, 6]
