"""Texts that come from files, such as names of clips and classes, made safe for a terminal."""

from collections.abc import Iterable, Sequence
from typing import Any

import click
import rich.table
from rich.text import Text

NAMED = 5  # unreadable clips whose reasons are printed


def written_out(text: str, keep: str = "") -> str:
    """Return a text in which control characters, such as those of a terminal, are written out.

    Args:
        text: the text.
        keep: control characters that stay.
    """
    return "".join(each if each.isprintable() or each in keep else ascii(each)[1:-1] for each in text)


def printable(text: str) -> Text:
    """Return a text for a table: brackets are no markup, and control characters are written out."""
    return Text(written_out(text))


def clips(number: int) -> str:
    """Return a number of clips in words: "1 clip", "2,000 clips"."""
    return "1 clip" if number == 1 else f"{number:,} clips"


def say_notes(notes: Iterable[str]) -> None:
    """Print notes to standard error."""
    for note in notes:
        click.echo(f"note: {written_out(note)}", err=True)


def say_unreadable(reasons: Sequence[str], number: int, remark: str) -> None:
    """Print to standard error how many clips could not be read, if any, and why.

    Args:
        reasons: "path: reason" of the first of them, or of all.
        number: their number.
        remark: a text after the number.
    """
    for reason in reasons[:NAMED]:
        click.echo(f"error: {written_out(reason)}", err=True)
    if number:
        more = f", of which the first {NAMED} are named above" if number > NAMED else ""
        click.echo(f"{clips(number)} could not be read{more}; {remark}", err=True)


class Table(rich.table.Table):
    """A table whose texts are shown as they are: title, headings and cells, see `printable`."""

    def __init__(self, *headings: Any, title: Any = None, **settings: Any) -> None:
        super().__init__(*map(_shown, headings), title=_shown(title), **settings)

    def add_column(self, header: Any = "", footer: Any = "", **settings: Any) -> None:
        """Add a column."""
        super().add_column(_shown(header), _shown(footer), **settings)

    def add_row(self, *cells: Any, **settings: Any) -> None:
        """Add a row; a text that is to be styled is given as rich's `Text`."""
        super().add_row(*map(_shown, cells), **settings)


def _shown(cell: Any) -> Any:
    """Return a text without markup and control characters; other things as they are."""
    if isinstance(cell, str):
        return printable(cell)
    if isinstance(cell, Text) and written_out(cell.plain, keep="\n") != cell.plain:
        return Text(written_out(cell.plain, keep="\n"), style=cell.style)
    return cell
