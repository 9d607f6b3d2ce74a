"""Read the finished runs of a results folder as one table, and write it as leaderboard.csv.

Each run has its own result in RESULTS/runs/<run>; the CSV is derived from these files. A published table,
whose runs are elsewhere, is read from the CSV and never replaced.
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ssl_video.errors import InputError
from ssl_video.files import replace_text
from ssl_video.runs.folder import RESULT, finished_folders, run_folder
from ssl_video.runs.result import COLUMN_TYPES, COLUMNS, Environment, row
from ssl_video.spec import without_cell

__all__ = ["COLUMNS", "FILE", "Leaderboard", "check_replaceable", "read", "write"]

FILE = "leaderboard.csv"
_ORDER = ["dataset", "protocol", "algorithm", "configuration", "draw", "seed", "run"]
# Columns of the frame that are not in the CSV.
FURTHER = ("predictors", "spec")
# Columns that tables of older versions lack.
_NEWER = {*Environment.model_fields, "gflops", "training_gflops", "validation"}
_TYPES = {name: kind for name, kind in COLUMN_TYPES.items() if kind.endswith("64")}


class Leaderboard(NamedTuple):
    """The finished runs, and the problems of results that cannot be used.

    Attributes:
        frame: one row per run: COLUMNS, then `predictors`, a mapping from each evaluated network to its
            top-1, and `spec`, the specification without data, protocol, draw and seed. A published table
            has only COLUMNS.
        problems: a sentence for each result that was left out.
    """

    frame: pd.DataFrame
    problems: list[str]


def read(results: Path) -> Leaderboard:
    """Read the finished runs of a results folder; for a published one, its leaderboard.csv.

    Runs without a result are not finished, and are ignored.

    Raises:
        InputError: there is no such folder, or its published table is damaged.
    """
    if not results.is_dir():
        raise InputError(f"there is no results folder {results}; `ssl-video bench` makes one")
    if _published(results):
        return Leaderboard(read_csv(results / FILE), [])
    return _read(results, _finished(results))


def write(results: Path) -> Leaderboard:
    """Rewrite leaderboard.csv from the finished runs, and return them; any number of processes may do so.

    Readers see the old file or the new one, never a part. After writing, the runs are listed again, and if
    more have finished, the file is written again: the last writer has seen every run.

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
            replace_text(target, found.frame[list(COLUMNS)].to_csv(index=False, lineterminator="\n"))
        except OSError as error:
            raise InputError(f"cannot write {target}: {error.strerror}") from None
        if _finished(results) == before:
            return found


def check_replaceable(results: Path) -> None:
    """Check that the table can be rebuilt from its runs, so that it may be replaced.

    Raises:
        InputError: leaderboard.csv has rows, and none of their runs has a folder here.
    """
    rows = _published(results)
    if rows:
        raise InputError(
            f"{results / FILE} is a table of {rows} runs whose folders are not in {results / 'runs'}, so it "
            "would be lost: choose another --results, or move the table elsewhere"
        )


def _published(results: Path) -> int:
    """Return the number of runs in a table none of whose runs has a folder here; 0: no such table."""
    rows = 0
    try:
        with (results / FILE).open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file):
                name = line.get("run")
                if name and run_folder(results, name).path.is_dir():
                    return 0
                rows += 1
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except (ValueError, csv.Error):
        pass  # damaged, so its runs are unknown: `read_csv` reports it
    return rows


def read_csv(file: Path) -> pd.DataFrame:
    """Read a leaderboard.csv; columns that an older version did not have are empty.

    Raises:
        InputError: it cannot be read, or is not a leaderboard.
    """
    try:
        frame = pd.read_csv(
            file,
            keep_default_na=False,
            na_values={name: [""] for name, kind in _TYPES.items() if kind == "float64"},
        )
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read: {error}") from None
    missing = [name for name in COLUMNS if name not in frame and name not in _NEWER]
    if missing:
        raise InputError(f"{file} is no leaderboard of ssl-video: it lacks {', '.join(missing)}")
    return frame.reindex(columns=list(COLUMNS)).astype(
        {name: kind for name, kind in _TYPES.items() if name in frame}
    )


def _read(results: Path, names: Sequence[str]) -> Leaderboard:
    """Read the results of some runs."""
    rows, problems = list[dict[str, Any]](), list[str]()
    # Runs of one configuration share one specification in memory.
    specs = dict[str, dict[str, Any]]()
    for name in names:
        try:
            result = run_folder(results, name).read_result()
            if result.run != name:
                # A second copy would count twice.
                raise ValueError(f"it is a copy of run {result.run}")
        except FileNotFoundError:
            continue  # removed since it was listed
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            problems.append(f"runs/{name}/{RESULT} is left out: {reason}")
            continue
        rows.append(
            row(result)
            | {"options": json.dumps(result.options, separators=(",", ":"), sort_keys=True)}
            | {"predictors": {network: scores.top1 for network, scores in result.predictors.items()}}
            | {"spec": specs.setdefault(result.configuration, without_cell(result.spec))}
        )
    frame = pd.DataFrame(rows, columns=[*COLUMNS, *FURTHER]).astype(_TYPES)
    return Leaderboard(frame.sort_values(_ORDER, ignore_index=True), problems)


def _finished(results: Path) -> list[str]:
    """Return the name of every run that has a result."""
    return [folder.name for folder in finished_folders(results)]
