"""The pseudo-label audit: the quality of each method's labels over time, by class and by clip."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_video.benchmarks.analysis import audit
from ssl_video.benchmarks.report.confusion import DRAWN, most_confused
from ssl_video.benchmarks.report.curves import FEWEST, curve
from ssl_video.benchmarks.report.data import ReportData, Section
from ssl_video.benchmarks.report.html import paragraph
from ssl_video.benchmarks.report.html_table import plain_table
from ssl_video.benchmarks.report.run_groups import Group, render_groups
from ssl_video.errors import counted
from ssl_video.figures import charts, heatmap
from ssl_video.figures.charts import Series
from ssl_video.figures.drawing import escape

if TYPE_CHECKING:
    from ssl_video.runs.pseudo_labels import PseudoLabels

WINDOWS = 20
_METHODS = 24
_NAMED = 6  # clips and confusions in a table
_HEIGHT = 150.0


def section(report: ReportData) -> Section | None:
    """Return the section on every network's labels over time, by class, and its most frequent mistakes."""
    html = render_groups(report, partial(_method, report), grid=False, most=_METHODS)
    if not html:
        return None
    explanation = paragraph(
        "Every pseudo-label of training, compared with the clip's true label, which training did not see.",
        "`coverage`: fraction of the labels that are used; `precision`: fraction of the used labels that are",
        "right; `misled`: fraction of all labels that are used and wrong; `imbalance`: fraction of the used",
        "labels that would have to change class to match the true frequencies of the classes.",
        f"The steps are divided into {WINDOWS} windows. Curves are means over runs, bands extend from the",
        f"lowest run to the highest, and precision is drawn where a run used {FEWEST} labels or more.",
        "Maps and tables pool the labels of all runs of a method; in maps, darker means more, and a stroke",
        "means no label. `ssl-video analyze audit RUN` prints the numbers.",
    )
    return Section("audit", "Pseudo-label audit", explanation + html)


def fewest_hidden(found: audit.OverTime) -> audit.OverTime:
    """Return the same with precision and imbalance hidden (nan) in windows of fewer than FEWEST labels."""
    enough = found.coverage * found.seen > FEWEST - 0.5
    return replace(
        found,
        precision=np.where(enough, found.precision, np.nan),
        imbalance=np.where(enough, found.imbalance, np.nan),
    )


def shown_classes(made: "PseudoLabels", network: str) -> NDArray[np.int64]:
    """Return the classes that a map shows: all, or the DRAWN whose clips have the most wrong labels."""
    if len(made.classes) <= DRAWN:
        return np.arange(len(made.classes))
    counts = audit.confusion(made, network)
    wrong = counts.sum(1) - counts.diagonal()
    return np.sort(np.argsort(-wrong, kind="stable")[:DRAWN])


def _method(report: ReportData, group: Group) -> str:
    runs = [made for run in group.runs if (made := report.pseudo_labels(run))]
    if not runs:
        return ""
    windows = min([WINDOWS, *(int(made.steps.max(initial=0)) + 1 for made in runs)])
    pool = audit.pooled(runs)
    blocks = [_network(runs, pool, network, windows) for network in pool.labels]
    blocks += [_agreement(pool, *pair, windows) for pair in combinations(pool.labels, 2)]
    heading = f"<h4>{escape(group.method)} <span class='soft'>{counted(len(runs), 'run')}</span></h4>"
    return f"{heading}<div class='charts'>{''.join(blocks)}</div>"


def _network(runs: Sequence["PseudoLabels"], pool: "PseudoLabels", network: str, windows: int) -> str:
    """Draw one network's labels: a chart over time, two maps of its classes over time, its mistakes."""
    found = [
        fewest_hidden(audit.over_time(made, windows)[network]) for made in runs if network in made.labels
    ]
    series = [
        curve([pd.Series(getattr(one, kind), one.starts) for one in found], kind)
        for kind in ("coverage", "precision", "misled", "imbalance")
    ]
    parts = [charts.lines(f"labels by {network}", series, "step", "fraction", y_range=(0, 1), height=_HEIGHT)]
    used = int(sum((made.weights[network] > 0).sum() for made in runs))
    if not used:
        return f"{parts[0]}<p class='soft'>No label by {escape(network)} was used.</p>"
    return "".join(
        [*parts, *_maps(pool, network, windows), _mistakes(pool, network), _confusions(pool, network)]
    )


def _maps(pool: "PseudoLabels", network: str, windows: int) -> Iterator[str]:
    """Draw precision and coverage, class by window."""
    by_class, chosen = audit.by_class(pool, windows)[network], shown_classes(pool, network)
    names = [str(name) for name in pool.classes[chosen]]
    starts = [str(start) for start in by_class.starts]
    left = (
        f", the {DRAWN} of {len(pool.classes)} classes with the most wrong labels"
        if len(chosen) < len(pool.classes)
        else ""
    )
    for title, values, rows in (
        ("precision", by_class.precision, "labeled class"),
        ("coverage", by_class.coverage, "true class"),
    ):
        yield heatmap.heatmap(
            f"{title} of labels by {network}{left}", values[:, chosen].T, names, starts, rows, "from step"
        )


def _mistakes(pool: "PseudoLabels", network: str) -> str:
    rows = [
        (f"{found.wrong}\u00a0of\u00a0{found.seen}", found.truth, found.label, found.clip)
        for found in audit.mistakes(pool, network, _NAMED)
    ]
    if not rows:
        return ""
    title = f"clips mislabeled most often by {network}"
    table = plain_table(("wrong", "class", "labeled", "clip"), rows, title)
    return f"<div><h5>{escape(title)}</h5>{table}</div>"


def _confusions(pool: "PseudoLabels", network: str) -> str:
    rows = [
        (pair.truth, pair.guess, str(pair.clips), f"{100 * pair.fraction:.0f} %")
        for pair in most_confused(
            audit.confusion(pool, network), pool.classes.tolist(), _NAMED, by_clips=True
        )
    ]
    if not rows:
        return ""
    title = f"classes confused most often by {network}"
    table = plain_table(("class", "labeled", "labels", "of the class"), rows, title)
    return f"<div><h5>{escape(title)}</h5>{table}</div>"


def _agreement(pool: "PseudoLabels", one: str, other: str, windows: int) -> str:
    """Draw the fractions of clips that both, one or neither of two networks label right, used or not."""
    found = audit.agreement(pool, one, other, windows)
    fractions = found.right / np.maximum(found.right.sum((1, 2), keepdims=True), 1)
    starts = found.starts.tolist()
    series = [
        Series(name, starts, fractions[:, a, b].tolist())
        for name, a, b in (
            ("both right", 1, 1),
            (f"{one} alone", 1, 0),
            (f"{other} alone", 0, 1),
            ("neither", 0, 0),
        )
    ]
    title = f"networks with the right label of a clip, used or not: {one}, {other}"
    return charts.lines(title, series, "step", "fraction of clips", y_range=(0, 1), height=_HEIGHT)
