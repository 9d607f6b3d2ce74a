"""Read the finished runs of a results folder as one table, and write it as leaderboard.csv.

Each run has its own result in RESULTS/runs/<run>; the CSV is derived from these files. A published table,
whose runs are elsewhere, is read from the CSV, or the archive beside it, and never replaced. A table of runs
some of which have no usable result here is kept as leaderboard-1.csv, leaderboard-2.csv, … before it is
replaced.
"""

import csv
import io
import json
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ssl_video import csv_cells
from ssl_video.errors import InputError, counted, left_out, some
from ssl_video.files import open_regular, read_bytes, replace_text, replacing
from ssl_video.runs import archive
from ssl_video.runs.folder import RESULT, finished_folders, run_folder
from ssl_video.runs.result import COLUMN_TYPES, COLUMNS, Environment, row
from ssl_video.spec import without_cell

__all__ = ["COLUMNS", "FILE", "Leaderboard", "check_replaceable", "read", "write"]

FILE = "leaderboard.csv"
_ORDER = ["dataset", "protocol", "algorithm", "configuration", "draw", "seed", "run"]
# Columns of the frame that are not in the CSV.
FURTHER = ("predictors", "pseudo_labels_used", "spec")
# Columns that tables of older versions lack.
_NEWER = {
    *Environment.model_fields,
    *("data_wait", "gflops", "training_gflops", "validation", "without_label"),
}
_TYPES = {name: kind for name, kind in COLUMN_TYPES.items() if kind.endswith("64")}


class Leaderboard(NamedTuple):
    """The finished runs, and the problems of results that cannot be used.

    Attributes:
        frame: one row per run: COLUMNS, then `predictors`, a mapping from each evaluated network to its
            top-1, `pseudo_labels_used`, one from each network that gives pseudo-labels to the fraction that
            was used, and `spec`, the specification without data, protocol, draw and seed. A published table
            has only COLUMNS.
        problems: a sentence for each result that was left out.
        records: the results folder in which the runs' folders are; that of an archive is a temporary one.
    """

    frame: pd.DataFrame
    problems: list[str]
    records: Path


def read(results: Path) -> Leaderboard:
    """Read the finished runs of a results folder or an archive; of a published folder, its leaderboard.csv.

    Runs without a result are not finished, and are ignored. If an archive lies beside a published table and
    has all of its runs, their records are read.

    Raises:
        InputError: there is no such folder, or its published table or the archive cannot be read.
    """
    if results.is_file():
        unpacked = archive.unpack(results)
        inside = _read(unpacked.folder, _finished(unpacked.folder))
        return inside._replace(problems=unpacked.problems + inside.problems)
    if not results.is_dir():
        raise InputError(f"there is no results folder {results}; `ssl-video bench` makes one")
    found = _read(results, _finished(results))
    listed = _listed(results)
    absent = _absent(results, listed, found.frame)
    if listed and len(absent) == len(listed):
        return _published(results, found.problems)
    if absent:
        found.problems.append(
            f"{FILE} lists {counted(len(absent), 'run')} without a result here ({some(absent, 3)}); when "
            "it is written again, a copy is kept"
        )
    return found


def write(results: Path) -> Leaderboard:
    """Rewrite leaderboard.csv from the finished runs, and return them; any number of processes may do so.

    Readers see the old file or the new one, never a part. After writing, the runs are listed again, and if
    more have finished, the file is written again: the last writer has seen every run. An old table with runs
    that have no result here is kept, see `_keep`.

    Raises:
        InputError: there is no such folder, it cannot be written to, or see `check_replaceable`.
    """
    target = results / FILE
    if not results.is_dir():
        raise InputError(f"there is no results folder {results}; `ssl-video bench` makes one")
    check_replaceable(results)
    kept = list[str]()
    while True:
        before = _finished(results)
        found = _read(results, before)
        try:
            if absent := _absent(results, _listed(results), found.frame):
                kept.append(
                    f"{FILE} listed {counted(len(absent), 'run')} without a result here ({some(absent, 3)}); "
                    f"that table is kept as {_keep(target)}"
                )
            replace_text(target, _written(found.frame))
        except OSError as error:
            raise InputError(f"cannot write {target}: {error.strerror}") from None
        if _finished(results) == before:
            return found._replace(problems=found.problems + kept)


def _published(results: Path, problems: list[str]) -> Leaderboard:
    """Read a published table; from the archive beside it, if that has its runs."""
    table = read_csv(results / FILE)
    if not (results / archive.FILE).exists():
        return Leaderboard(table, problems, results)
    try:
        found = read(results / archive.FILE)
    except InputError as error:
        return Leaderboard(table, [*problems, *error.problems], results)
    problems = problems + found.problems
    listed = found.frame[found.frame["run"].isin(table["run"])].reset_index(drop=True)
    if absent := sorted(set(table["run"]) - set(listed["run"])):
        sentence = (
            f"{archive.FILE} has no record of {counted(len(absent), 'run')} of {FILE} ({some(absent, 3)}): "
            f"the table alone is read; `--results {results / archive.FILE}` reads the records"
        )
        return Leaderboard(table, [*problems, sentence], results)
    if differing := _differing(table, listed):
        problems.append(
            f"{archive.FILE} and {FILE} differ in {counted(len(differing), 'run')} ({some(differing, 3)}): "
            "numbers of the records are shown"
        )
    return Leaderboard(listed, problems, found.records)


def _differing(table: pd.DataFrame, records: pd.DataFrame) -> list[str]:
    """Return the runs whose line of a table has another accuracy or other labels than their record."""
    keys = ["configuration", "fingerprint", "top1"]
    both = table.merge(records, on="run", suffixes=("", "_record"), validate="many_to_one")
    other = pd.Series(False, both.index)
    for key in keys[:2]:
        other |= both[key] != both[f"{key}_record"]
    # Numbers lose their last digit when they are written as text and read again.
    other |= ~np.isclose(both["top1"], both["top1_record"], rtol=1e-9, atol=0, equal_nan=True)
    return sorted(both.loc[other, "run"])


def check_replaceable(results: Path) -> None:
    """Check that the table is not a published one, which could not be rebuilt.

    Raises:
        InputError: leaderboard.csv has rows, and no run of them has a folder here.
    """
    listed = _listed(results)
    if listed and not any(name and run_folder(results, name).path.is_dir() for name in listed):
        raise InputError(
            f"{results / FILE} is a table of {counted(len(listed), 'run')} whose folders are not in "
            f"{results / 'runs'}, so it would be lost: choose another --results, or move the table elsewhere"
        )


def _listed(results: Path) -> list[str]:
    """Return the names of the runs in leaderboard.csv; "" for a line without one, or that cannot be read."""
    names = list[str]()
    try:
        with io.TextIOWrapper(open_regular(results / FILE), "utf-8", "replace", "") as file:
            names += [csv_cells.unmark(line.get("run") or "") for line in csv.DictReader(file)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(f"cannot read {results / FILE}: {error.strerror or error}") from None
    except csv.Error:
        names.append("")  # damaged: `read_csv` reports it
    return names


def _absent(results: Path, listed: Sequence[str], frame: pd.DataFrame) -> list[str]:
    """Return those of the listed runs that have no usable result."""
    found = set(frame["run"])
    # Another process may have finished one since the frame was read.
    return [name for name in listed if name not in found and not _usable(results, name)]


def _usable(results: Path, name: str) -> bool:
    """Return whether a run has a result that this version reads."""
    try:
        return bool(name) and run_folder(results, name).read_result().run == name
    except (OSError, ValueError):
        return False


def _keep(table: Path) -> str:
    """Copy a table to the first free name of leaderboard-1.csv, leaderboard-2.csv, …, and return the name."""
    content = read_bytes(table)
    for number in count(1):
        kept = table.with_stem(f"{table.stem}-{number}")
        if not kept.exists():
            break
    with replacing(kept) as file:
        file.write(content)
    return kept.name


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
        raise InputError(f"{file} is not a leaderboard of ssl-video: it lacks {', '.join(missing)}")
    for name in _texts(frame):
        frame[name] = [csv_cells.unmark(cell) if isinstance(cell, str) else cell for cell in frame[name]]
    return frame.reindex(columns=list(COLUMNS)).astype(
        {name: kind for name, kind in _TYPES.items() if name in frame}
    )


def _written(frame: pd.DataFrame) -> str:
    """Return the table as CSV; texts that a spreadsheet would calculate are marked, see `csv_cells`."""
    shown = frame[list(COLUMNS)].copy()
    for name in _texts(shown):
        shown[name] = shown[name].map(csv_cells.mark)
    return shown.to_csv(index=False, lineterminator="\n")


def _texts(frame: pd.DataFrame) -> list[str]:
    """Return the columns that hold texts."""
    return [str(name) for name in frame.columns if frame[name].dtype.kind not in "ifb"]


def _read(results: Path, names: Sequence[str]) -> Leaderboard:
    """Read the results of some runs."""
    rows, problems = list[dict[str, Any]](), dict[str, str]()
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
            problems[f"runs/{name}/{RESULT}"] = str(getattr(error, "strerror", None) or error)
            continue
        rows.append(
            row(result)
            | {"options": json.dumps(result.options, separators=(",", ":"), sort_keys=True)}
            | {"predictors": {network: scores.top1 for network, scores in result.predictors.items()}}
            | {"pseudo_labels_used": result.pseudo_labels_used}
            | {"spec": specs.setdefault(result.configuration, without_cell(result.spec))}
        )
    frame = pd.DataFrame(rows, columns=[*COLUMNS, *FURTHER]).astype(_TYPES)
    return Leaderboard(frame.sort_values(_ORDER, ignore_index=True), left_out(problems), results)


def _finished(results: Path) -> list[str]:
    """Return the name of every run that has a result."""
    return [folder.name for folder in finished_folders(results)]
