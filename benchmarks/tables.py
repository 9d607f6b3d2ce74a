"""A comparison shown in a terminal, as Markdown, or as CSV."""

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from rich import box
from rich.table import Table
from rich.text import Text

from ssl_video.benchmarks.compare import COLUMN_KEYS, METHOD_KEYS, Comparison, Row, comparison
from ssl_video.benchmarks.statistics import Interval

__all__ = ["Comparison", "comparison", "to_csv", "to_markdown", "to_terminal"]

EMPTY = "No finished runs yet; `ssl-video bench` makes some."
NO_RUN = "–"
# Spaces between columns, one of which the frame adds; the longest header line that a column grows to.
_GAP, _HEADER = 2, 16


def to_terminal(comparison: Comparison, width: int = 80) -> Table:
    """A table for each data set, each gain below its score, what it all means beneath.

    Where the columns of a data set do not fit into `width` characters, they go into several tables.
    Colour marks the gains whose interval excludes 0.
    """
    sheet = Table.grid()
    if not comparison.rows:
        sheet.add_row(EMPTY)
        return sheet
    for block in _blocks(comparison, width):
        sheet.add_row(block)
        sheet.add_row("")
    caption = comparison.caption
    if any(c and c.gain and c.gain.difference.excludes_zero for row in comparison.rows for c in row.cells):
        caption += ", in colour where its interval excludes 0"
    notes = Table.grid(padding=(0, 1))
    for note in comparison.notes:
        notes.add_row(Text("-", "dim"), Text(note, "dim"))
    sheet.add_row(Text(caption, "dim"))
    sheet.add_row(notes)
    return sheet


def to_markdown(comparison: Comparison) -> str:
    """A GitHub table with a column of scores and one of gains for each set of labels."""
    if not comparison.rows:
        return EMPTY + "\n"
    usual = comparison.usual_n
    lines = [["method"], *([f"{'&emsp;' if row.network else ''}{row.label}"] for row in comparison.rows)]
    for number, column in enumerate(comparison.columns):
        cells = [row.cells[number] for row in comparison.rows]
        shown = [[column.title], *([_number(c.score, usual) if c else NO_RUN] for c in cells)]
        if any(cell and cell.gain for cell in cells):
            gains = [_number(c.gain.difference, usual, "+") if c and c.gain else "" for c in cells]
            shown = [[*line, gain] for line, gain in zip(shown, ["gain", *gains], strict=True)]
        lines = [line + more for line, more in zip(lines, shown, strict=True)]
    lines = [[text.replace("|", "\\|") for text in line] for line in lines]
    widths = [max(map(len, texts)) for texts in zip(*lines, strict=True)]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    table = "".join(
        f"| {' | '.join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])} |\n"
        for line in (lines[0], rule, *lines[1:])
    )
    return f"{table}\n{comparison.caption}\n\n" + "".join(f"- {note}\n" for note in comparison.notes)


def to_csv(comparison: Comparison) -> str:
    """Long format: one line a cell, in full precision; accuracies and gains are shares in [0, 1]."""
    text = io.StringIO()
    fields = [*METHOD_KEYS, "network", *COLUMN_KEYS, "marks", "mean", "half_width", "n", "draws"]
    fields += ["gain", "gain_half_width", "gain_n", "wins", "ties", "losses", "baseline", "confidence"]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", *fields])
    for row in comparison.rows:
        for column, cell in zip(comparison.columns, row.cells, strict=True):
            if cell:
                gain = [*cell.gain.difference, *cell.gain[1:]] if cell.gain else [""] * 6
                values = [row.label, *(getattr(row, key) for key in (*METHOD_KEYS, "network"))]
                values += [*(getattr(column, key) for key in COLUMN_KEYS), ", ".join(column.marks)]
                values += [*cell.score, cell.draws, *gain, comparison.baseline, comparison.confidence]
                writer.writerow(["" if value != value else value for value in values])
    return text.getvalue()


class _Shown(NamedTuple):
    """A column as texts, one of each kind a row."""

    header: str
    scores: list[str]
    gains: list[Text]
    width: int


def _blocks(comparison: Comparison, width: int) -> Iterator[Table]:
    """Tables no wider than `width`, each with columns of one data set."""
    room = min(max(len("method"), *(len(_indented(row)) for row in comparison.rows)), width // 2)
    columns = comparison.columns
    for dataset, numbers in groupby(range(len(columns)), key=lambda number: columns[number].dataset):
        block: list[_Shown] = []
        for shown in (_shown(comparison, number) for number in numbers):
            if block and room + sum(_GAP + each.width for each in (*block, shown)) > width:
                yield _table(dataset, comparison.rows, room, block)
                block = []
            block.append(shown)
        yield _table(dataset, comparison.rows, room, block)


def _table(title: str, rows: Sequence[Row], room: int, block: Sequence[_Shown]) -> Table:
    """One table, with two lines a row where it has a gain."""
    # Text, because rich reads square brackets in plain strings as markup.
    table = Table(
        title=Text(title, "bold"), title_justify="left", title_style="", box=box.SIMPLE_HEAD, show_edge=False,
        pad_edge=False, padding=(0, _GAP - 1, 0, 0), header_style="",
    )  # fmt: skip
    table.add_column("method", max_width=room, overflow="fold")
    for shown in block:
        table.add_column(Text(shown.header), width=shown.width, overflow="fold")
    for number, row in enumerate(rows):
        table.add_row(Text(_indented(row)), *(shown.scores[number] for shown in block))
        if any(shown.gains[number] for shown in block):
            table.add_row(Text("  gain", "dim"), *(shown.gains[number] for shown in block))
    return table


def _shown(comparison: Comparison, number: int) -> _Shown:
    """A column's scores and gains, aligned at their decimal points and their ±."""
    column, usual = comparison.columns[number], comparison.usual_n
    cells = [row.cells[number] for row in comparison.rows]
    numbers = [(c.score, "") for c in cells if c] + [(c.gain.difference, "+") for c in cells if c and c.gain]
    parts = [_parts(interval, usual, sign) for interval, sign in numbers]
    widths = max(len(mean) for mean, _, _ in parts), max(len(half_width) for _, half_width, _ in parts)
    scores = [_number(c.score, usual, "", widths) if c else NO_RUN.rjust(widths[0]) for c in cells]
    gains = [
        Text(_number(c.gain.difference, usual, "+", widths), _style(c.gain.difference))
        if c and c.gain
        else Text()
        for c in cells
    ]
    header = "\n".join([column.protocol, *column.marks])
    width = max(min(_HEADER, max(map(len, header.split("\n")))), *map(len, scores), *map(len, gains))
    return _Shown(header, scores, gains, width)


def _indented(row: Row) -> str:
    """A row's label, set off where it is a further network of the row above."""
    return f"  {row.label}" if row.network else row.label


def _style(gain: Interval) -> str:
    """Colour for a gain that is not 0 by its interval."""
    if gain.excludes_zero:
        return "green" if gain.mean > 0 else "red"
    return "dim"


def _parts(interval: Interval, usual: int, sign: str) -> tuple[str, str, str]:
    """Percent with one decimal: mean, half width ("" for n = 1), and a mark where n is not the usual one."""
    mean, half_width, n = interval
    # Adding 0 turns the -0.0 that small losses round to into 0.0.
    text = f"{round(100 * mean, 1) + 0.0:{sign}.1f}"
    return text, f"{100 * half_width:.1f}" if n > 1 else "", f"(n={n})" if n == 1 or n != usual else ""


def _number(interval: Interval, usual: int, sign: str = "", widths: tuple[int, int] = (0, 0)) -> str:
    """For example "52.0 ± 2.4" or "52.0 (n=1)", with mean and half width right-aligned in `widths`."""
    mean, half_width, mark = _parts(interval, usual, sign)
    spread = f"± {half_width.rjust(widths[1])}" if half_width else ""
    return " ".join(part for part in (mean.rjust(widths[0]), spread, mark) if part)
