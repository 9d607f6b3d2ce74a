"""A comparison shown in a terminal."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from rich import box
from rich.table import Table
from rich.text import Text

from ssl_video.benchmarks.compare import Cell, Comparison, Row
from ssl_video.benchmarks.numbers import EMPTY, NO_RUN, parts, written

# Spaces between columns, one of which the frame adds; the longest header line that a column grows to.
_GAP, _HEADER = 2, 16


def to_terminal(comparison: Comparison, width: int = 80) -> Table:
    """A table for each data set, each gain below its score, what it all means beneath.

    Where the columns of a data set do not fit into `width` characters, they go into several tables.
    Colour marks the gains that are not 0, at the table's confidence for all of its gains together.
    """
    sheet = Table.grid()
    if not comparison.rows:
        sheet.add_row(EMPTY)
        return sheet
    for block in _blocks(comparison, width):
        sheet.add_row(block)
        sheet.add_row("")
    caption = comparison.caption
    if any(cell and comparison.differs(cell) for row in comparison.rows for cell in row.cells):
        caption += f", in colour where it is not 0 (Holm's correction for {comparison.tests})"
    notes = Table.grid(padding=(0, 1))
    for note in comparison.notes:
        notes.add_row(Text("-", "dim"), Text(note, "dim"))
    sheet.add_row(Text(caption, "dim"))
    sheet.add_row(notes)
    return sheet


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


def _shown(comparison: Comparison, place: int) -> _Shown:
    """A column's scores and gains, aligned at their decimal points and their ±."""
    column, usual = comparison.columns[place], comparison.usual_n
    cells = [row.cells[place] for row in comparison.rows]
    numbers = [(c.score, "") for c in cells if c] + [(c.gain.difference, "+") for c in cells if c and c.gain]
    spelled = [parts(interval, usual, sign) for interval, sign in numbers]
    widths = max(len(mean) for mean, _, _ in spelled), max(len(half_width) for _, half_width, _ in spelled)
    scores = [written(c.score, usual, "", widths) if c else NO_RUN.rjust(widths[0]) for c in cells]
    gains = [
        Text(written(c.gain.difference, usual, "+", widths), _style(comparison, c))
        if c and c.gain
        else Text()
        for c in cells
    ]
    header = "\n".join([column.protocol, *column.marks])
    width = max(min(_HEADER, max(map(len, header.split("\n")))), *map(len, scores), *map(len, gains))
    return _Shown(header, scores, gains, width)


def _style(comparison: Comparison, cell: Cell) -> str:
    """Colour for a gain that is not 0."""
    if cell.gain and comparison.differs(cell):
        return "green" if cell.gain.difference.mean > 0 else "red"
    return "dim"


def _indented(row: Row) -> str:
    """A row's label, set off where it is a further network of the row above."""
    return f"  {row.label}" if row.network else row.label
