"""Accuracies and gains of all methods for each protocol, with their intervals."""

from collections import Counter
from collections.abc import Iterator

from ssl_video.benchmarks.report.data import ReportData, Section
from ssl_video.benchmarks.report.html import paragraph
from ssl_video.benchmarks.tables import mean_gain
from ssl_video.benchmarks.tables.comparison import Column, Comparison, Row
from ssl_video.benchmarks.tables.formatting import written, written_gain
from ssl_video.benchmarks.tables.statistics import Interval
from ssl_video.errors import counted
from ssl_video.figures import charts, drawing
from ssl_video.figures.drawing import escape

PLOTS = 12  # number of protocols drawn
ROWS = 40  # maximum number of methods in a plot
_CERTAIN = "differs from 0 after Holm's correction"
CURVES = 18  # maximum number of methods with a plot over the number of labels


def section(report: ReportData) -> Section:
    """Return the section with two plots per protocol: top-1 and, if there are any, gains."""
    compared = report.comparison
    confidence = f"{100 * compared.confidence:g} %"
    parts = [
        paragraph(
            f"Dots are means over runs, lines their {confidence} intervals; a hollow dot is a single run or",
            "equal ones.",
            f"Gains are paired differences to {compared.baseline}: variation common to two runs on the same",
            "labels cancels, so a gain may be certain even where the intervals of the accuracies overlap.",
            "Coloured diamonds are gains that differ from 0 after Holm's correction.",
        )
    ]
    parts += _limits(compared)
    for place, column in enumerate(compared.columns[:PLOTS]):
        figures = "".join(_figures(compared, place))
        parts.append(f"<h3>{escape(column.title)}</h3>{_labels(column)}<div class='charts'>{figures}</div>")
    parts += [*_mean_gains(compared), *_by_labels(compared)]
    return Section("protocols", "Accuracies and gains by protocol", "".join(parts))


def _limits(compared: Comparison) -> Iterator[str]:
    """Report the protocols and methods that are not drawn."""
    if len(compared.columns) > PLOTS:
        yield paragraph(
            f"The first {PLOTS} of {len(compared.columns)} protocols are drawn, in the table's order."
        )
    most = max(sum(row.cells[c] is not None for row in compared.rows) for c in range(len(compared.columns)))
    if most > ROWS:
        yield paragraph(f"A plot shows the first {ROWS} of its methods, in the table's order.")


def _labels(column: Column) -> str:
    (labeled, most), (classes, _) = column.sizes["labeled"], column.sizes["classes"]
    count = f"{labeled}" if labeled == most else f"{labeled} to {most}"
    return paragraph(f"{count} labeled clips of {counted(classes, 'class')}", kind="soft")


def _figures(compared: Comparison, place: int) -> Iterator[str]:
    cells = [(row, cell) for row in compared.rows if (cell := row.cells[place])][:ROWS]

    def estimate(label: str, found: Interval, sign: str = "", accent: bool = False) -> charts.Estimate:
        note = written(found, compared.usual_n, sign)
        return charts.Estimate(label, 100 * found.mean, 100 * found.half_width, note, accent)

    scores = [estimate(row.label, cell.score) for row, cell in cells]
    yield charts.intervals("Top-1", scores, "top-1 %", limits=(0, 100))
    gains = [
        estimate(row.label, cell.gain.difference, "+", compared.differs(cell.corrected_p))
        for row, cell in cells
        if cell.gain
    ]
    if gains:
        label = f"percentage points over {compared.baseline}"
        yield charts.intervals("Gain", gains, label, zero=True, accent=_CERTAIN)


def _mean_gains(compared: Comparison) -> Iterator[str]:
    """Draw every method's mean gain for each data set with several protocols."""
    sets = dict.fromkeys(column.data for column in compared.columns)
    versions = Counter(name for name, _ in sets)
    for data in sets:
        name = data[0] if versions[data[0]] == 1 else f"{data[0]}, data {data[1]}"
        places = [place for place, column in enumerate(compared.columns) if column.data == data]
        found = mean_gain.over_columns(
            [[row.cells[place] for place in places] for row in compared.rows], compared.confidence
        )
        gains = [
            charts.Estimate(
                row.label, 100 * mean.gain.difference.mean, 100 * mean.gain.difference.half_width,
                written_gain(mean.gain), compared.differs(mean.corrected_p),
            )
            for row, mean in zip(compared.rows, found, strict=True)
            if mean
        ][:ROWS]  # fmt: skip
        if gains:
            label = f"percentage points over {compared.baseline}"
            figure = charts.intervals("Mean gain", gains, label, zero=True, accent=_CERTAIN)
            yield f"<h3>{escape(name)}: mean gain over protocols</h3>"
            yield paragraph(
                "Every protocol in which a method has a gain counts once; the interval is over protocols.",
                "In brackets: protocols with a gain above 0. All protocols share their test clips.",
                kind="soft",
            )
            yield f"<div class='charts'>{figure}</div>"


def _by_labels(compared: Comparison) -> Iterator[str]:
    """Draw methods beside the baseline over the number of labels, for data sets with several such numbers."""
    bases = {row.setting: row for row in reversed(compared.rows) if row.is_baseline}
    datasets = Counter(column.dataset for column in compared.columns if not column.marks)
    for dataset in [name for name, columns in datasets.items() if columns > 1]:
        places = [
            place
            for place, column in enumerate(compared.columns)
            if column.dataset == dataset and not column.marks and len(set(column.sizes["labeled"])) == 1
        ]
        places.sort(key=lambda place: compared.columns[place].sizes["labeled"])
        rows = [
            row
            for row in compared.rows
            if not row.network
            and not row.is_baseline
            and sum(row.cells[place] is not None for place in places) > 1
        ][:CURVES]
        if rows:
            figures = "".join(_curves(compared, rows, bases, places))
            yield f"<h3>{escape(dataset)}: over the number of labels</h3>"
            yield f"<div class='charts small'>{figures}</div>"


def _curves(compared: Comparison, rows: list[Row], bases: dict[str, Row], places: list[int]) -> Iterator[str]:
    """Draw top-1 of each method and its setting's baseline over the number of labels, all on one scale."""
    plots = []
    for row in rows:
        shown = [row, *([bases[row.setting]] if row.setting in bases else [])]
        plots.append([_curve(compared, each, places) for each in shown])
    values = [value for plot in plots for curve in plot for value in (*curve.y, *curve.low, *curve.high)]
    within = drawing.scale(values, 0, 1, limits=(0, 100))
    limits = within.low, within.high
    for plot in plots:
        yield charts.lines(
            plot[0].name, plot, "labeled clips", "top-1 %", y_range=limits, height=120, width=300
        )


def _curve(compared: Comparison, row: Row, places: list[int]) -> charts.Series:
    found = [(compared.columns[place].sizes["labeled"][0], row.cells[place]) for place in places]
    labels = [count for count, cell in found if cell]
    scores = [cell.score for _, cell in found if cell]
    middle = [100 * score.mean for score in scores]
    halves = [100 * score.half_width for score in scores]
    low = [mean - half for mean, half in zip(middle, halves, strict=True)]
    high = [mean + half for mean, half in zip(middle, halves, strict=True)]
    return charts.Series(row.label, labels, middle, low, high)
