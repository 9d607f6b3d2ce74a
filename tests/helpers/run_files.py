"""What finished runs keep beside their records: metrics, predictions, pseudo-labels, dynamics."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ssl_video.runs import predictions
from ssl_video.runs.predictions import Predictions
from ssl_video.runs.pseudo_labels import PseudoLabels
from ssl_video.runs.result import Result

Rows = Sequence[Mapping[str, object]]


def write_lines(folder: Path, name: str, rows: Rows) -> None:
    """A file of JSON lines, with the specification that a run's folder is known by."""
    (folder / "spec.yaml").write_text("steps: 4\n")
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def predictions_of(
    labels: Sequence[int], guesses: Mapping[str, Sequence[int]], classes: Sequence[str], sure: float = 0.9
) -> Predictions:
    """Predictions with one guess for each clip, whose names are c0, c1, ..."""
    return Predictions(
        np.array([f"c{n}" for n in range(len(labels))]),
        np.array(classes),
        np.array(labels, np.int32),
        {name: np.array(found, np.int32)[:, None] for name, found in guesses.items()},
        {name: np.full((len(labels), 1), sure, np.float32) for name in guesses},
    )


def write_predictions(folder: Path, made: Predictions) -> None:
    """predictions.npz."""
    predictions.write(folder, made)
    _counted(folder, classes=len(made.classes), test=len(made.clips))


def write_pseudo_labels(folder: Path, made: PseudoLabels) -> None:
    """pseudo-labels.npz."""
    names = ("clips", "classes", "truths", "steps", "indices")
    arrays = {name: getattr(made, name) for name in names}
    arrays |= {f"labels/{network}": labels for network, labels in made.labels.items()}
    arrays |= {f"weights/{network}": weights for network, weights in made.weights.items()}
    np.savez(folder / "pseudo-labels.npz", **arrays)
    _counted(folder, classes=len(made.classes), unlabeled=len(made.clips))


def _counted(folder: Path, **numbers: int) -> None:
    """Let the result beside a file have its numbers of clips and classes."""
    path = folder / "result.json"
    if path.exists():
        path.write_text(Result.read(path.read_bytes()).model_copy(update=numbers).write())
