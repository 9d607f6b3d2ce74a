"""The leaderboard, one line per method and protocol, and all its runs, one line each."""

import math
from collections.abc import Iterator

import pandas as pd

from ssl_video.benchmarks.report.data import ReportData, Section
from ssl_video.benchmarks.report.html import notes, paragraph
from ssl_video.benchmarks.report.html_table import MarkedText, TableColumn, sortable_table
from ssl_video.benchmarks.tables.comparison import Cell, Column, Comparison, Row
from ssl_video.benchmarks.tables.formatting import NO_RUN, written

_CELLS = (
    TableColumn("method", hint="algorithm, and the settings that distinguish it from others of that name"),
    TableColumn("algorithm", choice=True, shown=False),
    TableColumn("dataset", choice=True),
    TableColumn("protocol", choice=True, hint="rule by which the labeled training clips are chosen"),
    TableColumn("top-1 %", "number", "mean and interval on the test clips"),
    TableColumn("n", "number", "runs behind the mean"),
    TableColumn("draws", "number", "different sets of labeled clips among these runs"),
    TableColumn("gain", "number", "paired difference to the baseline on the same labels and seed"),
    TableColumn("pairs", "number", "runs with a run of the baseline on the same labels and seed"),
    TableColumn("wins/ties/losses", "number", "pairs in which it is better, equal and worse"),
    TableColumn("p (Holm)", "number", "of the gain, after Holm's correction for all gains of this table"),
)
_RUNS = (
    TableColumn("method"),
    TableColumn("algorithm", choice=True, shown=False),
    TableColumn("dataset", choice=True),
    TableColumn("protocol", choice=True),
    TableColumn("draw", "number", "number of the random draw of labels"),
    TableColumn("seed", "number"),
    TableColumn("top-1 %", "number"),
    TableColumn("top-5 %", "number"),
    TableColumn(
        "class mean %", "number", "mean over classes of the fraction of their test clips guessed right"
    ),
    TableColumn("steps", "number"),
    TableColumn("seconds", "number", "of training and evaluation"),
    TableColumn("labels", "code", "fingerprint of the partition: labeled, unlabeled and test clips"),
    TableColumn("finished (UTC)"),
    TableColumn("run", "code", "its folder in runs/"),
)


def leaderboard(report: ReportData) -> Section:
    """Return the section on means, intervals and gains of all methods on all protocols, with notes."""
    compared = report.comparison
    rows = [
        _cells(compared, row, column, cell)
        for place, column in enumerate(compared.columns)
        for row in compared.rows
        if (cell := row.cells[place])
    ]
    html = paragraph(
        f"{compared.caption[:1].upper()}{compared.caption[1:]}.",
        *_marked(compared),
        "The baseline comes first, then the others in alphabetical order: an order by accuracy would claim a",
        "ranking that the intervals seldom support.",
    )
    html += sortable_table("leaderboard", "methods and protocols", _CELLS, rows) + notes(compared.notes)
    return Section("leaderboard-section", "Leaderboard", html)


def _marked(compared: Comparison) -> Iterator[str]:
    """Explain the colours and marks that occur."""
    if compared.tests:
        confidence = f"{100 * compared.confidence:g} %"
        correction = f"after Holm's correction for {compared.tests} tests"
        yield f"Coloured gains differ from 0 at {confidence}, {correction}."
    if any(cell and not cell.score.known for row in compared.rows for cell in row.cells):
        yield "Marked cells have no interval: a single run, or equal ones, do not show how runs scatter."


def _cells(compared: Comparison, row: Row, column: Column, cell: Cell) -> list[str | MarkedText]:
    unsure = "" if cell.score.known else "unsure"
    protocol = ", ".join([column.protocol, *column.marks])
    name = MarkedText(row.label, "base") if row.is_baseline or row.network else row.label
    return [
        *(name, row.algorithm, column.dataset, protocol),
        MarkedText(written(cell.score, compared.usual_n), unsure),
        MarkedText(str(cell.score.n), unsure),
        *(str(cell.draws), *_gain(compared, cell)),
    ]


def _gain(compared: Comparison, cell: Cell) -> list[str | MarkedText]:
    """Format gain, pairs, wins and p of a cell."""
    if not cell.gain:
        return [NO_RUN] * 4
    gain, mark = cell.gain, ""
    if compared.differs(cell.corrected_p):
        mark = "up" if gain.difference.mean > 0 else "down"
    elif not gain.difference.known:
        mark = "unsure"
    text = written(gain.difference, compared.usual_n, "+").replace("-", "−")
    counts = f"{gain.wins}/{gain.ties}/{gain.losses}"
    return [MarkedText(text, mark), str(gain.difference.n), counts, probability(cell.corrected_p)]


def probability(p: float) -> str:
    """Format a p-value with two digits."""
    if math.isnan(p):
        return NO_RUN
    return "<0.001" if p < 0.001 else f"{p:.2g}" if p < 0.1 else f"{p:.2f}"


def runs(report: ReportData) -> Section:
    """Return the section on all finished runs."""
    frame = report.frame
    rows = list(_run_rows(report))
    html = paragraph(
        "Every finished run. leaderboard.csv in the results folder, which `ssl-video leaderboard` writes,",
        "has more columns in full precision.",
    ) + sortable_table("runs", "finished runs", _RUNS, rows)
    return Section("runs-section", f"All {len(frame)} runs" if len(frame) > 1 else "The run", html)


def _run_rows(report: ReportData) -> Iterator[list[str | MarkedText]]:
    keys = ["run", "algorithm", "dataset", "protocol", "draw", "seed", "top1", "top5", "mean_class", "steps"]
    keys += ["seconds", "fingerprint", "finished"]
    for run, *words, draw, seed, top1, top5, mean_class, steps, seconds, labels, finished in report.frame[
        keys
    ].itertuples(index=False, name=None):
        # Five classes or fewer have no top-5.
        accuracies = [
            NO_RUN if pd.isna(value) else f"{100 * value:.1f}" for value in (top1, top5, mean_class)
        ]
        numbers = [str(draw), str(seed), *accuracies, str(steps), f"{seconds:.0f}"]
        ended = str(finished).replace("T", " ").removesuffix("Z")
        yield [report.labels[run], *words, *numbers, labels, ended, run]
