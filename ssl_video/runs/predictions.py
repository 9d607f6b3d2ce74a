"""Per-clip predictions of test and validation clips, stored with each run.

With them, accuracies per class, confusions and disagreements of runs need neither networks nor data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_video.errors import InputError
from ssl_video.runs import npz
from ssl_video.runs.folder import PREDICTIONS

_KEPT = 5


@dataclass(frozen=True)
class Predictions:
    """The likeliest classes of clips, by predictor.

    Attributes:
        clips: (N,) names of clips, as in the data set's index.
        classes: names of the classes, by number.
        labels: (N,) class numbers.
        guesses: by predictor, the headline first: (N, K) class numbers, the likeliest first. K is 5, or the
            number of classes if there are fewer. Ties go to the lower class number, as in the accuracies.
        confidences: by predictor: (N, K) float32, the probabilities of the guesses.
    """

    clips: np.ndarray
    classes: np.ndarray
    labels: np.ndarray
    guesses: dict[str, np.ndarray]
    confidences: dict[str, np.ndarray]


def predictions(
    clips: Sequence[str], classes: Sequence[str], labels: np.ndarray, scores: Mapping[str, np.ndarray]
) -> Predictions:
    """Return predictions from every predictor's class probabilities, each (N, classes)."""
    guesses = {name: np.argsort(-s, axis=1, kind="stable")[:, :_KEPT] for name, s in scores.items()}
    kept = {name: np.take_along_axis(s, guesses[name], 1).astype(np.float32) for name, s in scores.items()}
    numbers = {name: guess.astype(np.int32) for name, guess in guesses.items()}
    return Predictions(np.array(clips), np.array(classes), labels.astype(np.int32), numbers, kept)


def write(folder: Path, made: Predictions, name: str = PREDICTIONS) -> None:
    """Write predictions to a file of a run's folder, as arrays without pickled objects."""
    content = {"clips": made.clips, "classes": made.classes, "labels": made.labels}
    content |= {f"guesses/{name}": guess for name, guess in made.guesses.items()}
    content |= {f"confidences/{name}": kept for name, kept in made.confidences.items()}
    npz.save(folder / name, content)


def read(folder: Path, name: str = PREDICTIONS) -> Predictions:
    """Return the predictions of a finished run for its test clips, or those of another file in its folder.

    Raises:
        InputError: there is none, or it is damaged.
    """
    path = folder / name
    content = npz.load(path, "the run is not finished, has no test clips, or was made by an older version")
    try:
        clips, classes, labels = (content[key] for key in ("clips", "classes", "labels"))
    except KeyError as error:
        raise InputError(f"{path} is damaged: it has no {error}") from None
    return Predictions(
        clips, classes, labels, npz.named(content, "guesses"), npz.named(content, "confidences")
    )
