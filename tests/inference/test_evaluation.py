"""Tables of an evaluation, by hand."""

import math
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from helpers.numbers import close

from ssl_video.errors import InputError
from ssl_video.figures import pdf
from ssl_video.figures.paper import SVG
from ssl_video.inference.evaluation import Evaluation, check_files

CLASSES = ("a", "b", "c", "d")


def scores(*guesses: int, fraction: float = 0.7) -> np.ndarray:
    """Each clip's guess has a fraction, and the other three the same of the rest."""
    return np.where(np.arange(4) == np.array(guesses)[:, None], fraction, (1 - fraction) / 3)


# a: right, b, b; b: right; c: a, b; d has no clip.
MADE = Evaluation(
    ["a/1", "a/2", "a/3", "b/1", "c/1", "c/2"],
    CLASSES,
    np.array([0, 0, 0, 1, 2, 2]),
    {"model": scores(0, 1, 1, 1, 0, 1), "ema": scores(0, 0, 0, 1, 2, 2)},
    {"ema": scores(0, 0, 0, 1, 2, 0, fraction=0.9)},
)


def test_it_is_the_accuracies_by_predictor() -> None:
    model = {"top1": close(2 / 6), "top5": None, "mean_class": close((1 / 3 + 1 + 0) / 3)}
    assert dict(MADE) == {"model": model, "ema": {"top1": 1.0, "top5": None, "mean_class": 1.0}}
    assert MADE.clips == 6
    assert MADE.relabeled == {"ema": 1}


def test_classes() -> None:
    """b is labeled 4 times, of which 1 is right: precision 1/4, F1 2 * 1 / (1 + 4)."""
    found = MADE.per_class()
    assert list(found.columns) == [
        *("predictor", "class", "clips", "recall", "precision", "f1", "confused_with", "confused")
    ]
    rows = found[found["predictor"] == "model"].drop(columns="predictor").to_numpy().tolist()
    assert rows == [
        ["a", 3, close(1 / 3), close(1 / 2), close(2 / 5), "b", 2],
        ["b", 1, 1.0, close(1 / 4), close(2 / 5), None, 0],
        ["c", 2, 0.0, pytest.approx(math.nan, nan_ok=True), 0.0, "a", 1],
    ]
    assert found[found["predictor"] == "ema"]["f1"].tolist() == [1.0] * 3


def test_confusions_and_predictions_as_files(tmp_path: Path) -> None:
    MADE.write(confusion=tmp_path / "confusion.csv", predictions=tmp_path / "predictions.csv")
    confusion = pd.read_csv(tmp_path / "confusion.csv")
    assert confusion.to_numpy().tolist()[:5] == [
        ["model", "a", 1, 2, 0, 0],
        ["model", "b", 0, 1, 0, 0],
        ["model", "c", 1, 1, 0, 0],
        ["model", "d", 0, 0, 0, 0],
        ["ema", "a", 3, 0, 0, 0],
    ]
    assert list(confusion.columns) == ["predictor", "true_label", *CLASSES]
    said = pd.read_csv(tmp_path / "predictions.csv")
    assert list(said.columns) == [
        *("predictor", "path", "true_label", "label", "probability"),
        *("second_label", "second_probability", "margin"),
    ]
    assert len(said) == 12
    assert said.iloc[1].tolist() == ["model", "a/2", "a", "b", 0.7, "a", 0.1, 0.6]
    # At the temperature, as predict labels clips.
    assert said.iloc[11].tolist()[:5] == ["ema", "c/2", "c", "a", 0.9]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["confusion.csv", "predictions.csv"]


def test_the_matrices_as_a_picture(tmp_path: Path) -> None:
    """One for each predictor; a: one of three right, 33 %; d has no clip, so its four cells have strokes."""
    assert MADE.write(confusion=tmp_path / "confusion.svg") == []
    root = ET.parse(tmp_path / "confusion.svg").getroot()
    texts = [text.text or "" for text in root.iter(f"{{{SVG}}}text")]
    assert [text for text in texts if text in MADE] == ["model", "ema"]
    model = texts[: texts.index("ema")]
    assert [text for text in model if text.isdigit()] == ["33", "67", "100", "50", "50"]
    strokes = [path for path in root.iter(f"{{{SVG}}}path") if path.get("fill") == "none"]
    assert len(strokes) == 2 * 4


def test_the_picture_as_pdf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"confusion\.pdf: a \.pdf needs fpdf2: .* ends in \.svg"):
        check_files(tmp_path / "confusion.pdf", None)
    monkeypatch.undo()
    if not pdf.missing():
        assert MADE.write(confusion=tmp_path / "confusion.pdf") == []
        assert (tmp_path / "confusion.pdf").read_bytes().startswith(b"%PDF")


def test_files_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"table\.txt: the table is written as \.csv"):
        check_files(None, tmp_path / "table.txt")
    with pytest.raises(InputError, match=r"table\.svg: the table is written as \.csv"):
        check_files(None, tmp_path / "table.svg")
    with pytest.raises(InputError, match=r"is written as \.csv, \.svg or \.pdf"):
        MADE.write(confusion=tmp_path / "confusion.png")
    with pytest.raises(InputError, match=r"there is no folder .*absent"):
        check_files(tmp_path / "absent" / "table.csv", None)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*folder\.csv"):
        MADE.write(confusion=tmp_path / "folder.csv")


def test_reliability_before_and_after() -> None:
    """ema: all right at 0.7, then 5 of 6 right at 0.9; model: 2 of 6 at 0.7."""
    found = MADE.reliability().to_dict("records")
    assert [(row["predictor"], row["calibrated"], row["clips"], row["accuracy"]) for row in found] == [
        ("model", False, 6, close(1 / 3)),
        ("ema", False, 6, 1.0),
        ("ema", True, 6, close(5 / 6)),
    ]
    assert [row["probability"] for row in found] == close([0.7, 0.7, 0.9])
    assert MADE.calibration_errors() == {
        "model": (close(0.7 - 1 / 3), None),
        "ema": (close(0.3), close(0.9 - 5 / 6)),
    }
