"""Something-Something v2's JSON files."""

import json
from pathlib import Path

import pytest
from helpers.input_errors import problems
from helpers.sources import touch

from ssl_video.data.importers.make import IndexRequest, make
from ssl_video.data.importers.something_something import from_something_something
from ssl_video.data.importers.source_kinds import recognise

HOLDING, MOVING = "Holding [something] next to [something]", "Moving [something] up"
CONTENT = {
    "train": [
        {"id": "12", "label": "holding a cup next to a jar", "template": HOLDING, "placeholders": ["a"]},
        {"id": "3", "label": "moving pen up", "template": MOVING, "placeholders": []},
    ],
    "validation": [{"id": "7", "template": HOLDING}, {"id": "8", "template": MOVING}],
    "test": [{"id": "99"}],
    "labels": {"Holding something next to something": "0", "Moving something up": "1", "Other": "2"},
}


def write(folder: Path, prefix: str = "", **content: object) -> Path:
    for name, value in (CONTENT | content).items():
        (folder / f"{prefix}{name}.json").write_text(json.dumps(value))
    return folder


@pytest.mark.parametrize("prefix", ["", "something-something-v2-"])
def test_templates_without_brackets_are_classes(tmp_path: Path, prefix: str) -> None:
    write(tmp_path, prefix)
    touch(tmp_path, *(f"20bn/{number}.webm" for number in (3, 7, 8, 12)))
    assert recognise(tmp_path) == recognise(tmp_path / f"{prefix}train.json") == "something-something"
    index = make(IndexRequest([tmp_path], kind="something-something"), "ssv2")
    assert index.classes == ("Holding something next to something", "Moving something up")
    assert index.ids.tolist() == ["20bn/12.webm", "20bn/3.webm", "20bn/7.webm", "20bn/8.webm"]
    assert index.labels.tolist() == [0, 1, 0, 1]
    assert index.splits.tolist() == ["train", "train", "test", "test"]
    assert index.notes == (
        "1 test clip has no template: left out",
        "there is no test part: val is used as test",
    )


def test_problems_of_its_files(tmp_path: Path) -> None:
    write(tmp_path, labels={"Moving something up": "0"})
    files = sorted(tmp_path.iterdir())
    assert from_something_something(files).problems == [
        "1 templates are not in the file of labels: 'Holding something next to something'"
    ]
    for content, expected in (
        ('{"12": "x"}', "expected a list of clips"),
        ('[{"id": "../1", "template": "x"}]', "expected a list of clips"),
        ("[1]", "expected a list of clips"),
        ("3", "expected a list or a mapping"),
        ("[", "not valid JSON"),
    ):
        (tmp_path / "train.json").write_text(content)
        assert expected in problems(from_something_something, files)[0]
