"""Cells that a spreadsheet would calculate."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from helpers.records import write_into

from ssl_video import csv_cells
from ssl_video.annotation import table as suggestions
from ssl_video.benchmarks.tables import leaderboard
from ssl_video.data.exchange import table
from ssl_video.data.exchange.label import Label
from ssl_video.data.importers.manifest import read_table
from ssl_video.data.video import quarantine
from ssl_video.inference.evaluation import Evaluation
from ssl_video.inference.label_table import COLUMNS, _texts, _typed

FORMULA = "=cmd|' /C calc'!A0"
TEXTS = [
    FORMULA,
    "+x",
    "-x",
    "@x",
    "\tx",
    "\rx",
    "'=x",
    "''=x",
    "'-0.5",
    "'x",
    "'",
    "",
    "x=1",
    "-0.5",
    "-1e3",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_comes_back(text: str) -> None:
    written = csv_cells.mark(text)
    assert csv_cells.unmark(written) == text
    assert written[:1] not in {*"=+@\t\r"}
    assert not written.startswith("-") or float(written)
    assert pc.replace_substring_regex(pa.array([written]), csv_cells.MARKED_TEXT, r"\1")[0].as_py() == text


@pytest.mark.parametrize("path", ["=a.mp4", "./=a.mp4", "././-a", "a/=b", "-0.5", "../a", "./a", "@x/y"])
def test_a_path_comes_back_and_is_the_same_file(path: str) -> None:
    written = csv_cells.mark_path(path)
    assert csv_cells.unmark_path(written) == path
    assert Path(written) == Path(path)
    assert written[0] not in "=+-@"


def test_numbers_stay_numbers() -> None:
    assert [csv_cells.mark(cell) for cell in (-0.5, "-0.5", "+1e-3", None, -3)] == [
        -0.5,
        "-0.5",
        "+1e-3",
        None,
        -3,
    ]


def starts(text: str) -> set[str]:
    """The first characters of a table's cells."""
    return {cell.strip('"')[:1] for line in text.splitlines() for cell in line.split(",")}


def test_every_table_is_written_and_read_so(tmp_path: Path) -> None:
    write_into(tmp_path / "runs" / "a", algorithm=FORMULA, dataset="@data")
    leaderboard.write(tmp_path)
    text = (tmp_path / "leaderboard.csv").read_text()
    assert not starts(text) & {*"=+@"}
    (line,) = leaderboard.read_csv(tmp_path / "leaderboard.csv").itertuples()
    assert (line.algorithm, line.dataset) == (FORMULA, "@data")
    assert leaderboard._listed(tmp_path) == ["a"]

    cells = _texts(
        COLUMNS, {"path": "=a.mp4", "label": FORMULA, "second_label": "-x", "probability": 0.5, "windows": 1}
    )
    assert not {cell[:1] for cell in cells} & {*"=-"}
    found = _typed(COLUMNS, cells)
    assert (found["path"], found["label"], found["second_label"]) == ("=a.mp4", FORMULA, "-x")
    assert len(cells) == len(COLUMNS)

    file = tmp_path / "labels.csv"
    file.write_text(table.written([Label("=a.mp4", "", FORMULA)]))
    columns = read_table(file)
    assert (columns["path"][0].as_py(), columns["label"][0].as_py()) == ("=a.mp4", FORMULA)

    suggestions.write(tmp_path / "todo", pd.DataFrame({"path": ["/a"], "label": ["=x"], "start": [-0.5]}))
    assert (tmp_path / "todo" / "clips.csv").read_text() == "path,label,start\n/a,'=x,-0.5\n"

    (tmp_path / "data").mkdir()
    written = quarantine.write(tmp_path / "data", {"=a.mp4": "-x"})
    assert not starts(written.read_text()) & {*"=-"}
    assert quarantine.read(tmp_path / "data") == {"=a.mp4": "-x"}

    evaluated = Evaluation(["=a", "b"], ["=x", "y"], np.array([0, 1]), {"model": np.eye(2)}, {})
    evaluated.write(confusion=tmp_path / "c.csv", predictions=tmp_path / "p.csv")
    for name in ("c.csv", "p.csv"):
        assert not starts((tmp_path / name).read_text()) & {"="}


def test_names_that_no_mark_is_in_the_way_of(tmp_path: Path) -> None:
    """Texts are marked otherwise than paths, and a carriage return needs quotes."""
    rows = [Label("'-a.mp4", "", "'=x"), Label("./@b.mp4", "", "a\rb"), Label("c\rd.mp4", "", "-1.5")]
    file = tmp_path / "labels.csv"
    file.write_bytes(table.written(rows).encode())
    assert [(row.path, row.label) for row in table.read(file)] == [
        *(("'-a.mp4", "'=x"), ("./@b.mp4", "a\rb"), ("c\rd.mp4", "-1.5"))
    ]
