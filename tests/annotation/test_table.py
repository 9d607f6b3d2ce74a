"""The table of suggestions: its rows, and the labels in it that must not be lost."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ssl_video.annotation import table
from ssl_video.data.importers import to_label
from ssl_video.errors import InputError

SCORES = np.array([0.2, 0.5, 0.3])


def test_rows_and_their_file(tmp_path: Path) -> None:
    odd = os.fsdecode(b"/v/\xff.mp4")
    names = ("/v/a.mp4", "/v/b.mp4#t=2.5,4", "/v/c.mp4#f=8,16", odd)
    rows = [table.row_of(to_label.video(name), SCORES, "xyz") for name in names]
    assert [row["path"] for row in rows] == ["/v/a.mp4", "/v/b.mp4", "/v/c.mp4#f=8,16", odd]
    assert [row["file"] for row in rows] == ["/v/a.mp4", "/v/b.mp4", "/v/c.mp4", odd]
    made = table.frame(rows, check_labels=False)
    assert made["start"].dtype == np.float64
    table.write(tmp_path / "todo", made)
    text = (tmp_path / "todo" / "clips.csv").read_bytes().splitlines()
    assert text[0].decode() == ",".join(table.COLUMNS)
    assert text[1:3] == [b"/v/a.mp4,,,,y,0.5,z,0.3,0.2", b"/v/b.mp4,2.5,4,,y,0.5,z,0.3,0.2"]
    assert text[4].startswith(b"/v/\xff.mp4,")


def test_labels_that_are_given(tmp_path: Path) -> None:
    row = table.row_of(to_label.video("/v/a.mp4"), SCORES, "xyz", "x") | {"quality": 0.2}
    made = table.frame([row], check_labels=True)
    assert made.iloc[0][["label", "predicted_label", "quality"]].tolist() == ["x", "y", 0.2]
    assert table.frame([], check_labels=True).columns.tolist() == [*table.COLUMNS, "quality"]


def test_labels_are_not_lost(tmp_path: Path) -> None:
    folder = tmp_path / "todo"
    table.check(folder, overwrite=False)
    table.write(
        folder, table.frame([table.row_of(to_label.video("/a.mp4"), SCORES, "xyz")] * 3, check_labels=False)
    )
    table.check(folder, overwrite=False)
    kept = pd.read_csv(folder / "clips.csv", dtype={"label": object})
    kept.loc[1, "label"] = "x"
    kept.to_csv(folder / "clips.csv", index=False)
    with pytest.raises(InputError, match=r"has 1 of 3 labels filled in.* --overwrite"):
        table.check(folder, overwrite=False)
    table.check(folder, overwrite=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "is not a table of suggestions"),
        ("path,label\n/a.mp4\n", None),  # a row that was cut off has no label
        ("", None),
        ('path,label\n"/a.mp4,x\n', "cannot be read"),
    ],
)
def test_other_files_of_that_name(tmp_path: Path, text: str, message: str | None) -> None:
    (tmp_path / "clips.csv").write_text(text)
    if message is None:
        table.check(tmp_path, overwrite=False)
        return
    with pytest.raises(InputError, match=message):
        table.check(tmp_path, overwrite=False)


def test_folders_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        table.check(tmp_path / "file", overwrite=False)
    with pytest.raises(InputError, match="there is no folder"):
        table.check(tmp_path / "absent" / "todo", overwrite=False)
