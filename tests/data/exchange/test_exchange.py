"""Labels of annotation tools, in the forms that these document: read, written, read again, and broken."""

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.input_errors import problems
from helpers.sources import manifest, touch

from ssl_video.data import exchange
from ssl_video.data.exchange.label import Label
from ssl_video.data.importers import read as read_index
from ssl_video.data.importers.label_files import add_labels
from ssl_video.data.label_conversion import convert_labels

HOSTILE = ("a, b", 'say "x"', "line\nbreak", "=1+1", "日本 🦊", "</script>", "#t=3", "semi;colon")


def plain(rows: list[Label]) -> list[tuple[Any, ...]]:
    """Rows without their places."""
    return [tuple(row)[:-1] for row in rows]


def as_json(folder: Path, content: Any, name: str = "export.json") -> Path:
    return manifest(folder, json.dumps(content), name=name)


def test_label_studio_with_choices(tmp_path: Path) -> None:
    """An export as in the documentation of its task format."""
    result = {"from_name": "tag", "id": "Dx_aB91ISN", "to_name": "video", "type": "choices"}
    tasks = [
        {
            "id": 7, "created_at": "2021-03-09T21:52:49.513742Z", "project": 83,
            "data": {"video": "/data/upload/3/1a2b3c4d-fox_1.mp4"},
            "annotations": [
                {"id": 1001, "was_cancelled": True, "result": [result | {"value": {"choices": ["badger"]}}]},
                {"id": 1002, "was_cancelled": False, "result": [result | {"value": {"choices": ["fox"]}}]},
            ],
            "predictions": [
                {"model_version": "m1", "score": 0.75, "result": [result | {"value": {"choices": ["cat"]}}]}
            ],
        },
        {"id": 8, "data": {"video": "/data/local-files/?d=night/b%20c.mp4"}, "annotations": []},
        {"id": 9, "data": {"video": "https://host/a%20b/x.mp4?token=1"}, "annotations": [{"result": []}]},
    ]  # fmt: skip
    assert exchange.read(as_json(tmp_path, tasks)) == [
        Label("fox_1.mp4", "", "fox", "cat", 0.75, "task 7"),
        Label("night/b c.mp4", place="task 8"),
        Label("a b/x.mp4", place="task 9"),
    ]
    short = [
        {"id": 1, "video": "night/a.mp4", "choice": "fox"},
        {"id": 2, "video": "b.mp4", "label": ["cat"]},
    ]
    assert plain(exchange.read(as_json(tmp_path, short))) == plain(
        [Label("night/a.mp4", "", "fox"), Label("b.mp4", "", "cat")]
    )


def test_label_studio_with_parts_of_recordings(tmp_path: Path) -> None:
    """Ranges of frames are counted from 1, with the last one."""
    results = [
        {"type": "timelinelabels", "value": {"ranges": [{"start": 1, "end": 20}], "timelinelabels": ["run"]}},
        {"type": "labels", "value": {"start": 2.5, "end": 7, "labels": ["sit"], "channel": 0}},
        {"type": "rectanglelabels", "value": {"x": 1, "rectanglelabels": ["box"]}},
    ]
    tasks = [{"data": {"video": "day1.mp4"}, "annotations": [{"result": results}]}]
    assert plain(exchange.read(as_json(tmp_path, tasks))) == plain(
        [Label("day1.mp4", "#f=0,20", "run"), Label("day1.mp4", "#t=2.5,7", "sit")]
    )


def test_fiftyone(tmp_path: Path) -> None:
    content = {
        "classes": ["cat", "fox"],
        "labels": {
            "uuid1": 1,
            "night/uuid2.mp4": "cat",
            "uuid3": {"label": "fox", "confidence": 0.9, "attributes": {}},
            "uuid4": None,
            "uuid5": [{"label": 0, "timestamps": [1.5, 4]}, {"label": "fox", "support": [1, 30]}],
            "uuid6": [],
        },
    }
    file = as_json(tmp_path, content, "labels.json")
    expected = [
        Label("uuid1", "", "fox"),
        Label("night/uuid2.mp4", "", "cat"),
        Label("uuid3", "", "", "fox", 0.9),
        Label("uuid4"),
        Label("uuid5", "#t=1.5,4", "cat"),
        Label("uuid5", "#f=0,30", "fox"),
        Label("uuid6"),
    ]
    assert plain(exchange.read(file)) == plain(expected)
    as_json(tmp_path, {"uuid1": "/videos/one.mp4"}, "data.json")
    assert exchange.read(file)[0].path == "/videos/one.mp4"


VIA_3 = """# Exported using VGG Image Annotator (http://www.robots.ox.ac.uk/~vgg/software/via)
# Notes:
# - temporal coordinate of [1.349,2.741] denotes a temporal segment from time 1.346 sec. to 2.741 sec.
# SHAPE_ID = {"POINT":1,"RECTANGLE":2}
# FLAG_ID = {"RESERVED_FOR_FUTURE":1}
# ATTRIBUTE = {"1":{"aname":"Activity","anchor_id":"FILE1_Z2_XY0","type":4,"options":{"0":"run","1":"sit"}}}
# CSV_HEADER = metadata_id,file_list,flags,temporal_coordinates,spatial_coordinates,metadata
"1_j5sJvB9h","[""day 1.mp4""]",0,"[1.124,5.31493]","[]","{""1"":""1""}"
"1_zYQJk2sM","[""day 1.mp4""]",0,"[2.41892]","[2,162.262,176.21971,639.45,192.49481]","{""1"":""0""}"
"2_abc","[""b.mp4""]",0,"[]","[]","{""1"":""other""}"
"3_abc","[""c.mp4""]",0,"[]","[]","{}"
"""


def test_via(tmp_path: Path) -> None:
    file = manifest(tmp_path, VIA_3, name="via.csv")
    assert exchange.read(file) == [
        Label("day 1.mp4", "#t=1.124,5.31493", "sit", place="line 8"),
        Label("b.mp4", "", "other", place="line 10"),
        Label("c.mp4", "", "", place="line 11"),
    ]
    older = manifest(
        tmp_path,
        "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes",
        'a.mp4,120,"{""species"":""fox""}",2,0,"{}","{}"',
        'a.mp4,120,"{""species"":""fox""}",2,1,"{}","{}"',
        'b.mp4,99,"{}",0,0,"{}","{}"',
        name="via2.csv",
    )
    assert plain(exchange.read(older)) == plain([Label("a.mp4", "", "fox"), Label("b.mp4")])


@pytest.mark.parametrize("to", exchange.FORMATS)
def test_what_is_written_is_read_again(tmp_path: Path, to: str) -> None:
    rows = [Label(f"/videos/{number}, x.mp4", "", name) for number, name in enumerate(HOSTILE)]
    rows += [Label("/videos/none.mp4"), Label('/videos/"q" 日.mp4', "", "fox")]
    exchange.write(tmp_path / f"out.{'csv' if to in ('csv', 'via') else 'json'}", rows, to)
    (file,) = tmp_path.iterdir()
    assert plain(exchange.read(file)) == plain(rows)


@pytest.mark.parametrize("to", exchange.FORMATS)
def test_parts_of_recordings_are_read_again(tmp_path: Path, to: str) -> None:
    rows = [
        Label("/a.mp4", "#t=2.5,7", "run"),
        Label("/a.mp4", "#t=7,9.25", "sit"),
        Label("/b.mp4", "#t=0,3", "run"),
    ]
    file = tmp_path / f"out.{'csv' if to in ('csv', 'via') else 'json'}"
    exchange.write(file, rows, to)
    assert plain(exchange.read(file)) == plain(rows)


@pytest.mark.parametrize("to", ["csv", "label-studio", "fiftyone"])
def test_predicted_labels_stay_predictions(tmp_path: Path, to: str) -> None:
    rows = [Label("/a.mp4", "", "", "fox", 0.625), Label("/b.mp4", "", "cat")]
    file = tmp_path / f"out.{'csv' if to == 'csv' else 'json'}"
    exchange.write(file, rows, to)
    assert plain(exchange.read(file)) == plain(rows)


def test_a_table_of_predict_has_labels_of_a_network(tmp_path: Path) -> None:
    header = "path,start,end,label,probability,second_label,second_probability,margin,windows,error"
    file = manifest(
        tmp_path, header, "a.mp4,,,fox,0.7,cat,0.2,0.5,3,", "b.mp4,,,,,,,,0,broken", name="labels.csv"
    )
    assert plain(exchange.read(file)) == plain([Label("a.mp4", "", "", "fox", 0.7), Label("b.mp4")])
    made = convert_labels(file, tmp_path / "tasks.json", to="label-studio")
    assert (made.clips, made.labeled, made.predicted, made.classes) == (2, 0, 1, ["fox"])
    task = json.loads((tmp_path / "tasks.json").read_text())[0]
    assert "annotations" not in task
    assert task["predictions"][0]["score"] == 0.7


def test_labels_of_tools_find_clips_by_their_names(tmp_path: Path) -> None:
    """Servers and other machines have other folders; FiftyOne leaves the extension out."""
    touch(
        tmp_path / "lab",
        "run/0.mp4",
        "run/1.mp4",
        "sit/2.mp4",
        "sit/3.mp4",
        "unlabeled/x.y.mp4",
        "unlabeled/z.mp4",
    )
    tasks = [{"data": {"video": "/data/upload/3/1a2b3c4d-x.y.mp4"}, "annotations": [
        {"result": [{"type": "choices", "value": {"choices": ["sit"]}}]}]}]  # fmt: skip
    files = [
        as_json(tmp_path, tasks),
        as_json(tmp_path, {"classes": [], "labels": {"z": "run", "0": "sit"}}, "labels.json"),
        manifest(tmp_path, "path,label", "D:\\lab\\run\\1.mp4,sit", name="windows.csv"),
    ]
    index = add_labels(read_index(tmp_path / "lab"), files)
    found = dict(zip(index.ids, index.label.tolist(), strict=True))
    assert (found["unlabeled/x.y.mp4"], found["unlabeled/z.mp4"]) == ("sit", "run")
    assert (found["run/0.mp4"], found["run/1.mp4"]) == ("sit", "sit")


def test_a_name_that_several_clips_have(tmp_path: Path) -> None:
    touch(tmp_path / "lab", "run/0.mp4", "run/1.mp4", "sit/0.mp4", "sit/3.mp4")
    file = as_json(tmp_path, {"classes": [], "labels": {"0": "run"}}, "labels.json")
    (problem,) = problems(add_labels, read_index(tmp_path / "lab"), [file])
    assert f"0 may be {tmp_path}/lab/run/0.mp4 or {tmp_path}/lab/sit/0.mp4" in problem


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.json", "[1, 2]", "is not an export of Label Studio"),
        ("a.json", '[{"data": {"id": 3}}]', "no address of a video in a task"),
        (
            "a.json",
            '[{"data": {"video": "a.mp4"}, "annotations": [{"result": [{"type": "choices", '
            '"value": {"choices": ["a", "b"]}}]}]}]',
            "task 1 has several labels at once, 'a', 'b'; expected one",
        ),
        ("a.json", '{"labels": {"a": 3}, "classes": []}', "is not a labels.json of FiftyOne"),
        ("a.json", '{"a": ', "is not a labels.json of FiftyOne"),
        ("a.json", '{"labels": {"a": -1}, "classes": ["x"]}', "-1 is neither a class nor its number"),
        ("a.json", '{"labels": {"a": true}, "classes": ["x"]}', "True is neither a class nor its number"),
        ("a.json", '[{"video": "a.mp4", "choice": ["x", "y"]}]', "task 1 has several labels at once"),
        ("a.json", '[{"data": {"video": "a.mp4"}, "annotations": [{"result": [{"type": "choices", '
         '"value": {"choices": [1]}}]}]}]', "1 is not a text (task 1)"),
        ("a.json", '[{"path": "a.mp4", "label": "x", "second_label": "y", "windows": 1}]',
         "it is a table of predict"),
        ("a.csv", "path,begin,stop,label\na.mp4,1,2,x", "column 'begin', 'stop' is not used"),
        ("a.csv", VIA_3.replace('""1""}', '""0,1""}', 1), "line 8 has several labels at once, 0,1"),
        ("a.json", "text", "labels are read from .csv and .tsv tables"),
        ("a.csv", VIA_3.replace('""1""}', '""1"",""2"":""x""}', 1), "line 8 has values of several"),
        ("a.csv", VIA_3.replace("[1.124", "[1.124,"), "is not a CSV file of the VGG Image Annotator"),
        ("a.csv", "# CSV_HEADER = a,b\nx,y", "is not a CSV file of the VGG Image Annotator"),
        ("a.csv", "video,label\na,b", "it has no 'path'"),
    ],
)  # fmt: skip
def test_broken_files(tmp_path: Path, name: str, text: str, problem: str) -> None:
    file = manifest(tmp_path, text, name=name)
    (found,) = problems(exchange.read, file)
    assert str(file) in found
    assert problem in found


@pytest.mark.parametrize(
    ("row", "to", "problem"),
    [
        (Label("a.mp4", "#t=3", "x"), "fiftyone", "need a start and an end"),
        (Label("a.mp4", "#f=3,9", "x"), "via", "VIA needs the seconds"),
        (Label("a.mp4", "", "x"), "coco", "unknown format 'coco'"),
    ],
)
def test_what_a_format_cannot_hold(tmp_path: Path, row: Label, to: str, problem: str) -> None:
    file = tmp_path / ("out.json" if to == "fiftyone" else "out.csv")
    assert problem in problems(exchange.write, file, [row], to)[0]
    assert not file.exists()


def test_an_address_with_a_server(tmp_path: Path) -> None:
    tasks = [{"id": 1, "video": "http://host/data/upload/3/1a2b3c4d-f%20x.mp4", "choice": "fox"}]
    assert exchange.read(as_json(tmp_path, tasks))[0].path == "f x.mp4"


def test_two_labels_of_one_file_in_fiftyone(tmp_path: Path) -> None:
    rows = [Label("a.mp4", "", "fox"), Label("a.mp4", "", "cat")]
    (problem,) = problems(exchange.write, tmp_path / "labels.json", rows, "fiftyone")
    assert problem == "a.mp4: FiftyOne's classifications have one label for each file"


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    file = manifest(tmp_path, "path,label", "a.mp4,fox", name="clips.csv")
    for output in (file, manifest(tmp_path, "mine", name="other.csv")):
        before = output.read_bytes()
        assert "exists: give another name, or --overwrite" in problems(convert_labels, file, output)[0]
        assert output.read_bytes() == before
    assert problems(convert_labels, file, file, overwrite=True) == (f"{file} exists: give another name",)
    assert convert_labels(file, tmp_path / "other.csv", overwrite=True).labeled == 1
    assert "ends in .json" in problems(convert_labels, file, tmp_path / "x.csv", to="label-studio")[0]
