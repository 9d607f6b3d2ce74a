"""All pseudo-labels of a run, stored with it.

With them, pseudo-label quality by class and over time, and the clips labeled wrong, need neither networks nor
data. An unfinished run stores them as JSON lines, which are truncated to the last checkpoint on resume. A
finished run stores them as arrays, with the clips' names and hidden labels.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ssl_video.errors import InputError
from ssl_video.files import open_regular
from ssl_video.runs import npz
from ssl_video.runs.folder import PSEUDO_LABELS, UNFINISHED_PSEUDO_LABELS

UNFINISHED = UNFINISHED_PSEUDO_LABELS


@dataclass(frozen=True)
class PseudoLabels:
    """All pseudo-labels of a run: one entry per step and unlabeled clip in its batch.

    Attributes:
        clips: (U,) names of the unlabeled clips, as in the data set's index.
        classes: names of the classes, by number.
        truths: (U,) the clips' class numbers, which no algorithm sees; -1: the clip has no label at all.
        steps: (N,) the entry's step, from 0.
        indices: (N,) the entry's clip, as an index into `clips`.
        labels: by the network that gave them, (N,) class numbers; -1: no label.
        weights: by network, (N,) in [0, 1]; 0: not used.
    """

    clips: np.ndarray
    classes: np.ndarray
    truths: np.ndarray
    steps: np.ndarray
    indices: np.ndarray
    labels: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]

    @property
    def checkable(self) -> "PseudoLabels":
        """Those of clips with a class, which can be right or wrong."""
        known = self.truths >= 0
        if known.all():
            return self
        kept, number = known[self.indices], np.cumsum(known) - 1
        return PseudoLabels(
            self.clips[known],
            self.classes,
            self.truths[known],
            self.steps[kept],
            number[self.indices[kept]],
            {name: labels[kept] for name, labels in self.labels.items()},
            {name: weights[kept] for name, weights in self.weights.items()},
        )


def write(
    folder: Path, clips: Sequence[str], classes: Sequence[str], truths: np.ndarray, run: str = ""
) -> dict[str, float]:
    """Write the pseudo-labels of `run` as arrays, if it has any; see `PseudoLabels` for the arguments.

    Returns:
        By network, the fraction of its pseudo-labels that were used, in [0, 1].

    Raises:
        InputError: the lines of the unfinished run are damaged.
    """
    rows = _lines(folder / UNFINISHED)
    if not rows:
        return {}
    used = dict[str, float]()
    content = {
        "clips": np.array(clips),
        "classes": np.array(classes),
        "truths": truths.astype(np.int32),
        "steps": np.repeat([row["step"] for row in rows], [len(r["indices"]) for r in rows]).astype(np.int32),
        "indices": np.concatenate([row["indices"] for row in rows]).astype(np.int32),
    }
    for name in dict.fromkeys(name for row in rows for name in row["networks"]):
        labels, weights = zip(*(_given(row, name) for row in rows), strict=True)
        content[f"labels/{name}"] = np.concatenate(labels).astype(np.int32)
        content[f"weights/{name}"] = np.concatenate(weights).astype(np.float32)
        used[name] = round(float((content[f"weights/{name}"] > 0).mean()), 4)
    npz.save(folder / PSEUDO_LABELS, content, run)
    return used


def _lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of an unfinished run; none if there is no file.

    Their content needs no check: a run that has other lines than it wrote does not use them.
    """
    try:
        with open_regular(path) as lines:
            return [json.loads(line) for line in lines]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}") from None


def _given(row: Mapping[str, Any], name: str) -> tuple[list[int], list[float]]:
    """Return a network's labels and weights in a row; without labels, -1 and weight 0."""
    none = {"labels": [-1] * len(row["indices"]), "weights": [0.0] * len(row["indices"])}
    given = row["networks"].get(name, none)
    return given["labels"], given["weights"]


def read(folder: Path) -> PseudoLabels:
    """Return the pseudo-labels of a finished run.

    Raises:
        InputError: there is none, or it is damaged or of another run.
    """
    path = folder / PSEUDO_LABELS
    absent = "its algorithm produces none, or it is not finished, or was made by an older version"
    content = npz.StoredArrays(path, npz.load(path, absent))
    clips, classes = content.texts("clips"), content.texts("classes")
    content.expect("classes", len(classes), "classes")
    content.expect("unlabeled clips", len(clips), "unlabeled")
    truths = content.numbers("truths", clips.shape, -1, len(classes) - 1)
    steps = content.numbers("steps", (None,), 0)
    indices = content.numbers("indices", steps.shape, 0, len(clips) - 1)
    names = content.names("labels", "weights")
    labels = {name: content.numbers(f"labels/{name}", steps.shape, -1, len(classes) - 1) for name in names}
    weights = {name: content.numbers(f"weights/{name}", steps.shape, 0, kind="f") for name in names}
    return PseudoLabels(clips, classes, truths, steps, indices, labels, weights)
