"""Render a comparison in a terminal."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from rich import box
from rich.table import Table
from rich.text import Text

from ssl_video.benchmarks.tables.comparison import Comparison
from ssl_video.benchmarks.tables.formatting import (
    EMPTY,
    NO_RUN,
    PUBLISHED,
    gain_parts,
    parts,
    per_cost,
    written,
    written_gain,
)
from ssl_video.benchmarks.tables.published import Block
from ssl_video.benchmarks.tables.statistics import Paired
from ssl_video.benchmarks.tables.table_content import Costs, Gains, Scores, TableContent

# Spaces between columns, one of which the frame adds; the longest header line that widens a column.
_GAP, _HEADER = 2, 20
_PER_COST = "  gain/cost"


def to_terminal(content: TableContent, width: int = 80) -> Table:
    """Return a table for each group of columns, each gain below its score, caption and notes at the end.

    If the columns of a group do not fit into `width` characters, they are split into several tables.
    Colour marks significant gains, at the table's confidence for all of its gains together.
    """
    sheet, comparison = Table.grid(), content.comparison
    if content.labels:
        for block in _blocks(content, width):
            sheet.add_row(block)
            sheet.add_row("")
        caption = comparison.caption
        if any(
            cell and comparison.differs(cell.corrected_p) for row in comparison.rows for cell in row.cells
        ):
            caption += f", in colour where it is not 0 (Holm's correction for {comparison.tests})"
        sheet.add_row(Text(caption, "dim"))
        sheet.add_row(_listed(content.notes))
    else:
        sheet.add_row(EMPTY)
        if comparison.notes:
            sheet.add_row(_listed(comparison.notes))
    if content.published:
        for part in content.published.blocks:
            sheet.add_row("")
            sheet.add_row(_published(part))
        sheet.add_row("")
        sheet.add_row(_listed(content.published.notes))
    return sheet


def _published(block: Block) -> Table:
    """Return a table of the published numbers for a data set."""
    table = _empty_table(PUBLISHED.format(block.dataset))
    for column in block.words:
        words = [word for text in column for word in text.split()]
        table.add_column(Text(column[0]), overflow="fold", min_width=max(map(len, words)))
    for column in block.numbers:
        table.add_column(Text(column[0]), justify="right")
    for texts in zip(*(column[1:] for column in (*block.words, *block.numbers)), strict=True):
        table.add_row(*map(Text, texts))
    return table


def _listed(notes: Sequence[str]) -> Table:
    """Return sentences as a list, one per line."""
    table = Table.grid(padding=(0, 1))
    for note in notes:
        table.add_row(Text("-", "dim"), Text(note, "dim"))
    return table


class _Shown(NamedTuple):
    """A column as texts; each row has three lines: score, gain, gain per cost."""

    header: str
    lines: list[list[Text]]
    width: int


def _blocks(content: TableContent, width: int) -> Iterator[Table]:
    """Yield tables no wider than `width`, each with columns of one group."""
    names = ["method", *_names(content), *([_PER_COST] if content.costs else [])]
    room = min(max(map(len, names)), width // 2)
    for group, members in groupby(content.columns, key=lambda column: column.group):
        columns, block = list(members), list[_Shown]()
        scores = [column.cells for column in columns if isinstance(column, Scores)]
        # Rows without a run on this data are in the tables of other data.
        rows = [row for row in range(len(content.labels)) if any(cells[row] for cells in scores)]
        for column in columns:
            shown = _shown(content, column)
            if block and room + sum(_GAP + each.width for each in (*block, shown)) > width:
                yield _table(group, content, rows, room, block)
                block = []
            block.append(shown)
        yield _table(group, content, rows, room, block)


def _table(
    title: str, content: TableContent, rows: Sequence[int], room: int, block: Sequence[_Shown]
) -> Table:
    """Return a table of these rows, with further lines for a row that has a gain."""
    table = _empty_table(title)
    table.add_column(Text("method"), max_width=room, overflow="fold")
    for shown in block:
        table.add_column(Text(shown.header), width=shown.width, overflow="fold")
    names = _names(content)
    for number in rows:
        for place, label in enumerate((Text(names[number]), Text("  gain", "dim"), Text(_PER_COST, "dim"))):
            texts = [shown.lines[number][place] for shown in block]
            if place == 0 or any(texts):
                table.add_row(label, *texts)
    return table


def _empty_table(title: str) -> Table:
    # `Text`, because rich reads square brackets in plain strings as markup.
    return Table(
        title=Text(title, "bold"), title_justify="left", title_style="", box=box.SIMPLE_HEAD, show_edge=False,
        pad_edge=False, padding=(0, _GAP - 1, 0, 0), header_style="",
    )  # fmt: skip


def _shown(content: TableContent, column: Scores | Gains | Costs) -> _Shown:
    if isinstance(column, Scores):
        return _scores(content, column)
    return _gains(content, column) if isinstance(column, Gains) else _costs(column)


def _scores(content: TableContent, column: Scores) -> _Shown:
    """Return a column's scores and gains, aligned at their decimal points and their ±."""
    usual = content.comparison.usual_n
    spelled = [parts(cell.score, usual) for cell in column.cells if cell]
    spelled += [gain_parts(cell.gain) for cell in column.cells if cell and cell.gain]
    widths = max(len(mean) for mean, _, _ in spelled), max(len(half_width) for _, half_width, _ in spelled)
    lines = []
    for cell in column.cells:
        score = Text(written(cell.score, usual, "", widths) if cell else NO_RUN.rjust(widths[0]))
        gain, cost = Text(), Text()
        if cell and cell.gain:
            gain = Text(
                written_gain(cell.gain, widths), _style(content.comparison, cell.gain, cell.corrected_p)
            )
            if content.costs and per_cost(cell):
                cost = Text(per_cost(cell).rjust(widths[0]), "dim")
        lines.append([score, gain, cost])
    header = "\n".join(column.lines)
    longest = max(len(text) for texts in lines for text in texts)
    width = max(min(_HEADER, max(map(len, header.split("\n")))), longest)
    return _Shown(header, lines, width)


def _gains(content: TableContent, column: Gains) -> _Shown:
    """Return a column of mean gains with the same alignment, each in the line of gains."""
    spelled = [gain_parts(mean.gain) for mean in column.gains if mean]
    means, half_widths = ([len(texts[place]) for texts in spelled] for place in (0, 1))
    widths = max(means, default=0), max(half_widths, default=0)
    lines = []
    for mean in column.gains:
        gain = Text()
        if mean:
            gain = Text(
                written_gain(mean.gain, widths), _style(content.comparison, mean.gain, mean.corrected_p)
            )
        lines.append([Text(), gain, Text()])
    longest = max(len(text) for texts in lines for text in texts)
    return _Shown(column.name, lines, max(len(column.name), longest))


def _costs(column: Costs) -> _Shown:
    """Return a column of costs, aligned at the right."""
    width = max(map(len, (column.name, *column.texts)))
    lines = [[Text(text.rjust(width)), Text(), Text()] for text in column.texts]
    return _Shown(column.name.rjust(width), lines, width)


def _style(comparison: Comparison, gain: Paired, corrected_p: float) -> str:
    """Return the style of a gain; a significant one is coloured."""
    if comparison.differs(corrected_p):
        return "green" if gain.difference.mean > 0 else "red"
    return "dim"


def _names(content: TableContent) -> list[str]:
    """Return the labels of rows, indented for a further network of the row above."""
    return [
        f"  {label}" if more else label for label, more in zip(content.labels, content.further, strict=True)
    ]
