"""The finished runs of a results folder as one table: read, selected, and written as leaderboard.csv.

Each run keeps its own RESULTS/runs/<run>/result.json; the CSV is derived from those files and can be
rebuilt at any time.
"""

import contextlib
import csv
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ssl_video.benchmarks.tables import record_cache, records
from ssl_video.benchmarks.tables.record_cache import Stamp
from ssl_video.benchmarks.tables.records import ACCURACIES, COLUMNS, COUNTS, FURTHER, NEWER
from ssl_video.errors import InputError
from ssl_video.files import replace_text

__all__ = ["COLUMNS", "FILE", "Leaderboard", "check_replaceable", "read", "write"]

FILE = "leaderboard.csv"
_SPECIAL = re.compile(r'[",\r\n]')
_ORDER = ["dataset", "protocol", "algorithm", "configuration", "draw", "seed", "run"]
_TYPES = dict.fromkeys(COUNTS, "int64") | dict.fromkeys(
    (*ACCURACIES, "validation", "seconds", *NEWER), "float64"
)


class Leaderboard(NamedTuple):
    """The finished runs and what could not be used.

    Attributes:
        frame: one row a run: COLUMNS, then `predictors`, a mapping from each evaluated network to its top-1,
            and `spec`, the specification without what a configuration leaves open (data, draw, seed, ...).
        problems: a sentence for each result that was left out.
    """

    frame: pd.DataFrame
    problems: list[str]


def read(results: Path) -> Leaderboard:
    """The finished runs of a results folder, and a sentence for each result that cannot be used.

    Runs without a result are not finished and not mentioned.

    Raises:
        InputError: there is no such folder.
    """
    if not results.is_dir():
        raise InputError(f"there is no results folder {results}; `ssl-video bench` makes one")
    return _read(results, _finished(results))


def write(results: Path) -> Leaderboard:
    """Rewrites leaderboard.csv from the finished runs, and returns them; any number of processes may do so.

    Readers see the old file or the new one, never a part. Whoever writes last has seen every run that
    finished before: after writing, the runs are listed again, and if more have finished, so is the file.

    Raises:
        InputError: there is no such folder, it cannot be written to, or see `check_replaceable`.
    """
    target = results / FILE
    if not results.is_dir():
        raise InputError(f"there is no results folder {results}; `ssl-video bench` makes one")
    check_replaceable(results)
    while True:
        before = _finished(results)
        found = _read(results, before)
        try:
            replace_text(target, _csv(found.frame))
        except OSError as error:
            raise InputError(f"cannot write {target}: {error.strerror}") from None
        if _finished(results) == before:
            return found


def check_replaceable(results: Path) -> None:
    """Check that a table could be rebuilt if it were replaced: a published one without its runs could not.

    Raises:
        InputError: leaderboard.csv has rows, and none of their runs has a folder here.
    """
    target, rows = results / FILE, 0
    absent = FileNotFoundError, NotADirectoryError
    with contextlib.suppress(*absent), target.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if (results / "runs" / (row.get("run") or "")).is_dir():
                return
            rows += 1
    if rows:
        raise InputError(
            f"{target} is a table of {rows} runs whose folders are not in {results / 'runs'}, so it would be "
            "lost: choose another --results, or move the table elsewhere"
        )


def _read(results: Path, stamps: dict[str, Stamp]) -> Leaderboard:
    """Those of some runs' results that can be used, by the run's name with the file's time and size."""
    kept = record_cache.read(results, stamps)
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    # What all runs of a configuration share is there once: memory, for many runs.
    known: dict[str, dict[str, Any]] = {}
    for run in sorted(stamps.keys() - kept.stamps.keys()):
        try:
            with open(os.path.join(results, "runs", run, "result.json"), "rb") as file:
                rows.append(records.row(file.read(), run, known))
        except FileNotFoundError:
            continue  # removed since it was listed
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            problems.append(f"runs/{run}/result.json is left out: {reason}")
    frame = pd.DataFrame(rows, columns=[*COLUMNS, *FURTHER]).astype(_TYPES)
    if len(kept.frame):
        frame = pd.concat([kept.frame, frame]) if rows else kept.frame
    if len(rows) > record_cache.WORTH:
        record_cache.write(results, frame, stamps)
    return Leaderboard(frame.sort_values(_ORDER, ignore_index=True), problems)


def _csv(frame: pd.DataFrame) -> str:
    """COLUMNS of finished runs as `to_csv` of pandas would write them, in a third of the time."""
    lines = pc.binary_join_element_wise(*(_texts(frame[name]) for name in COLUMNS), ",")
    return "\n".join([",".join(COLUMNS), *lines.to_pylist(), ""])


def _texts(column: "pd.Series[Any]") -> pa.Array:
    """Values as they stand between the commas of a CSV."""
    values = column.tolist()
    if column.dtype.kind == "f":
        texts = ["" if value != value else repr(value) for value in values]
    elif column.dtype.kind in "ib":
        texts = list(map(str, values))
    else:
        special = {text for text in set(values) if _SPECIAL.search(text)}
        written = {text: '"' + text.replace('"', '""') + '"' for text in special}
        texts = [written.get(text, text) for text in values] if special else values
    return pa.array(texts, pa.string())


def _finished(results: Path) -> dict[str, Stamp]:
    """The name of every run that has a result, with the time of the file's last change and its size."""
    found = {}
    # A hundred thousand of them: half the time of pathlib's.
    with contextlib.suppress(FileNotFoundError), os.scandir(results / "runs") as runs:
        for run in runs:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                status = os.stat(f"{run.path}/result.json")
                found[run.name] = (status.st_mtime_ns, status.st_size)
    return found
