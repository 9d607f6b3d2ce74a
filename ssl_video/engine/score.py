"""Accuracy of every predictor: on validation clips where asked for, on test clips once, at the end."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ssl_video.engine.evaluate import accuracy, probabilities
from ssl_video.engine.predictions import Predictions, predictions

if TYPE_CHECKING:
    from ssl_video.engine.train import Training

Scores = dict[str, dict[str, float]]


def validate(run: "Training") -> Scores:
    """Accuracy of every predictor on the clips that were kept for this; empty where there are none."""
    rows = run.partition.validation
    return _accuracies(run, rows, _probabilities(run, rows, None)) if len(rows) else {}


def final_test(
    run: "Training", report: Callable[[int, int], None] | None = None
) -> tuple[Scores, Predictions]:
    """Accuracy of every predictor on the test clips, which are read here and nowhere else; what they said.

    Args:
        run: a run after its last step.
        report: called with the number of clips done and to do.
    """
    rows, index = run.partition.test, run.data.index
    scores = _probabilities(run, rows, report)
    clips = [index.ids[row] for row in rows.tolist()]
    return _accuracies(run, rows, scores), predictions(clips, index.classes, run.labels[rows], scores)


def _probabilities(
    run: "Training", rows: np.ndarray, progress: Callable[[int, int], None] | None
) -> dict[str, np.ndarray]:
    # Each process looks at a share of the clips.
    run.processes.same_buffers(run.assembly.parts())
    return probabilities(
        run.assembly.predictors(),
        run.assembly.shape_for,
        run.data.store,
        rows.tolist(),
        run.spec,
        run.device,
        progress,
        run.processes,
    )


def _accuracies(run: "Training", rows: np.ndarray, scores: dict[str, np.ndarray]) -> Scores:
    return {name: accuracy(score, run.labels[rows]) for name, score in scores.items()}
