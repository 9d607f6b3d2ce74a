"""Tables that can be sorted and filtered if scripts run, and read and printed if they do not.

A table's cells are texts. Its first page is in the HTML. All its rows are also in the page as JSON, and
page.js shows the other rows in the same form.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ssl_video.figures.drawing import escape

PAGE = 200


class TableColumn(NamedTuple):
    """A column.

    Attributes:
        title: its heading.
        kind: "text"; "number": aligned right, sorted by value; "code": in a fixed-width font.
        hint: tooltip of the column heading.
        choice: offer a filter by its values.
        shown: a hidden column can still serve as a filter.
    """

    title: str
    kind: str = "text"
    hint: str = ""
    choice: bool = False
    shown: bool = True


class MarkedText(NamedTuple):
    """A text with a mark, a CSS class: "up" and "down" for significant gains and losses, "unsure" for a mean
    without an interval.
    """

    text: str
    mark: str = ""


def sortable_table(
    anchor: str, caption: str, columns: Sequence[TableColumn], rows: Sequence[Sequence[str | MarkedText]]
) -> str:
    """Return a table as HTML.

    Args:
        anchor: its id, unique in the page.
        caption: a name of its content.
        columns: C of them.
        rows: R of C cells, in their initial order.
    """
    columns = [
        column._replace(shown=column.shown and not _constant(column, [row[place] for row in rows]))
        for place, column in enumerate(columns)
    ]
    first = "".join(_row(columns, row) for row in rows[:PAGE])
    heads = "".join(_head(column) for column in columns if column.shown)
    table = _table(caption, heads, first)
    return (
        f'<div class="sheet" id="{anchor}" data-page="{PAGE}">{_tools(anchor, columns, rows)}'
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}">{table}</div>'
        f"{_pages(len(rows))}{island(f'{anchor}-data', _content(columns, rows))}</div>"
    )


def _constant(column: TableColumn, cells: Sequence[str | MarkedText]) -> bool:
    """Return True if a filter column has the same value in all rows, so that it only takes room."""
    return column.choice and len(cells) > 1 and len(set(map(_cell, cells))) == 1


def island(anchor: str, content: Any) -> str:
    """Return data for scripts inside a page, in which no text can end the element that holds it."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    safe = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return f'<script type="application/json" id="{anchor}">{safe}</script>'


def plain_table(head: Sequence[str], rows: Iterable[Sequence[str | MarkedText]], caption: str) -> str:
    """Return a small table without controls."""
    columns = [TableColumn(title) for title in head]
    body = "".join(_row(columns, row) for row in rows)
    heads = "".join(f'<th scope="col">{escape(title)}</th>' for title in head)
    return f'<div class="wide" tabindex="0">{_table(caption, heads, body)}</div>'


def _table(caption: str, heads: str, body: str) -> str:
    named = f"<caption>{escape(caption)}</caption>"
    return f"<table>{named}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _head(column: TableColumn) -> str:
    hint = f' title="{escape(column.hint)}"' if column.hint else ""
    button = f'<button type="button"{hint}>{escape(column.title)}</button>'
    return f'<th scope="col" class="{column.kind}" aria-sort="none">{button}</th>'


def _row(columns: Sequence[TableColumn], row: Sequence[str | MarkedText]) -> str:
    cells = []
    for column, cell in zip(columns, row, strict=True):
        if column.shown:
            text, mark = _cell(cell)
            cells.append(f'<td class="{f"{column.kind} {mark}".strip()}">{escape(text)}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _cell(cell: str | MarkedText) -> MarkedText:
    return cell if isinstance(cell, MarkedText) else MarkedText(cell)


def _tools(anchor: str, columns: Sequence[TableColumn], rows: Sequence[Sequence[str | MarkedText]]) -> str:
    """Return a search box, and a filter for each column that has one; hidden if scripts do not run."""
    parts = [
        f'<label>search <input type="search" id="{anchor}-search" placeholder="any words" '
        f'autocomplete="off" spellcheck="false"></label>'
    ]
    for place, column in enumerate(columns):
        values = list(dict.fromkeys(_cell(row[place]).text for row in rows)) if column.choice else []
        if len(values) > 1:
            choices = "".join(f"<option>{escape(value)}</option>" for value in values)
            parts.append(
                f'<label>{escape(column.title)} <select id="{anchor}-{place}" data-column="{place}">'
                f'<option value="">all</option>{choices}</select></label>'
            )
    parts.append('<button type="button" class="save">save as CSV</button>')
    return f'<div class="tools">{"".join(parts)}</div>'


def _pages(rows: int) -> str:
    """Return the range of the rows that are shown, with buttons for others."""
    last = min(rows, PAGE)
    shown = f"{rows} rows" if rows <= PAGE else f"rows 1 to {last} of {rows}"
    turning = (
        '<span class="turn"><button type="button" class="back" disabled>back</button> '
        '<button type="button" class="on">next</button></span>'
        if rows > PAGE
        else ""
    )
    return f'<p class="pages"><span class="range" role="status">{shown}</span>{turning}</p>'


def _content(
    columns: Sequence[TableColumn], rows: Sequence[Sequence[str | MarkedText]]
) -> list[dict[str, Any]]:
    """Return each column's distinct cells, and the index of each row's cell."""
    content = []
    for place, column in enumerate(columns):
        numbers: dict[MarkedText, int] = {}
        codes = [numbers.setdefault(_cell(row[place]), len(numbers)) for row in rows]
        values = [[*cell] if cell.mark else cell.text for cell in numbers]
        found: dict[str, Any] = {"title": column.title, "kind": column.kind, "values": values}
        if not column.shown:
            found["hidden"] = True
        # If all differ, the indices are 0, 1, 2, ...
        content.append(found if len(values) == len(rows) else found | {"codes": codes})
    return content
