"""Kinetics' CSV files in their variants."""

from pathlib import Path
from typing import Any

import pytest
from helpers.input_errors import problems
from helpers.sources import manifest, touch

from ssl_video.data.importers.kinetics import from_kinetics
from ssl_video.data.importers.make import IndexRequest, make
from ssl_video.data.importers.source_kinds import recognise

TRAIN = [
    "label,youtube_id,time_start,time_end,split,is_cc",
    "air drumming,-abc_DEF-12,1,11,train,0",
    "air drumming,abcdefghijk,120,130,train,0",
    "zumba,zumbaaaaaaa,0,10,train,1",
]
VAL = [
    "label,youtube_id,time_start,time_end,split,is_cc",
    "air drumming,validation1,5,15,validate,0",
    "zumba,validation2,5,15,validate,0",
]
TEST = ["youtube_id,time_start,time_end,split", "testtesttes,3,13,test", "testtestte2,3,13,test"]
CLIPS = {
    "air drumming/-abc_DEF-12_000001_000011.mp4": "train",
    "air drumming/abcdefghijk_000120_000130.mp4": "train",
    "air drumming/validation1_000005_000015.mp4": "test",
    "zumba/validation2_000005_000015.mp4": "test",
    "zumba/zumbaaaaaaa_000000_000010.mp4": "train",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, lines in (("train", TRAIN), ("val", VAL), ("test", TEST)):
        manifest(tmp_path / "annotations", *lines, name=f"{name}.csv")
    return tmp_path / "annotations"


def index(folder: Path, **request: Any) -> dict[str, str]:
    made = make(IndexRequest([folder], kind="kinetics", **request), "k")
    return dict(zip(made.ids, made.splits.tolist(), strict=True))


def test_unlabeled_test_clips_leave_val_as_test(folder: Path) -> None:
    assert recognise(folder) == recognise(folder / "val.csv") == "kinetics"
    made = make(IndexRequest([folder], kind="kinetics", check=False), "kinetics")
    assert dict(zip(made.ids, made.splits.tolist(), strict=True)) == CLIPS
    assert made.classes == ("air drumming", "zumba")
    assert made.groups is not None
    assert sorted(made.groups.tolist())[0] == "-abc_DEF-12"
    assert made.notes == (
        "2 test clips have no label: left out",
        "there is no test part: val is used as test",
    )


def test_files_lie_in_class_folders_or_flat(folder: Path, tmp_path: Path) -> None:
    flat = [name.split("/")[1] for name in CLIPS]
    touch(tmp_path / "flat", *flat)
    assert list(index(folder, videos=tmp_path / "flat")) == sorted(flat)
    nested = [f"{part}/{name.replace(' ', '_')}" for name, part in CLIPS.items()]
    touch(tmp_path / "nested", *nested)
    assert list(index(folder, videos=tmp_path / "nested")) == sorted(nested)


def test_missing_clips_are_an_error_or_counted(folder: Path, tmp_path: Path) -> None:
    names = sorted(CLIPS)
    touch(tmp_path / "v", *names[1:4])
    touch(tmp_path / "v", "zumba/zumbaaaaaaa_000000_000010.webm")
    request = IndexRequest([folder], kind="kinetics", videos=tmp_path / "v")
    [problem] = problems(make, request, "k")
    assert "1 of 5 files do not exist in" in problem
    assert "(val 0 of 2, train 1 of 3)" in problem
    assert "--skip-missing" in problem
    made = make(IndexRequest([folder], kind="kinetics", videos=tmp_path / "v", skip_missing=True), "k")
    assert made.ids.tolist() == [*names[1:4], "zumba/zumbaaaaaaa_000000_000010.webm"]
    assert made.notes[1] == (
        "1 of 5 clips are left out, since their files are missing (val 0 of 2, train 1 of 3)"
    )


def test_the_part_is_in_the_name_of_a_file_without_one(tmp_path: Path) -> None:
    for name, lines in (("kinetics_train", TRAIN), ("kinetics_val", VAL)):
        cut = [",".join(line.split(",")[:4]) for line in lines]
        manifest(tmp_path, *cut, name=f"{name}.csv")
    assert index(tmp_path, check=False) == CLIPS
    file = manifest(tmp_path, *(",".join(line.split(",")[:4]) for line in TRAIN), name="all.csv")
    assert "has no column split: expected one, or train, val or test" in problems(from_kinetics, [file])[0]


def test_problems_of_a_file(tmp_path: Path) -> None:
    file = manifest(tmp_path, *TRAIN, "zumba,x,1.5,ten,train,0", "zumba,x,2.0,12,tarin,0", name="train.csv")
    assert from_kinetics([file]).problems == [
        "train.csv: time_start has '1.5 (line 5)'; expected whole seconds",
        "train.csv: time_end has 'ten (line 5)'; expected whole seconds",
        "column 'split' has 'tarin'; expected train, test, val or nothing",
    ]
    file = manifest(tmp_path, "label,youtube_id,start,end", "zumba,x,1,2")
    assert any("unknown column 'time_start'" in problem for problem in problems(from_kinetics, [file]))


def test_a_label_does_not_lead_out(tmp_path: Path) -> None:
    lines = [*TRAIN, "../../zumba,x,1,11,train,0", *VAL[1:]]
    file = manifest(tmp_path, *lines, name="train.csv")
    found = problems(make, IndexRequest([file], kind="kinetics", check=False), "k")
    assert "1 paths lead out of" in found[0]
