"""Learning curves: the metrics recorded during training, over the runs of each method."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from ssl_video.benchmarks.report.data import ReportData, Section
from ssl_video.benchmarks.report.run_groups import Group, render_groups
from ssl_video.errors import counted
from ssl_video.figures import charts
from ssl_video.figures.charts import Series
from ssl_video.figures.drawing import escape

POINTS = 40
FEWEST = 5
_RATE = "learning_rate"
_HEIGHT = 150.0

Metrics = Mapping[str, Sequence[tuple[int, float]]]


def windowed(metrics: Metrics, steps: int, width: int, batch: int) -> pd.DataFrame:
    """Average metrics over windows of steps, (W, metrics); the index is the windows' middle steps.

    A precision is weighted by its step's coverage: it is the precision of all labels in the window. In a
    plain mean, a step that used one label would count as much as a step that used all. nan: nothing was
    recorded, or the precision is that of fewer than FEWEST labels.

    Args:
        metrics: values with their steps, by metric.
        steps: number of steps of the run.
        width: steps per window; the last one may be shorter.
        batch: unlabeled clips per step.
    """
    table = pd.DataFrame({name: pd.Series(dict(curve), dtype=float) for name, curve in metrics.items()})
    window = table.index // width
    means = table.groupby(window).mean()
    for name in table:
        coverage = table.get(str(name).replace("precision/", "coverage/", 1))
        if str(name).startswith("precision/") and coverage is not None:
            used = coverage.where(table[name].notna())
            total = used.groupby(window).sum()
            right = (table[name] * used).groupby(window).sum()
            means[name] = right / total.where(total * batch > FEWEST - 0.5)
    means.index = pd.Index([(n * width + min((n + 1) * width, steps) - 1) / 2 for n in means.index])
    return means


def spread(runs: Sequence["pd.Series[float]"]) -> pd.DataFrame:
    """Return mean, minimum and maximum of runs' curves at every step: columns "mean", "low", "high".

    Runs without a value at a step are left out there.
    """
    table = pd.concat(runs, axis=1)
    return pd.DataFrame({"mean": table.mean(axis=1), "low": table.min(axis=1), "high": table.max(axis=1)})


def section(report: ReportData) -> Section | None:
    """Return the section on losses, pseudo-labels, validation accuracy and learning rate over the steps."""
    schedules = set[tuple[float, ...]]()
    html = render_groups(report, partial(_charts, report, schedules), grid=False)
    if not html:
        return None
    explanation = (
        f"Each point is the mean over a {POINTS}th of the steps and over the runs of a method, one for each "
        "seed and draw of labels. Bands extend from the lowest run to the highest. Coverage is the "
        "fraction of pseudo-labels that training uses, and precision the fraction of these that match the "
        f"clips' hidden labels; precision is drawn where a run used {FEWEST} or more. A learning-rate "
        "schedule that several methods share is drawn once."
    )
    return Section("curves", "Learning curves", f"<p>{explanation}</p>{html}")


def _charts(report: ReportData, schedules: set[tuple[float, ...]], group: Group) -> str:
    """Draw the charts of one method, with its learning rate unless that is among the drawn `schedules`."""
    run = report.run(group.runs[0])
    steps, batch = int(run["steps"]), run["spec"].get("unlabeled_batch", 1)
    width = -(-steps // POINTS)
    tables = [windowed(curves, steps, width, batch) for run in group.runs if (curves := report.curves(run))]
    looks = [found for run in group.runs if (found := report.validation(run))]
    if not tables:
        return ""
    names = list(dict.fromkeys(str(name) for table in tables for name in table))
    kinds = {
        kind: [n for n in names if n.startswith(f"{kind}/")] for kind in ("loss", "coverage", "precision")
    }
    made = [
        _chart("loss terms", "loss", [_series(tables, name, name[5:]) for name in kinds["loss"]]),
        _chart(
            "pseudo-labels",
            "fraction",
            [_series(tables, name) for name in kinds["coverage"] + kinds["precision"]],
            unit=True,
        ),
        _chart("validation accuracy", "top-1", _validation(looks), unit=True),
    ]
    if _RATE in tables[0] and (schedule := tuple(tables[0][_RATE].round(9))) not in schedules:
        schedules.add(schedule)
        made.append(_chart("learning rate", "rate", [_series(tables, _RATE)]))
    runs = counted(len(tables), "run")
    heading = f"{escape(group.method)} <span class='soft'>{runs}, {steps} steps, {width} per point</span>"
    return f"<h4>{heading}</h4><div class='charts'>{''.join(made)}</div>"


def _chart(title: str, y_label: str, series: Sequence[Series], unit: bool = False) -> str:
    if not series:
        return ""
    within = (0.0, 1.0) if unit else None
    return charts.lines(title, series, "step", y_label, y_range=within, height=_HEIGHT)


def _series(tables: Sequence[pd.DataFrame], name: str, shown: str = "") -> Series:
    """Return a metric over all runs that recorded it."""
    return curve([table[name] for table in tables if name in table], shown or name)


def curve(runs: Sequence["pd.Series[float]"], name: str) -> Series:
    """Return the mean curve of several runs, with a band from the lowest to the highest, by step."""
    made = spread(runs)
    band = (made["low"].tolist(), made["high"].tolist()) if len(runs) > 1 else ((), ())
    return Series(name, made.index.tolist(), made["mean"].tolist(), *band)


def _validation(looks: Sequence[Sequence[Mapping[str, Any]]]) -> list[Series]:
    """Return every network's top-1 on the validation clips, from the lines of each run."""
    networks = dict.fromkeys(name for lines in looks for line in lines for name in line if name != "step")
    return [
        curve(
            [pd.Series({line["step"]: line[n]["top1"] for line in lines if n in line}) for lines in looks], n
        )
        for n in networks
    ]
