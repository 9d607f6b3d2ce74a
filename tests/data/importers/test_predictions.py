"""Tables of another model's predictions, and mistakes in them."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.input_errors import problems
from helpers.sources import manifest, touch

from ssl_video.data.importers import predictions, read
from ssl_video.data.index import Index

CLIPS = ("run/0.mp4", "run/1.mp4", "sit/2.mp4", "sit/3.mp4", "unlabeled/4.mp4", "unlabeled/5.mp4")


@pytest.fixture
def index(tmp_path: Path) -> Index:
    touch(tmp_path / "lab", *CLIPS)
    return read(tmp_path / "lab", unsplit="train")


@pytest.fixture
def found(index: Index, tmp_path: Path) -> Callable[..., np.ndarray]:
    """A function that returns the predictions of the unlabeled clips by the rows of a table."""

    def of(*rows: str, header: str = "path,run,sit", rows_of: str = "unlabeled") -> np.ndarray:
        table = manifest(tmp_path, header, *rows, name="table.csv")
        return predictions.read(table, index, index.rows(rows_of))

    return of


def test_clips_in_any_order_by_path_or_name(found: Callable[..., np.ndarray], tmp_path: Path) -> None:
    """From another folder's path, only the name is left. Columns in any order, and further ones."""
    made = found(
        "elsewhere/5.mp4,0.25,0.75,1",
        f"{tmp_path}/lab/unlabeled/4.mp4,0.9,0.1,2",
        "lab/run/0.mp4,0.5,0.5,3",
        header="path,sit,run,windows",
    )
    assert made.dtype == np.float32
    assert made.tolist() == [pytest.approx([0.1, 0.9]), pytest.approx([0.75, 0.25])]


def test_through_a_link(found: Callable[..., np.ndarray], tmp_path: Path) -> None:
    os.symlink(tmp_path / "lab" / "unlabeled", tmp_path / "linked")
    made = found("linked/4.mp4,1,0", "linked/5.mp4,0,1")
    assert made.tolist() == [[1, 0], [0, 1]]


def test_rounded_probabilities_are_normalised(found: Callable[..., np.ndarray]) -> None:
    made = found("lab/unlabeled/4.mp4,0.333,0.666", "lab/unlabeled/5.mp4,0.5,0.5")
    assert made.sum(1).tolist() == pytest.approx([1, 1])
    assert made[0, 1] == pytest.approx(2 / 3, abs=1e-6)


def test_parts_of_a_recording(tmp_path: Path) -> None:
    touch(tmp_path / "lab", *CLIPS[:4], "unlabeled/day.mp4")
    rows = (
        "lab/run/0.mp4,,,run",
        "lab/sit/2.mp4,,,sit",
        "lab/unlabeled/day.mp4,0,5,",
        "lab/unlabeled/day.mp4,5,9,",
    )
    index = read(manifest(tmp_path, "path,start,end,label", *rows), unsplit="train")
    table = manifest(
        tmp_path, "path,start,end,run,sit", "lab/unlabeled/day.mp4,5,9,0,1", "lab/unlabeled/day.mp4,0,5,1,0",
        name="table.csv",
    )  # fmt: skip
    assert predictions.read(table, index, index.rows("unlabeled")).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("header", "rows", "sentence"),
    [
        ("run,sit", ["0.5,0.5"], "has the column path, and one for each class"),
        ("path,run", ["lab/unlabeled/4.mp4,1"], "it has none for 'sit'"),
        (
            "path,run,sit",
            ["lab/unlabeled/4.mp4,1,0"],
            "1 of 2 unlabeled clips have no predictions: 'unlabeled/5.mp4'",
        ),
        (
            "path,run,sit",
            ["lab/unlabeled/4.mp4,1,0", "lab/unlabeled/5.mp4,,"],
            "1 of 2 unlabeled clips have no",
        ),
        (
            "path,run,sit",
            ["lab/unlabeled/4.mp4,3.5,-2.5", "lab/unlabeled/5.mp4,1,0"],
            "1 row has no probabilities of 0 or more with the sum 1, first line 2: [3.5, -2.5]",
        ),
        (
            "path,run,sit",
            ["lab/unlabeled/4.mp4,1,0", "lab/unlabeled/5.mp4,0.4,0.4"],
            "first line 3: [0.4, 0.4]",
        ),
        (
            "path,run,sit",
            ["lab/unlabeled/4.mp4,1,0", "lab/unlabeled/5.mp4,one,0"],
            "first line 3: [inf, 0.0]",
        ),
        (
            "path,run,sit",
            ["lab/unlabeled/4.mp4,nan,1", "lab/unlabeled/5.mp4,1,0"],
            "first line 2: [inf, 1.0]",
        ),
        (
            "path,run,sit",
            ["lab/unlabeled/4.mp4,1,0", "lab/unlabeled/4.mp4,0,1", "lab/unlabeled/5.mp4,1,0"],
            "a clip has two different predictions: 'lab/unlabeled/4.mp4 (line 3)'",
        ),
        ("path,run,sit", ["gone.mp4,1,0", "lab/unlabeled/5.mp4,1,0"], "1 of 2 files do not exist"),
    ],
)
def test_mistakes(found: Callable[..., np.ndarray], header: str, rows: list[str], sentence: str) -> None:
    told = problems(found, *rows, header=header)
    assert any(sentence in problem for problem in told), told


def test_rows_of_other_clips_are_left_out(found: Callable[..., np.ndarray]) -> None:
    """As of test clips that are not on this machine."""
    made = found("lab/unlabeled/4.mp4,1,0", "lab/unlabeled/5.mp4,0,1", "/away/test/7.mp4,0.5,0.5")
    assert made.tolist() == [[1, 0], [0, 1]]


def test_classes_that_are_called_like_other_columns(tmp_path: Path) -> None:
    """`Group` is a column of manifests, and a class here; with `path`, a table has no second column."""
    touch(tmp_path / "lab", "Group/0.mp4", "Group/1.mp4", "=sit/2.mp4", "=sit/3.mp4")
    index = read(tmp_path / "lab", unsplit="train")
    rows = [f"lab/{name},{value},{1 - value}" for name, value in zip(index.ids, (0, 0, 1, 1), strict=True)]
    table = manifest(tmp_path, "path,Group,'=sit", *rows, name="table.csv")
    assert predictions.read(table, index, index.rows("train")).tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]
    touch(tmp_path / "other", "path/0.mp4", "path/1.mp4", "sit/2.mp4", "sit/3.mp4")
    index = read(tmp_path / "other", unsplit="train")
    table = manifest(tmp_path, "Path,path,sit", "other/sit/2.mp4,0,1", name="table.csv")
    (problem,) = problems(predictions.read, table, index, index.rows("train"))
    assert "a class is called like another column: 'path'" in problem


def test_equal_files_have_one_identity(tmp_path: Path) -> None:
    one, other = (manifest(tmp_path / name, "path,run", "a,1", name="t.csv") for name in ("a", "b"))
    assert predictions.identity(str(one)) == predictions.identity(str(other))
    other.write_text("path,run\na,0\n")
    assert predictions.identity(str(one)) != predictions.identity(str(other))
    assert "No such file" in problems(predictions.identity, str(tmp_path / "c.csv"))[0]
