"""Reading of published lists of clips, in their various formats."""

import csv
import re
from pathlib import Path
from typing import NamedTuple

from ssl_video.data.names import ENDING
from ssl_video.data.segments import PART, file_of, written
from ssl_video.errors import InputError, some
from ssl_video.files import read_text

_SEGMENT = re.compile(PART)
_STARRED = re.compile(r"([^*]+)\*(\d+)")
_PATH = rf".+(?:{ENDING})(?:{PART})?"
_VIDEO = re.compile(rf"({_PATH})(?:\s+\d+(?=\s))?(?:\s+(.+))?", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]{1,9}")  # longer numbers cannot be classes
_FRAMES = re.compile(r"(.+?)(?:(?:\s+\d+)?\s+(\d+))?")
_PART = re.compile(rf"({_PATH}|.+?)\s+(\d{{1,9}})\s+(\d{{1,9}})\s+(\d+|\D.*)", re.IGNORECASE)


class ListEntry(NamedTuple):
    """A clip in a list, and its class by name or by number, if given (otherwise "" and None).

    Attributes:
        path: as written, but with forward slashes.
        label: the name of a class.
        number: the number of a class, from 0 or from 1: lists differ.
        segment: the clip's part of the file, such as "#f=120,184"; empty: all of it.
    """

    path: str
    label: str
    number: int | None
    segment: str = ""


def read(path: Path) -> list[ListEntry]:
    """Return the entries of a list.

    Lines are `path label`, `path frames label`, `path offset frames label`, `path*label`, a path alone, or
    CSV `path,label` (with a header, columns of these names in any place). A path is that of a video or of a
    folder of pictures. If all lines have an offset, a clip is so many frames from this one, counted from 0.
    Lines that start with "# " are comments.

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
            raise InputError(f"{path}: expected path*number, found {some(wrong)}; fix these lines")
        found = [(match[1], match[2]) for match in matches.values() if match]
    elif all("," in _SEGMENT.sub("", line) for line in lines.values()):
        found = _from_csv(path, list(lines.values()))
    elif all(parts := [_PART.fullmatch(line) for line in lines.values()]):
        found = [(_part(path, match), match[4]) for match in parts if match]
    else:
        fits = [_VIDEO.fullmatch(line) or _FRAMES.fullmatch(line) for line in lines.values()]
        found = [(match[1], match[2] or "") for match in fits if match]
    if not found:
        raise InputError(f"{path} has no entries: expected a line for each clip")
    return [_entry(name.strip().replace("\\", "/"), label.strip()) for name, label in found]


def _part(path: Path, match: re.Match[str]) -> str:
    """Return the path of a clip that is given by its first frame and its number of frames."""
    offset, frames = int(match[2]), int(match[3])
    if not frames:
        raise InputError(f"{path}: expected path offset frames label, found no frames in {match[0]!r}")
    return match[1] + written(offset, offset + frames, "f")


def _entry(path: str, label: str) -> ListEntry:
    file = file_of(path)
    name, number = ("", int(label)) if _NUMBER.fullmatch(label) else (label, None)
    return ListEntry(file, name, number, path[len(file) :])


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
