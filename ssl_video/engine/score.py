"""Accuracy of every predictor: on validation clips where asked for, on test clips once, at the end."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ssl_video.engine.evaluate import accuracy, probabilities

if TYPE_CHECKING:
    from ssl_video.engine.train import Training

Scores = dict[str, dict[str, float]]


def validate(run: "Training") -> Scores:
    """Accuracy of every predictor on the clips that were kept for this; empty where there are none."""
    return _score(run, run.partition.validation, None) if len(run.partition.validation) else {}


def final_test(run: "Training", report: Callable[[int, int], None] | None = None) -> Scores:
    """Accuracy of every predictor on the test clips, which are read here and nowhere else.

    Args:
        run: a run after its last step.
        report: called with the number of clips done and to do.
    """
    return _score(run, run.partition.test, report)


def _score(run: "Training", rows: np.ndarray, progress: Callable[[int, int], None] | None) -> Scores:
    # Each process looks at a share of the clips.
    run.processes.same_buffers(run.assembly.parts())
    scores = probabilities(
        run.assembly.predictors(),
        run.assembly.shape_for,
        run.data.store,
        rows.tolist(),
        run.spec,
        run.device,
        progress,
        run.processes,
    )
    return {name: accuracy(score, run.labels[rows]) for name, score in scores.items()}
