"""The outputs of a cross-validation's networks on the clips of their folds.

Each run of a fold keeps its own. The run that is then trained on all labels has those of all folds, and with
them an estimate of its accuracy, though all of its labeled clips are for training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_video.runs import npz
from ssl_video.runs.folder import FOLD_LOGITS

_COLUMNS = ("clips", "classes", "labels", "folds")


@dataclass(frozen=True)
class FoldLogits:
    """Logits of clips, each by the network that was trained without the clip's fold.

    Attributes:
        clips: (N,) names of clips, as in the data set's index.
        classes: names of the classes, by number.
        labels: (N,) class numbers.
        folds: (N,) numbers of the folds.
        logits: by predictor, the headline first: (N, views, classes).
    """

    clips: np.ndarray
    classes: np.ndarray
    labels: np.ndarray
    folds: np.ndarray
    logits: dict[str, np.ndarray]


def joined(parts: Sequence[FoldLogits]) -> FoldLogits:
    """Return the clips of several folds as one."""
    first = parts[0]
    return FoldLogits(
        np.concatenate([part.clips for part in parts]),
        first.classes,
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.folds for part in parts]),
        {name: np.concatenate([part.logits[name] for part in parts]) for name in first.logits},
    )


def write(folder: Path, made: FoldLogits, run: str = "") -> None:
    """Write logits to the folder of `run`."""
    content = {name: getattr(made, name) for name in _COLUMNS}
    npz.save(folder / FOLD_LOGITS, content | {f"logits/{name}": a for name, a in made.logits.items()}, run)


def read(folder: Path) -> FoldLogits:
    """Return the logits in a run's folder.

    Raises:
        InputError: there are none, or they are damaged or of another run.
    """
    path = folder / FOLD_LOGITS
    absent = "the run is not one of a cross-validation, or is not finished"
    content = npz.StoredArrays(path, npz.load(path, absent))
    clips, classes = content.texts("clips"), content.texts("classes")
    content.expect("classes", len(classes), "classes")
    labels = content.numbers("labels", clips.shape, 0, len(classes) - 1)
    folds = content.numbers("folds", clips.shape, 0)
    shape, largest = (len(clips), None, len(classes)), float(np.finfo(np.float32).max)
    logits = {
        name: content.numbers(f"logits/{name}", shape, -largest, largest, "f")
        for name in content.names("logits")
    }
    if not logits or not len(clips):
        raise content.damaged("it holds no logits")
    return FoldLogits(clips, classes, labels, folds, logits)
