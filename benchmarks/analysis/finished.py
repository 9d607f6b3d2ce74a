"""Finished runs by their folders, and which of them are repetitions of one method. Never imports torch."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ssl_video.benchmarks.tables.cells import COLUMN_KEYS, METHOD_KEYS, label_marks
from ssl_video.benchmarks.tables.naming import labels
from ssl_video.benchmarks.tables.records import with_validation
from ssl_video.errors import InputError
from ssl_video.spec import without_cell

_RESULT = "result.json"
_KEYS = (*METHOD_KEYS, *COLUMN_KEYS)


class Finished(NamedTuple):
    """A finished run: its folder and what is in its `result.json`, with `records.with_validation`."""

    folder: Path
    result: Mapping[str, Any]


def in_folder(results: Path) -> list[Path]:
    """The folders of all finished runs of a results folder, by name.

    Raises:
        InputError: there is none.
    """
    found = sorted(file.parent for file in (results / "runs").glob(f"*/{_RESULT}"))
    if not found:
        raise InputError(f"there is no finished run in {results}: give --results, or the folders of runs")
    return found


def read(folder: Path) -> Finished:
    """A finished run.

    Raises:
        InputError: it is no run's folder, not finished, or its record is damaged.
    """
    path = folder / _RESULT
    if (folder / "runs").is_dir():
        raise InputError(f"{folder} is a results folder: give the folders of runs, {folder / 'runs'}/*")
    try:
        result = with_validation(json.loads(path.read_text(encoding="utf-8")))
        missing = [key for key in ("predictors", "spec", *_KEYS) if key not in result]
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{folder} is not the folder of a finished run: it holds no {_RESULT}") from None
    except (OSError, ValueError, AttributeError) as error:
        raise _damaged(path, str(error)) from None
    if missing:
        raise _damaged(path, f"it lacks {', '.join(missing)}")
    return Finished(folder, result)


def grouped(runs: Sequence[Finished]) -> dict[str, list[Finished]]:
    """Runs by row and column of tables: what is in one group differs in seeds and draws alone.

    Groups are named as tables name methods and columns; and by the version of the data where that does not
    tell two of them apart.
    """
    groups = dict[tuple[Any, ...], list[Finished]]()
    for run in runs:
        groups.setdefault(tuple(run.result[key] for key in _KEYS), []).append(run)
    methods = {run.result["configuration"]: _method(run.result) for run in runs}
    names = dict(zip(methods, labels(pd.DataFrame(methods.values()))[0], strict=True)) if methods else {}
    firsts = {key: members[0].result for key, members in groups.items()}
    words = {key: _title(names[first["configuration"]], first) for key, first in firsts.items()}
    counts = Counter(words.values())
    return {
        text if counts[text] == 1 else f"{text} (data {firsts[key]['dataset_fingerprint']})": groups[key]
        for key, text in words.items()
    }


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"{path} is damaged ({reason}): the command of the run makes it again")


def _title(method: str, result: Mapping[str, Any]) -> str:
    return ", ".join([f"{method} {result['dataset']} {result['protocol']}", *label_marks(result)])


def _method(result: Mapping[str, Any]) -> dict[str, Any]:
    """What a method's name in tables is made of."""
    words = {key: result[key] for key in ("algorithm", "configuration", "setting")}
    return words | {"spec": without_cell(result["spec"])}
