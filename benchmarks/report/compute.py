"""The costs of accuracies: operations, time, parameters."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pandas as pd

from ssl_video.benchmarks.report.data import ReportData, Section
from ssl_video.benchmarks.report.html import paragraph
from ssl_video.benchmarks.report.html_table import MarkedText, TableColumn, sortable_table
from ssl_video.benchmarks.tables.comparison import COLUMN_KEYS, METHOD_KEYS, Cell
from ssl_video.benchmarks.tables.formatting import NO_RUN, written
from ssl_video.figures.drawing import escape
from ssl_video.figures.scatter import Point, scatter

PLOTS = 6  # number of protocols drawn
POINTS = 40  # maximum number of methods in a plot


class _Axis(NamedTuple):
    """The horizontal axis of a plot of accuracy."""

    title: str
    label: str
    value: Callable[[Cell], float]


_AXES = (
    _Axis("Against test cost", "GFLOPs of one test clip and crop (multiply-adds)", lambda c: c.cost.gflops),
    _Axis(
        "Against training cost",
        "GFLOPs of the whole training (multiply-adds)",
        lambda c: c.cost.training_gflops,
    ),
    _Axis("Against time", "seconds of training and evaluation", lambda c: c.cost.seconds),
)
_COSTS = (
    TableColumn("method"),
    TableColumn("algorithm", choice=True, shown=False),
    TableColumn("dataset", choice=True),
    TableColumn("protocol", choice=True),
    TableColumn("top-1 %", "number"),
    TableColumn("seconds", "number", "of training and evaluation, mean over runs"),
    TableColumn("clips/s", "number", "videos read in training, divided by these seconds"),
    TableColumn("waiting %", "number", "of the training, waiting for clips: above 20 % the loader decides"),
    TableColumn(
        "training GFLOPs", "number", "10^9 multiply-adds of the whole training, forward and backward"
    ),
    TableColumn("× baseline", "number", "training GFLOPs divided by the baseline's"),
    TableColumn("points per ×", "number", "gain per multiple of the baseline's training cost"),
    TableColumn(
        "test GFLOPs", "number", "10^9 multiply-adds of the tested network for one test clip and crop"
    ),
    TableColumn("parameters", "number", "of the tested network, in millions"),
    TableColumn("trained", "number", "parameters of all trained networks, in millions"),
)


def section(report: ReportData) -> Section:
    """Return the section on accuracy per compute, with the table of costs."""
    compared = report.comparison
    parts = [
        paragraph(
            "A method that trains two networks pays more for the same number of steps.",
            "Operations are counted, so they are the same on every machine; seconds also depend on the",
            "machine and its other load. Dashed lines are the accuracies of baselines.",
            "A cost that is the same for all methods of a protocol is not drawn.",
            "Points without room for a name are listed below the plot, and the table has all of them.",
        )
    ]
    if len(compared.columns) > PLOTS:
        drawn = f"The first {PLOTS} of {len(compared.columns)} protocols are drawn, in the table's order."
        parts.append(paragraph(drawn))
    for place, column in enumerate(compared.columns[:PLOTS]):
        figures = "".join(_figures(report, place))
        if figures:
            parts.append(f"<h3>{escape(column.title)}</h3><div class='charts'>{figures}</div>")
    parts.append("<h3>Costs</h3>" + sortable_table("costs", "costs of methods", _COSTS, list(_rows(report))))
    return Section("compute", "Accuracy per compute", "".join(parts))


def _figures(report: ReportData, place: int) -> Iterator[str]:
    """Draw top-1 against each cost that differs between methods."""
    compared = report.comparison
    cells = [(row, cell) for row in compared.rows if (cell := row.cells[place]) and not row.network][:POINTS]
    levels = {row.label: 100 * cell.score.mean for row, cell in cells if row.is_baseline}
    for axis in _AXES:
        points = [
            Point(
                *(row.label, axis.value(cell), 100 * cell.score.mean, 100 * cell.score.half_width),
                written(cell.score, compared.usual_n),
            )
            for row, cell in cells
            if axis.value(cell) > 0
        ]
        costs = [point.x for point in points]
        if len(set(costs)) > 1:
            log = max(costs) > 20 * min(costs)
            yield scatter(
                *(axis.title, points, axis.label, "top-1 %"), log_x=log, levels=levels, limits=(0, 100)
            )


def _rows(report: ReportData) -> Iterator[list[str | MarkedText]]:
    compared, means = report.comparison, _means(report.frame)
    for place, column in enumerate(compared.columns):
        labels = tuple(getattr(column, key) for key in COLUMN_KEYS)
        for row in compared.rows:
            cell = row.cells[place]
            if cell and not row.network:
                method = tuple(getattr(row, key) for key in METHOD_KEYS)
                mean = means[method + labels]
                protocol = ", ".join([column.protocol, *column.marks])
                score = written(cell.score, compared.usual_n)
                yield [row.label, row.algorithm, column.dataset, protocol, score, *_costs(cell, mean)]


def _costs(cell: Cell, mean: dict[str, float]) -> list[str]:
    cost, seconds = cell.cost, cell.cost.seconds
    return [
        _digits(seconds),
        _digits(mean["clips_seen"] / seconds if seconds else math.nan),
        _digits(100 * mean["data_wait"]),
        *map(_digits, (cost.training_gflops, cost.multiple)),
        NO_RUN if math.isnan(cell.gain_per_cost) else f"{100 * cell.gain_per_cost:+.1f}".replace("-", "−"),
        *map(_digits, (cost.gflops, mean["parameters"] / 1e6, mean["parameters_trained"] / 1e6)),
    ]


def _digits(value: float) -> str:
    """Format a number that is not negative with three digits, or as an integer from 100 on."""
    if math.isnan(value):
        return NO_RUN
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _means(frame: pd.DataFrame) -> dict[Any, dict[str, float]]:
    """Return means over runs of the costs that the comparison lacks, by method and labels."""
    groups = frame.groupby([*METHOD_KEYS, *COLUMN_KEYS])
    names = ["clips_seen", "data_wait", "parameters", "parameters_trained"]
    means = groups[names].mean()
    rows = means.itertuples(index=False, name=None)
    return {key: dict(zip(names, row, strict=True)) for key, row in zip(means.index, rows, strict=True)}
