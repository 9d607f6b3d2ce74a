"""Reading of published lists of clips, in their various formats."""

import csv
import re
from pathlib import Path
from typing import NamedTuple

from ssl_video.data.names import EXTENSIONS
from ssl_video.errors import InputError, some
from ssl_video.files import read_text

_STARRED = re.compile(r"([^*]+)\*(\d+)")
_EXTENSION = "|".join(map(re.escape, sorted(EXTENSIONS)))
_VIDEO = re.compile(rf"(.+(?:{_EXTENSION}))(?:\s+\d+(?=\s))?(?:\s+(.+))?", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,9}")  # longer numbers cannot be classes
_FRAMES = re.compile(r"(.+?)(?:(?:\s+\d+)?\s+(\d+))?")


class ListEntry(NamedTuple):
    """A clip in a list, and its class by name or by number, if given (otherwise "" and None).

    Attributes:
        path: as written, but with forward slashes.
        label: the name of a class.
        number: the number of a class, from 0 or from 1: lists differ.
    """

    path: str
    label: str
    number: int | None


def read(path: Path) -> list[ListEntry]:
    """Return the entries of a list.

    Lines are `path label`, `path frames label`, `path*label`, a path alone, or CSV `path,label` (with a
    header, columns of these names in any place). Lines that start with "# " are comments.

    Raises:
        InputError: the list has no entries, or lines of another form.
    """
    lines = {number: line.strip() for number, line in enumerate(read_text(path).split("\n"), 1)}
    lines = {number: line for number, line in lines.items() if line and not f"{line} ".startswith("# ")}
    if not lines:
        found = []
    elif all("*" in line for line in lines.values()):
        matches = {number: _STARRED.fullmatch(line) for number, line in lines.items()}
        wrong = [f"line {number}: {lines[number]}" for number, match in matches.items() if not match]
        if wrong:
            raise InputError(f"{path}: expected path*number, found {some(wrong)}; mend these lines")
        found = [(match[1], match[2]) for match in matches.values() if match]
    elif all("," in line for line in lines.values()):
        found = _from_csv(path, list(lines.values()))
    else:
        fits = [_VIDEO.fullmatch(line) or _FRAMES.fullmatch(line) for line in lines.values()]
        found = [(match[1], match[2] or "") for match in fits if match]
    if not found:
        raise InputError(f"{path} has no entries: expected a line for each clip")
    return [_entry(name.strip().replace("\\", "/"), label.strip()) for name, label in found]


def _entry(path: str, label: str) -> ListEntry:
    return ListEntry(path, "", int(label)) if _NUMBER.fullmatch(label) else ListEntry(path, label, None)


def _from_csv(path: Path, lines: list[str]) -> list[tuple[str, str]]:
    try:
        cells = list(csv.reader(lines, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: not valid CSV: {error}") from error
    wrong = [",".join(row) for row in cells if len(row) != len(cells[0])]
    if wrong:
        raise InputError(f"{path}: expected {len(cells[0])} fields, as in the first line, in {some(wrong)}")
    header = [name.strip().lower() for name in cells[0]]
    if "path" not in header:
        return [(row[0], row[1]) for row in cells]
    name, label = header.index("path"), header.index("label") if "label" in header else None
    return [(row[name], "" if label is None else row[label]) for row in cells[1:]]
