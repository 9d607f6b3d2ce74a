"""The finished runs of a results folder as one table: read, selected, and written as leaderboard.csv.

Each run keeps its own RESULTS/runs/<run>/result.json; the CSV is derived from those files and can be
rebuilt at any time.
"""

import contextlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ssl_video.errors import InputError, unknown
from ssl_video.files import replace_text
from ssl_video.spec import CELL

COLUMNS: dict[str, str] = {
    "algorithm": "name of the algorithm",
    "backbone": "its networks: a backbone, or role=backbone for several, *width where narrowed",
    "initialisation": "where the initial weights come from; scratch: random",
    "dataset": "name of the data set",
    "protocol": "rule by which the labeled clips are chosen",
    "fingerprint": "hash of the exact partition: which clips are labeled, unlabeled and test",
    "draw": "number of the random draw of labels",
    "seed": "seed of initial weights, batches and augmentation",
    "labeled": "labeled training clips",
    "unlabeled": "unlabeled training clips",
    "test": "test clips",
    "classes": "classes",
    "frames": "frames per clip",
    "stride": "distance between frames of a clip, in frames of the file",
    "size": "side of the square crop, in pixels",
    "steps": "optimizer steps",
    "predictor": "the network that the accuracies are of",
    "top1": "share of test clips whose class is the first guess, in [0, 1]",
    "top5": "share of test clips whose class is among the first five guesses, in [0, 1]",
    "mean_class": "mean over classes of the share of their test clips guessed right, in [0, 1]",
    "seconds": "duration of training and evaluation, in seconds",
    "clips_seen": "clips that training passed through networks",
    "parameters": "parameters of the predictor",
    "parameters_trained": "parameters of all trained networks",
    "gflops": "10^9 multiply-adds of the predictor for one test clip and crop",
    "training_gflops": "10^9 multiply-adds of the whole training, forward and backward",
    "options": "the algorithm's own hyper-parameters, as JSON",
    "labeled_in_unlabeled": "whether the labeled clips are also unlabeled ones",
    "dataset_fingerprint": "hash of the data set's clips and labels",
    "setting": "hash of what comparable runs share: network, clip, steps, optimizer, evaluation",
    "configuration": "hash of the whole specification except data, protocol, draw and seed",
    "finished": "when the run ended, UTC",
    "run": "name of the run's folder",
}
_COUNTS = (
    *("draw", "seed", "labeled", "unlabeled", "test", "classes", "frames", "stride", "size", "steps"),
    *("clips_seen", "parameters", "parameters_trained"),
)
_ACCURACIES = ("top1", "top5", "mean_class")
# Records of version 0.1 before 2026-11-22 lack these; nan there.
_NEWER = ("gflops", "training_gflops")
# In the record, but not columns of the CSV.
_FURTHER = ("predictors", "spec")
# Without its letter, a hash such as 123456789012 or 1e5678901234 would come back from a CSV as a number.
_LETTERS = {"fingerprint": "p", "dataset_fingerprint": "d", "setting": "s", "configuration": "c"}
_ORDER = ["dataset", "protocol", "algorithm", "configuration", "draw", "seed", "run"]


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
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    # One mapping for all runs of a configuration, which by definition agree on it: memory, for many runs.
    specs: dict[str, dict[str, Any]] = {}
    for file in sorted(_finished(results)):
        try:
            row = _row(file)
        except FileNotFoundError:
            continue  # removed since it was listed
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            problems.append(f"runs/{file.parent.name}/{file.name} is left out: {reason}")
        else:
            row["spec"] = specs.setdefault(row["configuration"], row["spec"])
            rows.append(row)
    frame = pd.DataFrame(rows, columns=[*COLUMNS, *_FURTHER])
    frame = frame.astype(
        dict.fromkeys(_COUNTS, "int64") | dict.fromkeys((*_ACCURACIES, "seconds", *_NEWER), "float64")
    )
    return Leaderboard(frame.sort_values(_ORDER, ignore_index=True), problems)


def write(results: Path) -> Path:
    """Rewrites leaderboard.csv from the finished runs; any number of processes may do so at once.

    Readers see the old file or the new one, never a part. Whoever writes last has seen every run that
    finished before: after writing, the runs are listed again, and if more have finished, so is the file.

    Raises:
        InputError: there is no such folder, or it cannot be written to.
    """
    target = results / "leaderboard.csv"
    while True:
        before = _finished(results)
        frame = read(results).frame[list(COLUMNS)]
        try:
            replace_text(target, frame.to_csv(index=False, lineterminator="\n"))
        except OSError as error:
            raise InputError(f"cannot write {target}: {error.strerror}") from None
        if _finished(results) == before:
            return target


def select(
    frame: pd.DataFrame,
    algorithm: Sequence[str] = (),
    dataset: Sequence[str] = (),
    protocol: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> pd.DataFrame:
    """The rows whose algorithm, data set and protocol are among the given ones; none given: any.

    Args:
        frame: finished runs.
        algorithm: names of algorithms.
        dataset: names of data sets.
        protocol: protocols.
        keep: algorithms that stay whether or not they are in `algorithm`, such as the baseline.

    Raises:
        InputError: every name that no finished run has.
    """
    wanted = {"algorithm": algorithm, "dataset": dataset, "protocol": protocol}
    known = {column: set(frame[column]) for column in wanted}
    missing = [(column, name) for column in wanted for name in wanted[column] if name not in known[column]]
    if missing:
        raise InputError(*(unknown(f"{c} among the finished runs", name, known[c]) for c, name in missing))
    if algorithm:
        wanted["algorithm"] = [*algorithm, *keep]
    for column, names in wanted.items():
        if names:
            frame = frame[frame[column].isin(list(names))]
    return frame


def _finished(results: Path) -> dict[Path, tuple[int, int]]:
    """Every result file with the time of its last change and its size."""
    found = {}
    for file in (results / "runs").glob("*/result.json"):
        with contextlib.suppress(FileNotFoundError):
            status = file.stat()
            found[file] = (status.st_mtime_ns, status.st_size)
    return found


def _row(file: Path) -> dict[str, Any]:
    """One result file as a row.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not what a finished run writes; says what is wrong.
    """
    try:
        record = json.loads(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"not valid JSON, perhaps truncated ({error})") from None
    if not isinstance(record, dict):
        raise ValueError(f"expected an object, found {type(record).__name__}")
    record = dict.fromkeys(_NEWER, math.nan) | record
    missing = [key for key in (*COLUMNS, *_FURTHER) if key not in record]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")
    faults = [fault for key in (*COLUMNS, *_FURTHER) if (fault := _fault(key, record[key]))]
    if not faults:
        faults = [
            fault
            for name, scores in record["predictors"].items()
            if (fault := _fault("top1", scores.get("top1") if isinstance(scores, dict) else None, f"{name} "))
        ]
    if faults:
        raise ValueError("; ".join(faults))
    if record["run"] != file.parent.name:
        raise ValueError(f"it is a copy of run {record['run']}")
    return {key: record[key] for key in COLUMNS} | {
        "options": json.dumps(record["options"], separators=(",", ":"), sort_keys=True),
        "predictors": {name: scores["top1"] for name, scores in record["predictors"].items()},
        "spec": {key: value for key, value in record["spec"].items() if key not in CELL},
    }


def _fault(key: str, value: Any, owner: str = "") -> str | None:
    """What is wrong with the value of a key, if anything."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if key in _COUNTS:
        expected, good = "a whole number", number and isinstance(value, int)
    elif key in _ACCURACIES:
        expected, good = "a share between 0 and 1", number and 0 <= value <= 1
    elif key == "seconds" or (key in _NEWER and value == value):
        expected, good = "a number", number
    elif key in _NEWER:
        return None
    elif key in ("options", *_FURTHER):
        expected, good = "an object", isinstance(value, dict)
    elif key == "labeled_in_unlabeled":
        expected, good = "true or false", isinstance(value, bool)
    elif key in _LETTERS:
        letter = _LETTERS[key]
        expected, good = f"text that starts with {letter!r}", isinstance(value, str) and value[:1] == letter
    else:
        expected, good = "text", isinstance(value, str)
    return None if good else f"{owner}{key} is {value!r}, expected {expected}"
