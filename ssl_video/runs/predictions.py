"""Per-clip predictions of test and validation clips, stored with each run.

With them, accuracies per class, confusions and disagreements of runs need neither networks nor data.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ssl_video.runs import npz
from ssl_video.runs.folder import PREDICTIONS

_KEPT = 5
_ONE = 1 + 1e-5  # the largest probability, with the error of a float32 sum
_KINDS = ("guesses", "confidences", "calibrated_guesses", "calibrated_confidences")


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
        calibrated_guesses, calibrated_confidences: likewise at the run's temperatures, which have moved
            probabilities; only of predictors that have a temperature.
    """

    clips: np.ndarray
    classes: np.ndarray
    labels: np.ndarray
    guesses: dict[str, np.ndarray]
    confidences: dict[str, np.ndarray]
    calibrated_guesses: dict[str, np.ndarray] = field(default_factory=dict)
    calibrated_confidences: dict[str, np.ndarray] = field(default_factory=dict)

    def first(self, predictor: str) -> tuple[np.ndarray, np.ndarray]:
        """Return (N,) class numbers and (N,) probabilities of the labels that `predict` gives the clips."""
        guesses, kept = self.guesses, self.confidences
        if predictor in self.calibrated_guesses:
            guesses, kept = self.calibrated_guesses, self.calibrated_confidences
        return guesses[predictor][:, 0], kept[predictor][:, 0]


def predictions(
    clips: Sequence[str],
    classes: Sequence[str],
    labels: np.ndarray,
    scores: Mapping[str, np.ndarray],
    calibrated: Mapping[str, np.ndarray] | None = None,
) -> Predictions:
    """Return predictions from every predictor's class probabilities, each (N, classes).

    Args:
        clips, classes, labels: see `Predictions`.
        scores: by predictor.
        calibrated: likewise at the temperatures of predictors that have one.
    """
    arrays = *_likeliest(scores), *_likeliest(calibrated or {})
    return Predictions(np.array(clips), np.array(classes), labels.astype(np.int32), *arrays)


def _likeliest(scores: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the likeliest classes and their probabilities, by predictor."""
    guesses = {name: np.argsort(-s, axis=1, kind="stable")[:, :_KEPT] for name, s in scores.items()}
    kept = {name: np.take_along_axis(s, guesses[name], 1).astype(np.float32) for name, s in scores.items()}
    return {name: guess.astype(np.int32) for name, guess in guesses.items()}, kept


def write(folder: Path, made: Predictions, name: str = PREDICTIONS, run: str = "") -> None:
    """Write predictions to a file of the folder of `run`, as arrays without pickled objects."""
    content = {"clips": made.clips, "classes": made.classes, "labels": made.labels}
    for kind in _KINDS:
        content |= {f"{kind}/{network}": array for network, array in getattr(made, kind).items()}
    npz.save(folder / name, content, run)


def read(folder: Path, name: str = PREDICTIONS) -> Predictions:
    """Return the predictions of a finished run for its test clips, or those of another file in its folder.

    Raises:
        InputError: there is none, or it is damaged or of another run.
    """
    path = folder / name
    absent = "the run is not finished, has no test clips, or was made by an older version"
    content = npz.StoredArrays(path, npz.load(path, absent))
    clips, classes = content.texts("clips"), content.texts("classes")
    content.expect("classes", len(classes), "classes")
    if name == PREDICTIONS:
        content.expect("clips", len(clips), "test")
    labels = content.numbers("labels", clips.shape, 0, len(classes) - 1)
    shape: tuple[int | None, ...] = (len(clips), None)
    arrays = list[dict[str, np.ndarray]]()
    for guesses, confidences in (_KINDS[:2], _KINDS[2:]):
        names = content.names(guesses, confidences)
        arrays += [
            {n: content.numbers(f"{guesses}/{n}", shape, 0, len(classes) - 1) for n in names},
            {n: content.numbers(f"{confidences}/{n}", shape, 0, _ONE, "f") for n in names},
        ]
        if any(arrays[-2][n].shape != arrays[-1][n].shape or not arrays[-1][n].shape[1] for n in names):
            raise content.damaged(f"{guesses} and {confidences} have other shapes")
    if not set(arrays[2]) <= set(arrays[0]):
        raise content.damaged("networks have temperatures, but no predictions")
    return Predictions(clips, classes, labels, *arrays)
