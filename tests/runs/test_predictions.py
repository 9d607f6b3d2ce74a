"""What predictors said of test clips, as a finished run keeps it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.numbers import close

from ssl_video.data.dataset import Data
from ssl_video.errors import InputError
from ssl_video.inference.evaluate import accuracy
from ssl_video.runs.predictions import PREDICTIONS, predictions, read, write
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan, run

CLASSES = [f"class {n}" for n in range(7)]
SCORES = {
    "primary": np.array([[0.1, 0.3, 0.3, 0.05, 0.05, 0.15, 0.05], [0.4, 0, 0, 0, 0, 0, 0.6]]),
    "auxiliary": np.eye(7)[[3, 6]],
}


def test_the_five_likeliest_classes_are_kept(tmp_path: Path) -> None:
    """Of equal probabilities the lower class number comes first, as in the accuracies."""
    write(tmp_path, predictions(["a.mp4", "ü/b.mp4"], CLASSES, np.array([2, 6]), SCORES))
    found = read(tmp_path)
    assert found.clips.tolist() == ["a.mp4", "ü/b.mp4"]
    assert found.classes.tolist() == CLASSES
    assert found.labels.tolist() == [2, 6]
    assert list(found.guesses) == list(found.confidences) == ["primary", "auxiliary"]
    assert found.guesses["primary"].tolist() == [[1, 2, 5, 0, 3], [6, 0, 1, 2, 3]]
    assert found.confidences["primary"][0] == close([0.3, 0.3, 0.15, 0.1, 0.05])
    assert found.guesses["auxiliary"][:, 0].tolist() == [3, 6]


def test_of_three_classes_three_are_kept(tmp_path: Path) -> None:
    made = predictions(["a"], ["x", "y", "z"], np.array([0]), {"model": np.array([[0.2, 0.5, 0.3]])})
    assert made.guesses["model"].tolist() == [[1, 2, 0]]


def test_a_run_keeps_what_its_accuracies_are_made_of(
    make_plan: Callable[..., Plan], data: Data, tmp_path: Path
) -> None:
    result = run(make_plan(algorithm="cmpl"), tmp_path, Execution("cpu"))
    found = read(tmp_path)
    assert found.clips.tolist() == [data.index.ids[row] for row in data.index.rows("test").tolist()]
    assert found.classes.tolist() == list(data.index.classes)
    assert list(found.guesses) == ["primary", "auxiliary"]
    for name, guesses in found.guesses.items():
        scores = np.zeros((len(guesses), len(data.index.classes)))
        np.put_along_axis(scores, guesses, found.confidences[name], 1)
        measured, recorded = accuracy(scores, found.labels), result.predictors[name]
        assert measured["top5"] is recorded.top5 is None  # of three classes
        assert (measured["top1"], measured["mean_class"]) == close((recorded.top1, recorded.mean_class))


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not finished"):
        read(tmp_path)
    write(tmp_path, predictions(["a"], CLASSES, np.array([0]), {"model": np.eye(7)[:1]}))
    whole = (tmp_path / PREDICTIONS).read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"text"):
        (tmp_path / PREDICTIONS).write_bytes(content)
        with pytest.raises(InputError, match="damaged"):
            read(tmp_path)
