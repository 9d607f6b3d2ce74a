"""What a finished run's result.json holds for tables: one row, checked."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from ssl_video.spec import without_cell

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
    "clips_seen": "videos read in training; one that several networks or views see counts once",
    "parameters": "parameters of the predictor",
    "parameters_trained": "parameters of all trained networks",
    "gflops": "10^9 multiply-adds of the predictor for one test clip and crop",
    "training_gflops": "10^9 multiply-adds of the whole training, forward and backward",
    "options": "the algorithm's own hyper-parameters, as JSON",
    "labeled_in_unlabeled": "whether the labeled clips are also unlabeled ones",
    "validation": "labeled clips kept for validation: a share below 1, or a number per class; 0: none",
    "dataset_fingerprint": "hash of the data set's clips and labels",
    "setting": "hash of what comparable runs share: network, clip, steps, optimizer, evaluation",
    "configuration": "hash of the whole specification except data, protocol, draw and seed",
    "finished": "when the run ended, UTC",
    "run": "name of the run's folder",
}
COUNTS = (
    *("draw", "seed", "labeled", "unlabeled", "test", "classes", "frames", "stride", "size", "steps"),
    *("clips_seen", "parameters", "parameters_trained"),
)
ACCURACIES = ("top1", "top5", "mean_class")
# Records of version 0.1 before 2026-11-22 lack these; nan there.
NEWER = ("gflops", "training_gflops")
# In the record, but not columns of the CSV.
FURTHER = ("predictors", "spec")
# Without its letter, a hash such as 123456789012 or 1e5678901234 would come back from a CSV as a number.
_LETTERS = {"fingerprint": "p", "dataset_fingerprint": "d", "setting": "s", "configuration": "c"}


def _finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def _rule(key: str) -> tuple[Callable[[Any], bool], str]:
    """What the value of a key has to be: a check, and words for it."""
    if key in COUNTS:
        return lambda value: type(value) is int, "a whole number"
    if key in ACCURACIES:
        return _share, "a share between 0 and 1"
    if key in NEWER:
        return lambda value: _finite(value) or value != value, "a number"
    if key in ("seconds", "validation"):
        return _finite, "a number"
    if key in ("options", *FURTHER):
        return lambda value: type(value) is dict, "an object"
    if key == "labeled_in_unlabeled":
        return lambda value: type(value) is bool, "true or false"
    if key in _LETTERS:
        letter = _LETTERS[key]
        starts = f"text that starts with {letter!r}"
        return lambda value: type(value) is str and value.startswith(letter), starts
    return lambda value: type(value) is str, "text"


_RULES = {key: _rule(key) for key in (*COLUMNS, *FURTHER)}


def with_validation(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result whose `validation` is the setting; a file has accuracies on the validation clips there."""
    spec = result.get("spec")
    setting = spec.get("validation", 0.0) if isinstance(spec, Mapping) else 0.0
    return {**result, "validation": setting}


def row(content: bytes, folder: str, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """One run's COLUMNS and FURTHER.

    Args:
        content: of its result.json.
        folder: the name of its folder.
        known: what runs of a configuration by definition share, by configuration; grows.

    Raises:
        ValueError: it is not what a finished run writes; says what is wrong.
    """
    record = _checked(content)
    if record["run"] != folder:
        raise ValueError(f"it is a copy of run {record['run']}")
    shared = known.get(record["configuration"])
    if shared is None:
        shared = known[record["configuration"]] = {
            "options": json.dumps(record["options"], separators=(",", ":"), sort_keys=True),
            "spec": without_cell(record["spec"]),
        }
    values = {key: record[key] for key in COLUMNS} | shared
    values["predictors"] = {name: scores["top1"] for name, scores in record["predictors"].items()}
    return values


def _checked(content: bytes) -> dict[str, Any]:
    """A record that has every key and a fitting value for each.

    Raises:
        ValueError: all that is wrong.
    """
    try:
        record = json.loads(content)
    except ValueError as error:
        raise ValueError(f"not valid JSON, perhaps truncated ({error})") from None
    if not isinstance(record, dict):
        raise ValueError(f"expected an object, found {type(record).__name__}")
    counted: dict[str, Any] = dict.fromkeys(NEWER, math.nan)
    record = counted | with_validation(record)
    missing = [key for key in _RULES if key not in record]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")
    faults = [
        f"{key} is {record[key]!r}, expected {expected}"
        for key, (good, expected) in _RULES.items()
        if not good(record[key])
    ]
    if not faults:
        tops = {
            name: scores.get("top1") if isinstance(scores, dict) else None
            for name, scores in record["predictors"].items()
        }
        expected = _RULES["top1"][1]
        faults = [
            f"{name} top1 is {top1!r}, expected {expected}" for name, top1 in tops.items() if not _share(top1)
        ]
    if faults:
        raise ValueError("; ".join(faults))
    return record
