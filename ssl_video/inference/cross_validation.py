"""The accuracy to expect of a run that is trained on all labels, from runs that left a fold of them out."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import Timeout
from scipy.special import softmax

from ssl_video.errors import InputError
from ssl_video.inference import calibration
from ssl_video.inference.calibration import Calibration
from ssl_video.inference.evaluation import Evaluation
from ssl_video.runs import checkpoint, fold_logits, weight_file
from ssl_video.runs.fold_logits import FoldLogits
from ssl_video.runs.folder import FOLD_LOGITS, RunFolder, stamp
from ssl_video.runs.lock import lock_folder
from ssl_video.runs.result import Accuracies, Result

_NONE = {"expected_accuracies": {}, "expected_by_fold": [], "expected_clips": 0, "temperatures": {}}


def attach(run: RunFolder, folds: Sequence[RunFolder]) -> None:
    """Give a run on all labels the accuracy and the temperatures that the runs of its folds found.

    Its networks do not change. An estimate that it has from other folds is replaced.

    Args:
        run: the finished run on all labels.
        folds: the finished runs of all folds, with the same settings.

    Raises:
        InputError: the outputs of a fold, or the run's weights, are damaged or cannot be written.
    """
    found = fold_logits.joined([fold_logits.read(folder.path) for folder in folds])
    fitted, result = fit(found), run.result
    scores = evaluation(found, fitted.temperatures)
    estimate: dict[str, Any] = {
        "expected_accuracies": {name: Accuracies(**score) for name, score in scores.items()},
        "expected_by_fold": by_fold(found, result.predictor),
        "expected_clips": len(found.labels),
        "temperatures": dict(fitted.temperatures),
    }
    if _is_whole(run.path, result) and all(getattr(result, key) == value for key, value in estimate.items()):
        return
    file = run.path / checkpoint.FINAL
    state = checkpoint.load(file) | {"calibration": fitted.plain()}
    others = {name: value for name, value in result.files.items() if name != FOLD_LOGITS}
    try:
        with lock_folder(run.path):
            # The result is first without an estimate: if the process is killed, the next one writes them all.
            run.write_result(result.model_copy(update={**_NONE, "files": others}))
            weight_file.save(state, file)
            fold_logits.write(run.path, found, result.run)
            if others:
                estimate["files"] = others | {FOLD_LOGITS: stamp(run.path / FOLD_LOGITS)}
            run.write_result(result.model_copy(update=estimate))
    except Timeout:
        raise InputError(f"another process works on {run.path}") from None
    except OSError as error:
        raise InputError(f"cannot write to {run.path}: {error.strerror or error}") from None


def _is_whole(folder: Path, result: Result) -> bool:
    """Return whether the files of a run's estimate are as its result says."""
    try:
        found = stamp(folder / FOLD_LOGITS)
    except OSError:
        return False
    listed = result.files.get(FOLD_LOGITS) if result.files else found
    return listed == found and (folder / checkpoint.FINAL).exists()


def fit(found: FoldLogits) -> Calibration:
    """Return the temperatures that describe the clips of all folds best."""
    fitted = calibration.fit(found.logits, found.labels)
    return replace(fitted, folds=len(np.unique(found.folds)))


def evaluation(found: FoldLogits, calibrated: Collection[str]) -> Evaluation:
    """Return accuracies and tables over the clips of all folds.

    Args:
        found: the outputs of the networks of all folds.
        calibrated: the predictors that have temperatures. Probabilities of a fold have the temperature that
            was fitted on the other folds.
    """
    scores = {name: softmax(logits.astype(np.float64), -1).mean(1) for name, logits in found.logits.items()}
    moved = {name: _without_own_fold(found, name) for name in scores if name in calibrated}
    return Evaluation(found.clips.tolist(), found.classes.tolist(), found.labels, scores, moved)


def by_fold(found: FoldLogits, predictor: str) -> list[float]:
    """Return the top-1 accuracy of each fold, in [0, 1]."""
    scores = softmax(found.logits[predictor].astype(np.float64), -1).mean(1)
    right = scores.argmax(1) == found.labels
    return [float(right[found.folds == fold].mean()) for fold in np.unique(found.folds)]


def _without_own_fold(found: FoldLogits, name: str) -> np.ndarray:
    """Return a predictor's probabilities (N, classes) at temperatures fitted without the clip's fold."""
    logits = found.logits[name].astype(np.float64)
    scores = np.empty((len(logits), logits.shape[-1]))
    for fold in np.unique(found.folds):
        inside = found.folds == fold
        by = calibration.temperature(found.logits[name][~inside], found.labels[~inside]) or 1.0
        scores[inside] = softmax(logits[inside] / by, -1).mean(1)
    return scores
