"""Cells of CSV files that a spreadsheet would take for formulas: written with a mark, read without it.

A spreadsheet calculates a cell that begins with =, +, -, @, a tab or a carriage return, and a formula may
send data elsewhere. Names of classes and files come from anybody. A text has an apostrophe in front, as users
of spreadsheets write it; a path has `./`, so that other programs still find the file. A cell that begins with
such marks and then such a character gets one more, so that reading takes exactly one away. Numbers stay as
they are. Files in the formats of other programs, such as VIA, are written as those programs expect.
"""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any

_TEXT = re.compile(r"'*[=+\-@\t\r]")
_PATH = re.compile(r"(?:\./)*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)")
# A marked text and a marked path, as regular expressions of Arrow; \1 is the one without the mark.
MARKED_TEXT = r"^'('*[=+\-@\t\r])"
MARKED_PATH = r"^\./((?:\./)*[=+\-@\t\r])"


def line(fields: Iterable[Any]) -> str:
    """Return a line of a CSV file; a carriage return in a field is quoted, as readers need it."""
    text = io.StringIO(newline="")
    # The module quotes fields with a character of the line's end, and both can be in the name of a file.
    csv.writer(text, lineterminator="\r\n").writerow(fields)
    return text.getvalue().removesuffix("\r\n") + "\n"


def mark(cell: Any) -> Any:
    """Return a cell as it is written; only texts change."""
    if not isinstance(cell, str) or not _TEXT.match(cell) or _NUMBER.fullmatch(cell):
        return cell
    return "'" + cell


def mark_path(path: str) -> str:
    """Return a path as it is written: that of the same file."""
    return "./" + path if _PATH.match(path) else path


def mark_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cells of a row by column; that of the column `path` is a path."""
    return {name: mark_path(cell) if name == "path" else mark(cell) for name, cell in row.items()}


def unmark(cell: str) -> str:
    """Return the text that was written as a cell."""
    return cell[1:] if cell.startswith("'") and _TEXT.match(cell) else cell


def unmark_path(cell: str) -> str:
    """Return the path that was written as a cell."""
    return cell[2:] if cell.startswith("./") and _PATH.match(cell) else cell
