"""Import of manifests: CSV and TSV files with a header."""

import csv
import functools
import io
import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from ssl_video import csv_cells
from ssl_video.data.importers.raw_index import RawIndex, as_splits, joined, rows, text
from ssl_video.data.segments import PART, written
from ssl_video.errors import InputError, some, unknown
from ssl_video.files import read_text

# Columns that say which part of a file a clip is: in seconds, or from a frame on and how many.
_EDGES = (("start", "end"), ("offset", "frames"))
KNOWN = frozenset({"path", "label", "group", *_EDGES[0], *_EDGES[1]})  # names of columns that mean something
# Other names of start and end, which would otherwise be columns of no meaning.
_ALIKE = re.compile(r"(?i)(time|t|seg(ment)?)?[_ ]?(begin|start|from|stop|end|to)[_ ]?(time|s|sec|seconds)?")
# They say nothing of the data, so the folder names it.
_ORDINARY = ("annotations", "clips", "data", "dataset", "index", "labels", "manifest", "videos")


def from_manifest(path: Path, split: str) -> RawIndex:
    """Read the rows of a CSV or TSV file, and note their problems; see `ssl_video.data.importers.read`.

    Args:
        path: absolute path of the file.
        split: name of the split column.

    Raises:
        InputError: not a CSV file, or required columns are missing.
    """
    columns = with_known_names(read_table(path), split)
    missing = [unknown("column", name, columns) for name in ("path", "label") if name not in columns]
    if split != "split" and split not in columns:
        missing.append(unknown("split column", split, columns))
    if missing:
        if not {"path", "label"} & {name.lower() for name in columns}:
            first = _first_line(path).strip()
            missing = [
                f"expected a header with the columns path and label in the first line, found {first!r}"
            ]
        raise InputError(*(f"{path}: {problem}" for problem in missing))
    raw = RawIndex(str(path), _name(path), ids=columns["path"], labels=columns["label"])
    raw.lines = functools.partial(lines_of, path)
    empty = rows(pc.equal(columns["path"], ""))
    if len(empty):
        raw.problems.append(f"path is empty in line {some(raw.lines(empty))}")
    groups = columns.get("group")
    if groups is not None and pc.any(pc.not_equal(groups, "")).as_py():
        raw.groups = groups
    if split in columns:
        raw.splits = as_splits(columns[split], split, raw.problems)
    if alike := edges_by_other_names(columns, split):
        raw.notes.append(f"column {alike}")
    raw.ids = with_segments(raw.ids, columns, raw)
    raw.split_off_segments()
    used = ("path", "label", "group", split, *_edges(columns))
    raw.columns = {k: v for k, v in columns.items() if k not in used}
    return raw


def edges_by_other_names(columns: dict[str, pa.Array], split: str = "split") -> str:
    """Return a sentence about columns that may hold the parts of files by other names; "": there are none."""
    alike = [name for name in columns if name not in (*KNOWN, split) and _ALIKE.fullmatch(name)]
    if not alike or _edges(columns):
        return ""
    return (
        f"{some(alike)} is not used: clips that are parts of files have the columns start and end, in seconds"
    )


def with_known_names(columns: dict[str, pa.Array], split: str = "split") -> dict[str, pa.Array]:
    """Return columns with the names that are known here in lower case: spreadsheets write Path and Label."""
    known = {*KNOWN, split}
    return {
        low if (low := name.lower()) in known and low not in columns else name: values
        for name, values in columns.items()
    }


def with_segments(paths: pa.Array, columns: dict[str, pa.Array], raw: RawIndex) -> pa.Array:
    """Return paths with the segments that a table's columns give: `start`, `end`, or `offset`, `frames`.

    Args:
        paths: (N,) paths; an empty start or end is that of the file.
        columns: the table's columns by name.
        raw: values that are none are added to its problems, with their lines.
    """
    names = _edges(columns)
    if not names:
        return paths
    in_frames = "offset" in names
    edges = [_numbers(columns[name], name, in_frames, raw) for name in names]
    starts = edges[0] if names[0] in ("start", "offset") else [None] * len(paths)
    ends = edges[-1] if names[-1] in ("end", "frames") else [None] * len(paths)
    if in_frames:
        ends = [None if n is None else (start or 0) + n for start, n in zip(starts, ends, strict=True)]
    late = [k for k, (a, b) in enumerate(zip(starts, ends, strict=True)) if b is not None and b <= (a or 0)]
    if late:
        _complain(raw, late, "frames must be at least 1" if in_frames else "end must be after start")
    unit = "f" if in_frames else "t"
    segments = text([written(start, end, unit) for start, end in zip(starts, ends, strict=True)])
    both = rows(pc.and_(pc.match_substring_regex(paths, rf"{PART}$"), pc.not_equal(segments, "")))
    if len(both):
        _complain(raw, both.tolist(), f"a path with #t= or #f= and a value of {names[0]}: give one of them")
    return joined("", paths, segments)


def _edges(columns: dict[str, pa.Array]) -> tuple[str, ...]:
    """Return the names of the columns that hold segments."""
    seconds, frames = (tuple(name for name in pair if name in columns) for pair in _EDGES)
    # A number of frames alone is that of the file.
    return seconds or (frames if len(frames) == 2 else ())


def _numbers(values: pa.Array, name: str, whole: bool, raw: RawIndex) -> list[float | None]:
    """Return a column's numbers, None for empty fields; others are added to the problems."""
    kind: Callable[[str], float] = int if whole else float
    found, wrong = list[float | None](), list[int]()
    for row, value in enumerate(values.to_pylist()):
        try:
            number = kind(value) if value else None
        except ValueError:
            number = math.nan
        if number is not None and not 0 <= number < 1e9:
            wrong.append(row)
            number = None
        found.append(number)
    if wrong:
        examples = some([values[row].as_py() for row in wrong[:5]])
        _complain(
            raw, wrong, f"{name}: expected {'a number' if whole else 'seconds, 12.5'}, found {examples}"
        )
    return found


def _complain(raw: RawIndex, wrong: list[int], problem: str) -> None:
    """Add a problem of some rows, with their lines, to a raw index's problems."""
    lines = raw.lines(np.array(wrong)) if raw.lines else wrong
    raw.problems.append(f"{problem} (line {some(lines)})")


def _name(path: Path) -> str:
    """Return a data set's name: that of its manifest, or of the folder if the file has an ordinary name."""
    return path.parent.name if path.stem.lower() in _ORDINARY else path.stem


def read_table(path: Path) -> dict[str, pa.Array]:
    """Read a CSV or TSV file with a header: columns of stripped strings, by name.

    Raises:
        InputError: the file is invalid; the message explains why.
    """
    delimiter = _delimiter(path)
    try:
        header = first_fields(path)
        table = arrow_csv.read_csv(
            path,
            arrow_csv.ReadOptions(column_names=header, skip_rows=0, use_threads=False),
            arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.large_string()), strings_can_be_null=False
            ),
        )
    except (pa.ArrowException, KeyError, csv.Error, UnicodeDecodeError) as error:
        _explain(path, delimiter)
        raise InputError(f"{path}: not valid CSV: {error}") from error
    if len(set(header)) < len(header) or table.num_rows < 2:
        _explain(path, delimiter)
        raise InputError(f"{path}: expected a header and lines with as many fields")
    rows = table.slice(1)  # the names are given above, so the header was read as a row
    trimmed = {name: pc.utf8_trim_whitespace(rows.column(name).combine_chunks()) for name in header}
    return {
        name: pc.replace_substring_regex(
            column, csv_cells.MARKED_PATH if name.lower() == "path" else csv_cells.MARKED_TEXT, r"\1"
        )
        for name, column in trimmed.items()
    }


def first_fields(path: Path) -> list[str]:
    """Return the names in a file's header, stripped."""
    fields = next(csv.reader([_first_line(path)], delimiter=_delimiter(path)), [])
    return [name.strip() for name in fields]


def _delimiter(path: Path) -> str:
    line = _first_line(path)
    if path.suffix.lower() == ".tsv":
        return "\t"
    # Spreadsheets of many languages write semicolons.
    return next((mark for mark in ",\t;" if mark in line), ",")


def _first_line(path: Path) -> str:
    """Return the first line that is not empty. Invalid UTF-8 is reported when the whole file is read."""
    with open(path, encoding="utf-8-sig", errors="replace", newline=None) as file:
        return next((line for line in file if line.strip()), "")


def _explain(path: Path, delimiter: str) -> None:
    """Report the errors in a file that Arrow rejects, by reading it row by row.

    Raises:
        InputError: every error found.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter, strict=True)
    widths: dict[int, int] = {}
    header: list[str] = []
    try:
        for row in reader:
            header = header or [name.strip() for name in row]
            if row:
                widths[reader.line_num] = len(row)
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not valid CSV: {error}") from error
    if len(widths) < 2:
        raise InputError(
            f"{path} lists no clips; expected a header (path,label,...) and a line for each clip"
        )
    problems = [f"{path}: column {name!r} appears twice" for name, n in Counter(header).items() if n > 1]
    uneven = [line for line, width in widths.items() if width != len(header)]
    if uneven:
        problems.append(f"{path}: expected {len(header)} fields, as in the header, in line {some(uneven)}")
    if problems:
        raise InputError(*problems)


def lines_of(path: Path, rows: np.ndarray) -> list[int]:
    """Return the line numbers at which the given rows of a file end, for a message."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=_delimiter(path))
    ends = [reader.line_num for row in reader if row][1:]
    return [ends[row] for row in rows.tolist()]
