"""Find finished runs by their folders, and group repetitions of one method. Never imports torch."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ssl_video.benchmarks.tables.comparison import COLUMN_KEYS, METHOD_KEYS, label_marks
from ssl_video.benchmarks.tables.naming import labels
from ssl_video.errors import InputError
from ssl_video.runs.folder import RunFolder, finished_folders
from ssl_video.runs.result import Result
from ssl_video.spec import without_cell

_KEYS = (*METHOD_KEYS, *COLUMN_KEYS)


def in_folder(results: Path) -> list[Path]:
    """Return the folders of all finished runs of a results folder, by name.

    Raises:
        InputError: there is none.
    """
    found = [folder.path for folder in finished_folders(results)]
    if not found:
        raise InputError(f"there is no finished run in {results}: give --results, or the folders of runs")
    return found


def grouped(runs: Sequence[RunFolder]) -> dict[str, list[RunFolder]]:
    """Group finished runs by row and column of tables: the runs of a group differ only in seeds and draws.

    Groups have the names of methods and columns in tables, plus the version of the data if names are equal.
    """
    results = {run.path: run.result for run in runs}
    groups = dict[tuple[Any, ...], list[RunFolder]]()
    for run in runs:
        groups.setdefault(tuple(getattr(results[run.path], key) for key in _KEYS), []).append(run)
    methods = {result.configuration: _method(result) for result in results.values()}
    names = (
        dict(zip(methods, labels(pd.DataFrame(list(methods.values())))[0], strict=True)) if methods else {}
    )
    firsts = {key: results[members[0].path] for key, members in groups.items()}
    words = {key: _title(names[first.configuration], first) for key, first in firsts.items()}
    counts = Counter(words.values())
    return {
        text if counts[text] == 1 else f"{text} (data {firsts[key].dataset_fingerprint})": groups[key]
        for key, text in words.items()
    }


def _title(method: str, result: Result) -> str:
    return ", ".join([f"{method} {result.dataset} {result.protocol}", *label_marks(dict(result))])


def _method(result: Result) -> dict[str, Any]:
    """Return the facts that determine a method's name in tables."""
    words = {key: getattr(result, key) for key in ("algorithm", "configuration", "setting")}
    return words | {"spec": without_cell(result.spec)}
