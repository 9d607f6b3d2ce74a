"""CSV and TSV files with a header."""

import csv
import io
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from ssl_video.data.importers.draft import Draft, as_splits, locate, rows
from ssl_video.errors import InputError, some, unknown
from ssl_video.files import read_text


def from_manifest(path: Path, root: Path | None, split: str, *, check: bool = True) -> Draft:
    """Rows of a CSV or TSV file, and what is wrong with them; see `ssl_video.data.index.read`.

    Args:
        path: absolute path of the file.
        root: absolute path of the folder that holds the files, or None to find it.
        split: name of the split column.
        check: whether to look for the files.

    Raises:
        InputError: not a CSV file with the columns that are needed.
    """
    columns = read_table(path)
    missing = [unknown("column", name, columns) for name in ("path", "label") if name not in columns]
    if split != "split" and split not in columns:
        missing.append(unknown("split column", split, columns))
    if missing:
        raise InputError(*(f"{path}: {problem}" for problem in missing))
    folder = path.parent
    draft = Draft(str(path), folder.name, "")
    for name in ("path", "label"):
        empty = rows(pc.equal(columns[name], ""))
        if len(empty):
            draft.problems.append(f"{name} is empty in line {some(_lines(path, empty))}")
    bases = [folder, folder.parent] if root is None else [root]
    locate(draft, columns["path"], bases, check=check, lines=lambda rows: _lines(path, rows))
    draft.labels = columns["label"]
    groups = columns.get("group")
    if groups is not None and pc.any(pc.not_equal(groups, "")).as_py():
        # A clip without a source video is one of its own.
        draft.groups = pc.if_else(pc.equal(groups, ""), draft.ids, groups)
    if split in columns:
        draft.splits = as_splits(columns[split], split, draft.problems)
    draft.columns = {k: v for k, v in columns.items() if k not in ("path", "label", "group", split)}
    return draft


def read_table(path: Path) -> dict[str, pa.Array]:
    """Columns of a CSV or TSV file with a header, as stripped strings by name.

    Raises:
        InputError: what is wrong with the file.
    """
    delimiter = _delimiter(path)
    try:
        header = [name.strip() for name in next(csv.reader([_first_line(path)], delimiter=delimiter), [])]
        uneven: list[int | None] = []
        table = arrow_csv.read_csv(
            path,
            arrow_csv.ReadOptions(column_names=header, skip_rows=0),
            arrow_csv.ParseOptions(
                delimiter=delimiter,
                newlines_in_values=True,
                invalid_row_handler=lambda row: (uneven.append(row.number), "skip")[1],
            ),
            arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.large_string()), strings_can_be_null=False
            ),
        )
    except (pa.ArrowInvalid, KeyError, csv.Error, UnicodeDecodeError):
        _explain(path, delimiter)
        raise
    if uneven or len(set(header)) < len(header) or table.num_rows < 2:
        _explain(path, delimiter)
    rows = table.slice(1)  # names are given above, so that the header came as a row
    return {name: pc.utf8_trim_whitespace(rows.column(name).combine_chunks()) for name in table.column_names}


def _delimiter(path: Path) -> str:
    line = _first_line(path)
    return "\t" if path.suffix.lower() == ".tsv" or ("\t" in line and "," not in line) else ","


def _first_line(path: Path) -> str:
    """The first line that is not empty; what is not UTF-8 in it is told by whoever reads the whole file."""
    with open(path, encoding="utf-8-sig", errors="replace", newline=None) as file:
        return next((line for line in file if line.strip()), "")


def _explain(path: Path, delimiter: str) -> None:
    """Read a file that Arrow does not take row by row, to say what is wrong where.

    Raises:
        InputError: all that was found.
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


def _lines(path: Path, rows: np.ndarray) -> list[int]:
    """The lines that some rows of a file end in, for a message."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=_delimiter(path))
    ends = [reader.line_num for row in reader if row][1:]
    return [ends[row] for row in rows.tolist()]
