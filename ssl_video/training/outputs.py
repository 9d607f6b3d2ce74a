"""The files of a run's folder that are known at its start, and the arrays of a trained run."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ssl_video.data.partitions import partition_file
from ssl_video.files import replace_text
from ssl_video.runs import fold_logits, predictions, pseudo_labels
from ssl_video.runs.fold_logits import FoldLogits
from ssl_video.runs.folder import (
    ARRAYS,
    LEFT_OUT,
    METRICS,
    PARTITION,
    VALIDATION,
    VALIDATION_PREDICTIONS,
    RunFolder,
    stamp,
)
from ssl_video.training.state import Tested, Training


class Written(NamedTuple):
    """The fields of the result about the files beside it, see `Result`."""

    pseudo_labels_used: dict[str, float]
    incomplete: Sequence[str]
    files: dict[str, str]


def begin(run: Training) -> None:
    """Create the run's folder with the files known before the start."""
    run.folder.mkdir(parents=True, exist_ok=True)
    RunFolder(run.folder).write_spec(run.spec)
    partition_file.write(run.partition, run.data.index, run.folder / PARTITION)
    if run.data.broken:
        lines = [f"{clip}\t{reason}\n" for clip, reason in run.data.broken.items()]
        replace_text(run.folder / LEFT_OUT, "".join(lines))


def write(run: Training, tested: Tested, validation: Tested, warn: Callable[[str], None]) -> Written:
    """Write the arrays of a trained run, and return the fields of its result about its files.

    Args:
        run: the run.
        tested, validation: its evaluation on the test and the validation clips.
        warn: called with a sentence for each record that is not whole.
    """
    folder = run.folder
    # Arrays of another run, which somebody put there.
    for name in ARRAYS:
        (folder / name).unlink(missing_ok=True)
    begin(run)  # once more, in case that somebody removed or changed its files
    if tested.predictions:
        predictions.write(folder, tested.predictions, run=run.name)
    if validation.predictions:
        predictions.write(folder, validation.predictions, VALIDATION_PREDICTIONS, run.name)
    if folds := _of_fold(run, tested):
        fold_logits.write(folder, folds, run.name)
    incomplete, used = run.records.damaged(), dict[str, float]()
    # A part of the pseudo-labels would give another fraction.
    if pseudo_labels.UNFINISHED not in incomplete:
        used = _write_pseudo_labels(run)
    for name in incomplete:
        warn(
            f"{folder / name} lacks lines that the run wrote: the result says so, and holds no number made "
            "from them; to have the record whole, remove the run's folder and run it again"
        )
    names = [name for name in (*ARRAYS, PARTITION, METRICS, VALIDATION) if (folder / name).exists()]
    return Written(used, incomplete, {name: stamp(folder / name) for name in names})


def _of_fold(run: Training, tested: Tested) -> FoldLogits | None:
    """Return the outputs of a run of a cross-validation on the clips of its fold; None: it is none."""
    predicted = tested.predictions
    if run.spec.folds < 2 or predicted is None:
        return None
    fold = np.full(len(predicted.clips), run.spec.label_draw, np.int32)
    return FoldLogits(predicted.clips, predicted.classes, predicted.labels, fold, tested.logits)


def _write_pseudo_labels(run: Training) -> dict[str, float]:
    """Write the run's pseudo-labels; return the used fraction of each network's."""
    index, rows = run.data.index, run.unlabeled
    clips = [index.ids[row] for row in rows.tolist()]
    return pseudo_labels.write(run.folder, clips, index.classes, run.labels[rows], run.name)
