"""How many clips a model labels if it abstains from labels of a low probability, and how many are right."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ssl_video.runs import predictions
from ssl_video.runs.folder import VALIDATION_PREDICTIONS, RunFolder

if TYPE_CHECKING:
    from ssl_video.inference.model import Model


class Expected(NamedTuple):
    """Validation clips: their number, of which how many would be labeled, of which how many are right."""

    clips: int
    labeled: int
    right: int


def expected(model: "Model", abstain: float, predictor: str) -> Expected | None:
    """Return the fraction of clips that are labeled, see `Model.expected`."""
    found = _known(model, predictor)
    if found is None:
        return None
    confidences, right = found
    sure = confidences >= abstain
    return Expected(len(sure), int(sure.sum()), int(right[sure].sum()))


def _known(model: "Model", predictor: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the probabilities of clips kept out of training, (N,), and whether their labels are right."""
    if found := model.cross_validation():
        rows = found.predictions().query("predictor == @predictor")
        return rows["probability"].to_numpy(), (rows["label"] == rows["true_label"]).to_numpy()
    if model.folder is None or model.step is not None:
        return None
    RunFolder(model.folder).verify(VALIDATION_PREDICTIONS)
    if not (model.folder / VALIDATION_PREDICTIONS).exists():
        return None
    known = predictions.read(model.folder, VALIDATION_PREDICTIONS)
    guesses, confidences = known.first(predictor)
    return confidences, guesses == known.labels
