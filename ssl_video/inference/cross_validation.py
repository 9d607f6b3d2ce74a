"""The accuracy to expect of a run that is trained on all labels, from runs that left a fold of them out."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import softmax

from ssl_video.data.index import Index
from ssl_video.errors import InputError
from ssl_video.inference import calibration
from ssl_video.inference.calibration import Calibration
from ssl_video.inference.evaluation import Evaluation
from ssl_video.runs import fold_logits
from ssl_video.runs.fold_logits import FoldLogits
from ssl_video.runs.folder import FOLD_LOGITS, RunFolder, finished_folders
from ssl_video.runs.identity import same_settings
from ssl_video.spec import Spec, plain


def find(results: Path, spec: Spec, index: Index) -> FoldLogits | None:
    """Return the outputs of the finished runs of all folds with the settings of a run on all labels.

    Args:
        results: the results folder that the runs are in.
        spec: the resolved specification of the run on all labels (`folds` is 1).
        index: its clips.

    Returns:
        None: a run of a fold is missing. Of several cross-validations the one with the most folds.
    """
    found, own = dict[int, dict[int, RunFolder]](), _without_fold(plain(spec))
    for folder in finished_folders(results):
        result = folder.finished()
        if result is None or result.seed != spec.seed or result.spec.get("folds", 0) < 2:
            continue
        folds, draw = result.spec["folds"], result.draw
        same = same_settings(_without_fold(result.spec), own)
        clips = "d" + replace(index, folds=folds).fingerprint
        if same and result.dataset_fingerprint == clips and os.path.exists(folder.path / FOLD_LOGITS):
            found.setdefault(folds, {})[draw] = folder
    for folds, of_draw in sorted(found.items(), reverse=True):
        if set(range(folds)) <= of_draw.keys():
            return _read([of_draw[draw] for draw in range(folds)])
    return None


def fit(found: FoldLogits) -> Calibration:
    """Return the temperatures that describe the clips of all folds best."""
    fitted = calibration.fit(found.logits, found.labels)
    return replace(fitted, folds=len(np.unique(found.folds)))


def evaluation(found: FoldLogits) -> Evaluation:
    """Return accuracies and tables over the clips of all folds.

    Probabilities of a fold have the temperature that was fitted on the other folds.
    """
    scores = {name: softmax(logits.astype(np.float64), -1).mean(1) for name, logits in found.logits.items()}
    moved = {name: _without_own_fold(found, name) for name in fit(found).temperatures}
    return Evaluation(found.clips.tolist(), found.classes.tolist(), found.labels, scores, moved)


def by_fold(found: FoldLogits, predictor: str) -> list[float]:
    """Return the top-1 accuracy of each fold, in [0, 1]."""
    scores = softmax(found.logits[predictor].astype(np.float64), -1).mean(1)
    right = scores.argmax(1) == found.labels
    return [float(right[found.folds == fold].mean()) for fold in np.unique(found.folds)]


def of_run(folder: Path | None) -> FoldLogits | None:
    """Return the outputs of a cross-validation in the folder of a run on all labels; None: there is none.

    Raises:
        InputError: they are damaged.
    """
    if folder is None or not os.path.exists(folder / FOLD_LOGITS):
        return None
    found = fold_logits.read(folder)
    return found if len(np.unique(found.folds)) > 1 else None


def _without_fold(values: dict[str, Any]) -> dict[str, Any]:
    """Return a specification's values without those in which the runs of a cross-validation differ."""
    return {key: value for key, value in values.items() if key not in ("folds", "draw")}


def _read(folders: list[RunFolder]) -> FoldLogits | None:
    """Return the outputs of all folds; None: those of one cannot be read."""
    try:
        return fold_logits.joined([fold_logits.read(folder.path) for folder in folders])
    except InputError:
        return None


def _without_own_fold(found: FoldLogits, name: str) -> np.ndarray:
    """Return a predictor's probabilities (N, classes) at temperatures fitted without the clip's fold."""
    logits = found.logits[name].astype(np.float64)
    scores = np.empty((len(logits), logits.shape[-1]))
    for fold in np.unique(found.folds):
        inside = found.folds == fold
        by = calibration.temperature(found.logits[name][~inside], found.labels[~inside]) or 1.0
        scores[inside] = softmax(logits[inside] / by, -1).mean(1)
    return scores
