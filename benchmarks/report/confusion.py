"""Confusion matrices: the classes that each method confuses."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl_video.benchmarks.report.data import ReportData, Section
from ssl_video.benchmarks.report.html_table import plain_table
from ssl_video.benchmarks.report.run_groups import Group, render_groups
from ssl_video.figures import heatmap
from ssl_video.figures.drawing import escape
from ssl_video.runs.predictions import Predictions

DRAWN = 30  # largest number of classes for which a matrix is drawn
_PAIRS = 10


class Confusion(NamedTuple):
    """Clips of one class that are predicted as another: their number, and their fraction of the class."""

    truth: str
    guess: str
    clips: int
    fraction: float


def confusion(runs: Sequence[Predictions], network: str) -> NDArray[np.int64]:
    """Count clips by true class and predicted class, (C, C), over runs with the same classes."""
    classes = len(runs[0].classes)
    counts = np.zeros((classes, classes), np.int64)
    for run_predictions in runs:
        np.add.at(counts, (run_predictions.labels, run_predictions.guesses[network][:, 0]), 1)
    return counts


def fractions(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Divide each row by its sum, (C, C); nan for a class without clips."""
    total = counts.sum(1, keepdims=True)
    return np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)


def most_confused(
    counts: NDArray[np.int64], classes: Sequence[str], most: int = _PAIRS, *, by_clips: bool = False
) -> list[Confusion]:
    """Return the most confused pairs of different classes, at most `most` of them.

    Args:
        counts: as from `confusion`.
        classes: names, C of them.
        most: number of pairs.
        by_clips: order by number of clips; otherwise by the fraction of the true class's clips.
    """
    wrong = fractions(counts)
    np.fill_diagonal(wrong, 0)
    off = counts - np.diag(counts.diagonal())
    order = np.argsort(-(off if by_clips else np.nan_to_num(wrong)), axis=None, kind="stable")[:most]
    pairs = [divmod(int(place), len(classes)) for place in order]
    return [
        Confusion(str(classes[a]), str(classes[b]), int(counts[a, b]), float(wrong[a, b]))
        for a, b in pairs
        if wrong[a, b] > 0
    ]


def section(report: ReportData) -> Section | None:
    """Return the section with the matrix of each method's main network, or its most confused pairs."""
    html = render_groups(report, partial(_matrix, report))
    if not html:
        return None
    explanation = (
        "Predictions of the network used for inference for the test clips of each class, in per cent of the "
        "class's clips, over all runs of the method. "
        f"Where there are more than {DRAWN} classes, the {_PAIRS} largest confusions are listed instead."
    )
    return Section("confusion", "Confusions", f"<p>{explanation}</p>{html}")


def _matrix(report: ReportData, group: Group) -> str:
    runs = [run_predictions for run in group.runs if (run_predictions := report.predictions(run))]
    if not runs:
        return ""
    network = report.run(group.runs[0])["predictor"]
    classes = [str(name) for name in runs[0].classes]
    counts = confusion(runs, network)
    if len(classes) <= DRAWN:
        return heatmap.heatmap(group.method, fractions(counts), classes, classes, "true class", "first guess")
    rows = [
        (pair.truth, pair.guess, str(pair.clips), f"{100 * pair.fraction:.0f} %")
        for pair in most_confused(counts, classes)
    ]
    table = plain_table(("true class", "first guess", "clips", "of the class"), rows, "confusions")
    return f"<div><h4>{escape(group.method)}</h4>{table}</div>"
