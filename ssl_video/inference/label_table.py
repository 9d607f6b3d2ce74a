"""Tables of labels as files: written row by row, so that a command that was killed continues.

Rows are appended to a CSV file. A .json or .arrow file is made from it at the end. The model and the settings
are in a file beside the table, `labels.csv.settings.json`, which is locked while rows are written.
"""

import contextlib
import csv
import fcntl
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
import pyarrow as pa

from ssl_video import csv_cells
from ssl_video.errors import InputError
from ssl_video.files import replacing

COLUMNS = (
    *("path", "start", "end", "label", "probability", "second_label", "second_probability", "margin"),
    *("windows", "error"),
)
_TEXTS = frozenset({"path", "label", "second_label", "error"})
SUFFIXES = (".csv", ".json", ".arrow")
_BATCH = 10_000  # rows that are converted at once
Row = dict[str, Any]  # by column; None: empty


def frame(rows: Iterable[Row], classes: Sequence[str] = ()) -> pd.DataFrame:
    """Return rows as a data frame; an empty text is None, an empty number NaN.

    Args:
        rows: the rows.
        classes: further columns of probabilities.
    """
    columns = [*COLUMNS, *classes]
    made = pd.DataFrame(list(rows), columns=columns, dtype=object)
    numbers = [name for name in columns if name not in _TEXTS]
    made = made.astype(dict.fromkeys(numbers, "float64") | dict.fromkeys(_TEXTS, "object"))
    made[list(_TEXTS)] = made[list(_TEXTS)].where(made[list(_TEXTS)].notna(), None)
    return made.astype({"windows": "int64"})


def read(path: Path) -> Iterator[Row]:
    """Yield the rows of a table of labels.

    A last row of a .csv file that was cut off by the end of its writer is left out.

    Raises:
        InputError: it is not such a table.
    """
    wrong = InputError(f"{path} is not a table of labels: give another name, or --overwrite")
    try:
        if path.suffix == ".csv":
            columns = _columns(path, wrong)
            yield from (_typed(columns, fields) for fields in _complete(path, len(columns), wrong))
        elif path.suffix == ".json":
            yield from json.loads(path.read_bytes())
        else:
            with pa.memory_map(os.fspath(path)) as source, pa.ipc.open_file(source) as file:
                for number in range(file.num_record_batches):
                    yield from file.get_batch(number).to_pylist()
    except (ValueError, csv.Error, pa.ArrowException):
        raise wrong from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None


class LabelTable:
    """A table of labels that is being written; use it as a context.

    Args:
        path: a .csv, .json or .arrow file.
        settings: the model and all settings that decide the labels; a table of others is not continued.
        overwrite: replace an existing file.
        classes: further columns of probabilities.

    Raises:
        InputError: another ending, a table of other settings, another file, or it cannot be written.
    """

    def __init__(
        self,
        path: Path,
        settings: Mapping[str, Any],
        *,
        overwrite: bool = False,
        classes: Sequence[str] = (),
    ) -> None:
        self._columns = (*COLUMNS, *classes)
        if path.suffix not in SUFFIXES:
            raise InputError(f"{path}: a table of labels ends in {', '.join(SUFFIXES)}")
        self.path, self._settings, self._overwrite = path, dict(settings), overwrite
        self._log = path if path.suffix == ".csv" else path.with_name(f"{path.name}.part.csv")
        self._beside = path.with_name(f"{path.name}.settings.json")
        self._rows: BinaryIO | None = None
        self._lock: BinaryIO | None = None

    def __enter__(self) -> "LabelTable":
        try:
            self._lock = self._beside.open("a+b")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._close()
            raise InputError(f"another command is writing {self.path}: wait for its end") from None
        except OSError as error:
            self._close()
            raise InputError(f"cannot write {self.path}: {error.strerror or error}") from None
        try:
            self._check()
        except BaseException as error:
            self._close()
            if isinstance(error, OSError):
                raise InputError(f"cannot write {self.path}: {error.strerror or error}") from None
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def begin(self, keep: Iterable[Row] = ()) -> None:
        """Begin to write, after the rows to keep."""
        try:
            with replacing(self._log) as file:
                file.write(_line(map(csv_cells.mark, self._columns)))
                file.writelines(_line(_texts(self._columns, row)) for row in keep)
            self._rows = self._log.open("ab")
        except OSError as error:
            raise InputError(f"cannot write {self._log}: {error.strerror or error}") from None

    def kept(self) -> Iterator[Row]:
        """Yield the rows of an earlier command with the same settings, before `begin`."""
        before = self._log if self._log.exists() else self.path
        if not self._overwrite and before.exists() and before.stat().st_size:
            yield from read(before)

    def add(self, row: Row) -> None:
        """Append a row; it outlives this process.

        Raises:
            InputError: the disk is full.
        """
        assert self._rows is not None, "begin first"
        try:
            self._rows.write(_line(_texts(self._columns, row)))
            self._rows.flush()
        except OSError as error:
            raise InputError(
                f"cannot write {self._log}: {error.strerror or error}; the same command continues"
            ) from None

    def finish(self) -> None:
        """Make the .json or .arrow file; a .csv file is complete already."""
        if self._log == self.path:
            return
        try:
            with replacing(self.path) as file:
                if self.path.suffix == ".json":
                    _write_json(file, read(self._log))
                else:
                    _write_arrow(file, read(self._log), self._columns)
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {error.strerror or error}") from None
        with contextlib.suppress(OSError):
            self._log.unlink()  # the table is complete without it

    def _check(self) -> None:
        """Compare the settings with those of the table that is there, and write them if there is none."""
        assert self._lock is not None
        self._lock.seek(0)
        text = self._lock.read()
        there = any(file.exists() and file.stat().st_size for file in (self.path, self._log))
        if there and not self._overwrite:
            if not text:
                self._beside.unlink()
                raise InputError(
                    f"{self.path} exists, but is not a table of labels that could be continued (it has no "
                    f"{self._beside.name}): give another name, or --overwrite"
                )
            if (other := _differences(text, self._settings)) is not None:
                raise InputError(f"{self.path} has labels of {other}: give another name, or --overwrite")
            return
        # First, because a command that was killed in between would continue old rows with new settings.
        for old in (self._log, self.path):
            old.unlink(missing_ok=True)
        self._lock.truncate(0)
        self._lock.write((json.dumps(self._settings, indent=1) + "\n").encode())
        self._lock.flush()

    def _close(self) -> None:
        for file in (self._rows, self._lock):
            if file:
                # What a full disk did not take was reported when it was written, and closing tries once more.
                with contextlib.suppress(OSError):
                    file.close()


def _differences(text: bytes, settings: Mapping[str, Any]) -> str | None:
    """Return the settings in which a table differs, in words; None: in none."""
    try:
        before = dict(json.loads(text))
    except (ValueError, TypeError):
        return "unknown settings"
    changed = [key for key in {**settings, **before} if before.get(key) != settings.get(key)]
    if "model" in changed:
        return "another model"
    words = [f"{key} {before.get(key)}, now {settings.get(key)}" for key in changed]
    return f"other settings ({'; '.join(words)})" if words else None


def _columns(path: Path, wrong: InputError) -> list[str]:
    """Return the columns of a .csv file: COLUMNS, and perhaps some of classes."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        header = [csv_cells.unmark(name) for name in next(csv.reader(_whole_lines(file), strict=True), [])]
    if tuple(header[: len(COLUMNS)]) != COLUMNS:
        raise wrong
    return header


def _complete(path: Path, columns: int, wrong: InputError) -> Iterator[list[str]]:
    """Yield the fields of a file's rows, without the header and without a last row that was cut off."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        rows = csv.reader(_whole_lines(file), strict=True)
        next(rows)  # the header
        last: list[str] | None = None
        try:
            for fields in rows:
                if last is not None:
                    yield last
                last = fields
                if len(fields) != columns:
                    raise wrong
        except csv.Error as error:
            # The end is inside a quoted field: what came before is whole.
            if "unexpected end of data" not in str(error):
                raise
        if last is not None:
            yield last


def _whole_lines(file: io.TextIOBase) -> Iterator[str]:
    """Yield lines that have an end."""
    return (line for line in file if line.endswith("\n"))


def _typed(columns: Sequence[str], fields: list[str]) -> Row:
    """Return a row of a .csv file with its numbers."""
    pairs = zip(columns, fields, strict=True)
    row: Row = {
        name: (csv_cells.unmark(value) if name in _TEXTS else float(value)) if value else None
        for name, value in pairs
    }
    return row | {"path": csv_cells.unmark_path(fields[0]), "windows": int(row["windows"] or 0)}


def _texts(columns: Sequence[str], row: Row) -> list[str]:
    """Return the fields of a row in a .csv file; numbers have up to six decimals, of classes six digits."""
    cells = csv_cells.mark_row({name: row.get(name) for name in columns})
    return [_text(cell) if name in COLUMNS else f"{cell:.6g}" for name, cell in cells.items()]


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _line(fields: Iterable[str]) -> bytes:
    """Return a line of a .csv file; names that are not UTF-8 keep their bytes."""
    return csv_cells.line(fields).encode("utf-8", "surrogateescape")


def _write_json(file: BinaryIO, rows: Iterable[Row]) -> None:
    """Write a list of objects, one a line."""
    file.write(b"[")
    for number, row in enumerate(rows):
        file.write((",\n" if number else "\n").encode() + json.dumps(row).encode())
    file.write(b"\n]\n")


def _write_arrow(file: BinaryIO, rows: Iterable[Row], columns: Sequence[str]) -> None:
    """Write a table that `pandas.read_feather` reads."""
    kinds = {name: pa.large_string() if name in _TEXTS else pa.float64() for name in columns}
    schema = pa.schema(list((kinds | {"windows": pa.int64()}).items()))
    with pa.ipc.new_file(file, schema) as writer:
        for batch in _batches(rows):
            writer.write_batch(pa.RecordBatch.from_pylist([_utf8(row) for row in batch], schema))


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch = list[Row]()
    for row in rows:
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


def _utf8(row: Row) -> Row:
    """Return a row whose path is UTF-8, which Arrow requires; other bytes are written as \\xff."""
    return row | {"path": row["path"].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")}
