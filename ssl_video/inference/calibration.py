"""Probabilities that mean something: a temperature for each predictor, and how far probabilities are off.

Guo et al., On Calibration of Modern Neural Networks, ICML 2017 (arXiv:1706.04599). A temperature divides the
logits of each view before their softmax. It is fitted on the validation clips of a finished run, or on the
clips of a cross-validation's folds.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from ssl_video.errors import InputError, counted

FEWEST = 10  # validation clips without which there is no temperature
FEW = 50  # below, a temperature is a rough one
BINS = 15
_BOUNDS = (0.05, 20.0)
_FOLDS = 5


@dataclass(frozen=True)
class Calibration:
    """The temperatures of a finished run.

    Attributes:
        clips: number of validation clips, or of those in folds.
        temperatures: by predictor; one that is absent has none.
        folds: number of folds of a cross-validation that the clips are from; 0: they are validation clips.
    """

    clips: Annotated[int, Field(ge=0)] = 0
    temperatures: Mapping[str, Annotated[FiniteFloat, Field(gt=0)]] = field(default_factory=dict)
    folds: Annotated[int, Field(ge=0)] = 0

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> "Calibration | None":
        """Return that of a checkpoint; None: it was made before there were temperatures.

        Raises:
            InputError: it is damaged.
        """
        if "calibration" not in state:
            return None
        try:
            return _SCHEMA.validate_python(state["calibration"])
        except ValidationError as error:
            raise InputError(
                f"the calibration of the checkpoint is damaged: {error.errors()[0]['msg']}"
            ) from None

    def plain(self) -> dict[str, Any]:
        """Return the fields for a checkpoint."""
        return asdict(self)

    def note(self, predictor: str) -> str:
        """Return a sentence about the probabilities of a predictor."""
        clips = counted(self.clips, "clip" if self.folds else "validation clip")
        clips += f" of {self.folds} folds" if self.folds else ""
        if predictor in self.temperatures:
            rough = ", so only roughly" if self.clips < FEW else ""
            return f"calibrated with temperature {self.temperatures[predictor]:.3g} on {clips}{rough}"
        if not self.clips:
            return "not calibrated: the run has no validation clips (--validation 0.2, or --folds 5)"
        if self.clips < FEWEST:
            return f"not calibrated: the run has {clips}, a temperature needs {FEWEST}"
        return f"not calibrated: no temperature describes the {clips} better than the network itself"


_SCHEMA = TypeAdapter(Calibration)


class Bin(NamedTuple):
    """Clips whose probabilities lie in (above, up_to], with their mean probability and accuracy."""

    above: float
    up_to: float
    clips: int
    probability: float
    accuracy: float


def fit(logits: Mapping[str, np.ndarray], labels: np.ndarray) -> Calibration:
    """Fit a temperature for each predictor.

    Args:
        logits: by predictor, of validation clips: (N, views, classes).
        labels: (N,) class numbers.
    """
    found = {name: temperature(one, labels) for name, one in logits.items()}
    return Calibration(len(labels), {name: value for name, value in found.items() if value is not None})


def temperature(logits: np.ndarray, labels: np.ndarray) -> float | None:
    """Return the temperature with the least negative log-likelihood of clips.

    Args:
        logits: (N, views, classes).
        labels: (N,).

    Returns:
        None: there are fewer than `FEWEST` clips; or the likelihood grows as the temperature goes to zero, as
        where all clips are right, which would make every probability 1; or temperatures that are fitted on
        four fifths of the clips describe the others no better than temperature 1 does.
    """
    if len(labels) < FEWEST:
        return None
    best = _fitted(logits, labels)
    if losses(logits, labels, _BOUNDS[0]).sum() <= losses(logits, labels, best).sum():
        return None
    return round(best, 6) if _helps(logits, labels) else None


def _helps(logits: np.ndarray, labels: np.ndarray) -> bool:
    """Return whether temperatures that are fitted without a fifth of the clips describe it better than 1."""
    folds, held_out = np.arange(len(labels)) % _FOLDS, 0.0
    for fold in range(_FOLDS):
        inside, outside = folds != fold, folds == fold
        held_out += losses(logits[outside], labels[outside], _fitted(logits[inside], labels[inside])).sum()
    return bool(held_out < losses(logits, labels, 1.0).sum())


def losses(logits: np.ndarray, labels: np.ndarray, by: float) -> np.ndarray:
    """Return each clip's negative log-likelihood at a temperature, (N,); the arguments are as above."""
    scaled = logits.astype(np.float64) / by
    own = scaled[np.arange(len(labels)), :, labels]
    # A logarithm of mean probabilities, which may be too small for a float.
    log_mean = logsumexp(own - logsumexp(scaled, -1), -1) - math.log(scaled.shape[1])
    return np.asarray(-log_mean)


def _fitted(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature within `_BOUNDS` with the least loss."""
    found = minimize_scalar(
        lambda log: losses(logits, labels, math.exp(log)).mean(),
        bounds=tuple(math.log(end) for end in _BOUNDS),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return math.exp(found.x)


def reliability(scores: np.ndarray, labels: np.ndarray) -> list[Bin]:
    """Return the bins of equal width, without empty ones, that hold the probabilities of the first guesses.

    Args:
        scores: (N, classes) probabilities.
        labels: (N,).
    """
    return bins(scores.max(1), scores.argmax(1) == labels)


def bins(confidences: np.ndarray, right: np.ndarray) -> list[Bin]:
    """Return the bins of clips by the probabilities of their labels, (N,), which are right or not, (N,)."""
    places = np.clip(np.ceil(confidences * BINS).astype(int) - 1, 0, BINS - 1)
    return [
        Bin(
            place / BINS,
            (place + 1) / BINS,
            int((inside := places == place).sum()),
            float(confidences[inside].mean()),
            float(right[inside].mean()),
        )
        for place in np.unique(places).tolist()
    ]


def error(found: list[Bin]) -> float:
    """Return the expected calibration error: the mean distance of accuracy and probability over clips."""
    clips = sum(one.clips for one in found)
    return sum(one.clips * abs(one.accuracy - one.probability) for one in found) / clips
