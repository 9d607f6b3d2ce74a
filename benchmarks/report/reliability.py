"""Reliability curves: the accuracy of clips over the probability of their first guesses."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from ssl_video.benchmarks.report.data import ReportData, Section
from ssl_video.benchmarks.report.run_groups import Group, render_groups
from ssl_video.figures import charts
from ssl_video.figures.charts import Series
from ssl_video.inference import calibration
from ssl_video.inference.calibration import BINS, Bin
from ssl_video.runs.predictions import Predictions


def section(report: ReportData) -> Section | None:
    """Return the section with a curve of each method's main network, before and after its temperature."""
    html = render_groups(report, partial(_curves, report))
    if not html:
        return None
    explanation = (
        "Accuracy of the test clips whose first guess has a probability in the same of "
        f"{BINS} bins, over the mean probability there, for the network used for inference and over all "
        "runs of the method. Below the diagonal, the network is surer than it is right. The expected "
        "calibration error (ECE) is the mean distance from the diagonal, weighted by clips. Calibrated runs "
        "have a temperature, fitted on their validation clips; a run without them is not calibrated."
    )
    return Section("reliability", "Reliability of probabilities", f"<p>{explanation}</p>{html}")


def before_and_after(runs: Sequence[Predictions], network: str) -> dict[str, list[Bin]]:
    """Return the bins of a network's test clips over runs, by a name for each curve.

    The calibrated ones are there if every run has a temperature.
    """
    found = {"not calibrated": _bins(runs, [(r.guesses[network], r.confidences[network]) for r in runs])}
    if all(network in run.calibrated_guesses for run in runs):
        moved = [(run.calibrated_guesses[network], run.calibrated_confidences[network]) for run in runs]
        found["calibrated"] = _bins(runs, moved)
    return found


def _bins(runs: Sequence[Predictions], said: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[Bin]:
    right = [guesses[:, 0] == run.labels for run, (guesses, _) in zip(runs, said, strict=True)]
    sure = [confidences[:, 0].astype(np.float64) for _, confidences in said]
    return calibration.bins(np.concatenate(sure), np.concatenate(right))


def _curves(report: ReportData, group: Group) -> str:
    runs = [said for run in group.runs if (said := report.predictions(run))]
    if not runs:
        return ""
    found = before_and_after(runs, report.run(group.runs[0])["predictor"])
    series = [
        Series(
            f"{name} (ECE {100 * calibration.error(curve):.1f} %)",
            [100 * one.probability for one in curve],
            [100 * one.accuracy for one in curve],
        )
        for name, curve in found.items()
    ]
    diagonal = Series("as probable as right", [0.0, 100.0], [0.0, 100.0])
    return charts.lines(
        group.method, [*series, diagonal], "probability in %", "accuracy in %", y_range=(0.0, 100.0)
    )
