"""Comparison of a method's networks: gains by class, and accuracies under changed time."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ssl_video.benchmarks.report.data import ReportData, Section
from ssl_video.benchmarks.report.run_groups import Group, render_groups
from ssl_video.benchmarks.tables.statistics import Interval, interval
from ssl_video.errors import counted
from ssl_video.figures import charts
from ssl_video.figures.charts import Estimate
from ssl_video.inference.temporal_robustness import CHANGES, ORIGINAL
from ssl_video.runs.predictions import Predictions

_LIMITS = (-100.0, 100.0)
_ENDS = 15  # classes shown at either end if there are many


class Gain(NamedTuple):
    """Gain of one network over another in one class, over runs, and the class's number of clips per run."""

    name: str
    clips: int
    gain: Interval


def by_class(predicted: Predictions, network: str) -> np.ndarray:
    """Compute top-1 for each class's test clips, (C,); nan for a class without any."""
    right = predicted.guesses[network][:, 0] == predicted.labels
    classes = len(predicted.classes)
    clips = np.bincount(predicted.labels, minlength=classes)
    hits = np.bincount(predicted.labels, right, classes)
    return np.divide(hits, clips, out=np.full(classes, np.nan), where=clips > 0)


def gains(runs: Sequence[Predictions], network: str, other: str) -> list[Gain]:
    """Compute top-1 of `network` minus that of `other` for each class with test clips, largest first.

    Args:
        runs: predictions on the same test clips.
        network, other: two of their networks.
    """
    differences = np.array([by_class(predicted, network) - by_class(predicted, other) for predicted in runs])
    clips = np.bincount(runs[0].labels, minlength=len(runs[0].classes))
    found = [
        Gain(str(name), int(clips[place]), interval(differences[:, place]))
        for place, name in enumerate(runs[0].classes)
        if clips[place]
    ]
    return sorted(found, key=lambda gain: (-gain.gain.mean, gain.name))


def losses(runs: Sequence[Mapping[str, Any]], network: str) -> dict[str, Interval]:
    """Compute top-1 on clips with changed time minus that on the original clips, by change."""
    return {
        change: interval(
            [scores[network][change]["top1"] - scores[network][ORIGINAL]["top1"] for scores in runs]
        )
        for change in CHANGES
        if change != ORIGINAL
    }


def class_gains(report: ReportData) -> Section | None:
    """Return the section on the main network against every other one, class by class."""
    html = render_groups(report, partial(_gains, report))
    if not html:
        return None
    explanation = (
        "Top-1 of the network used for inference minus that of another network of the same method, for the "
        "test clips of each class: to the right of 0 the first is better, to the left the other. Means over "
        "runs with 95 % t-intervals; a hollow dot is a single run or equal ones. With few clips in a class, "
        "the difference changes in large steps. The classes are ordered by the difference itself, so those "
        "at the ends are there partly by chance."
    )
    return Section(
        "class-gain", "Gain of one network over the other, by class", f"<p>{explanation}</p>{html}"
    )


def dynamics(report: ReportData) -> Section | None:
    """Return the section on every network with clips that are slowed, frozen, reversed, shuffled."""
    html = render_groups(report, partial(_losses, report))
    if not html:
        return None
    explanation = (
        "The loss of each network under changed time: top-1 on the changed test clips minus top-1 on the "
        "original ones, means over runs with 95 % t-intervals. Slowed clips show the middle at half or a "
        "quarter of its speed, frozen ones the middle frame alone; reversed and shuffled ones have the same "
        "frames in another order."
    )
    return Section("dynamics", "Networks under changed time", f"<p>{explanation}</p>{html}")


def _gains(report: ReportData, group: Group) -> str:
    runs = [predicted for run in group.runs if (predicted := report.predictions(run))]
    headline = report.run(group.runs[0])["predictor"]
    others = [name for name in runs[0].guesses if name != headline] if runs else []
    made = []
    for other in others:
        found = gains(runs, headline, other)
        ends = found if len(found) <= 2 * _ENDS else [*found[:_ENDS], *found[-_ENDS:]]
        rows = [
            _estimate(
                gain.name,
                gain.gain,
                note=counted(gain.clips, "clip"),
                accent=gain.gain.mean > 0,
            )
            for gain in ends
        ]
        left = f" ({len(found) - len(ends)} classes between are left out)" if len(ends) < len(found) else ""
        title = f"{group.method}: {headline} minus {other}{left}"
        made.append(
            charts.intervals(
                title, rows, "gain in points of top-1", zero=True, limits=_LIMITS, accent="above 0"
            )
        )
    return "".join(made)


def _losses(report: ReportData, group: Group) -> str:
    runs = [found["predictors"] for run in group.runs if (found := report.dynamics(run))]
    if not runs:
        return ""
    headline = report.run(group.runs[0])["predictor"]
    networks = {name: losses(runs, name) for name in runs[0]}
    several = len(networks) > 1
    rows = [
        _estimate(
            f"{change}: {name}" if several else change, lost[change], accent=several and name == headline
        )
        for change in CHANGES
        if change != ORIGINAL
        for name, lost in networks.items()
    ]
    plain = ", ".join(
        f"{name} {100 * interval([scores[name][ORIGINAL]['top1'] for scores in runs]).mean:.1f} %"
        for name in networks
    )
    title = f"{group.method} (original clips: {plain})"
    return charts.intervals(
        title, rows, "change in points of top-1", zero=True, limits=_LIMITS, accent="network for inference"
    )


def _estimate(label: str, found: Interval, note: str = "", accent: bool = False) -> Estimate:
    mean, half_width, n = found
    spread = f" ± {100 * half_width:.1f}" if found.known else ""
    explanation = ", ".join(
        [f"{100 * mean:+.1f}{spread} points", counted(n, "run"), *([note] if note else [])]
    )
    return Estimate(label, 100 * mean, 100 * half_width, explanation, accent)
