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


def write(folder: Path, clips: Sequence[str], classes: Sequence[str], truths: np.ndarray) -> dict[str, float]:
    """Write a trained run's pseudo-labels as arrays, if it has any; see `PseudoLabels` for the arguments.

    Returns:
        By network, the fraction of its pseudo-labels that were used, in [0, 1].
    """
    path = folder / UNFINISHED
    rows = [json.loads(line) for line in path.open(encoding="utf-8")] if path.exists() else []
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
    npz.save(folder / PSEUDO_LABELS, content)
    return used


def _given(row: Mapping[str, Any], name: str) -> tuple[list[int], list[float]]:
    """Return a network's labels and weights in a row; without labels, -1 and weight 0."""
    none = {"labels": [-1] * len(row["indices"]), "weights": [0.0] * len(row["indices"])}
    given = row["networks"].get(name, none)
    return given["labels"], given["weights"]


def read(folder: Path) -> PseudoLabels:
    """Return the pseudo-labels of a finished run.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = folder / PSEUDO_LABELS
    content = npz.load(
        path, "its algorithm produces none, or it is not finished, or was made by an older version"
    )
    try:
        return PseudoLabels(
            **{key: content[key] for key in ("clips", "classes", "truths", "steps", "indices")},
            labels=npz.named(content, "labels"),
            weights=npz.named(content, "weights"),
        )
    except KeyError as error:
        raise InputError(f"{path} is damaged: it has no {error}") from None
