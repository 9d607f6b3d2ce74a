"""The data set that a trained model is tested on."""

import os
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ssl_video.data import dataset
from ssl_video.data.dataset import Data
from ssl_video.data.index import Index
from ssl_video.data.progress import Progress
from ssl_video.errors import InputError, counted
from ssl_video.names import Place
from ssl_video.spec import Spec

if TYPE_CHECKING:
    from ssl_video.inference.model import Model


class LabeledPlace(NamedTuple):
    """A data set as a user gives it, see `Model.open_data`."""

    data: Place | None
    root: Place | None
    split: str | None


def open_data(
    model: "Model", given: LabeledPlace, progress: Progress, *, skip_broken: bool, cache_gib: float
) -> Data:
    """Open a data set, see `Model.open_data`; the classes are checked before any video is decoded."""
    spec, own = _spec(model.spec, given)
    # Of other data than the run's own, all clips are for testing, unless it has a split.
    unsplit = dataset.unsplit_in_training(model.spec, model.num_unlabeled) if own else "test"
    index = dataset.read_index(spec, progress, skip_broken=skip_broken, unsplit=unsplit, training=False)
    if own and not len(index.rows("test")):
        remedy = "leave --data out to see what its folds found, or " if model.folds_found else ""
        raise InputError(
            f"{index.name}, which the run was trained on, has no test clips: {remedy}give other data by "
            "--data"
        )
    check_classes(index, model.classes)
    return dataset.load(spec, index, skip_broken=skip_broken, cache_gib=cache_gib, progress=progress)


def _spec(run: Spec, given: LabeledPlace) -> tuple[Spec, bool]:
    """Return the specification of the data set, and whether it is the run's own."""
    values = {
        "data": os.fspath(given.data or run.data),
        # The run's own root belongs to the run's own data.
        "root": os.fspath(given.root) if given.root else None if given.data else run.root,
        "split": given.split or run.split,
    }
    spec = run.model_copy(update=values)
    if dataset.source(spec).resolve() != dataset.source(run).resolve():
        return spec.model_copy(update={"folds": 0, "labels": (), "unlabeled": ()}), False
    # A test needs no unlabeled clip, and their folder may be elsewhere by now; labels may be of them.
    return (spec if run.labels else spec.model_copy(update={"unlabeled": ()})), True


def check_classes(index: Index, classes: list[str]) -> None:
    """Check that a model can be tested on a data set's test clips.

    Raises:
        InputError: the data set has classes that the model does not know, or no test clip with a label.
    """
    check_names(index, classes)
    if not (index.labels >= 0).any():
        raise InputError(
            f"{index.name} has no clip with a label to compare the model's with; predict labels its clips"
        )
    if not len(index.rows("test")):
        raise InputError(f"{index.name} has no test clip")


def check_names(index: Index, classes: list[str]) -> None:
    """Check that a model knows a data set's classes.

    Raises:
        InputError: it does not know one.
    """
    strange = [name for name in index.classes if name not in classes]
    if strange:
        raise InputError(
            f"the checkpoint has {counted(len(classes), 'class')}, {index.name} has "
            f"{len(index.classes)}; {counted(len(strange), 'class', 'are')} not in the checkpoint: "
            f"{', '.join(strange[:5])}{', …' if len(strange) > 5 else ''}"
        )


def labeled_rows(index: Index, rows: np.ndarray | None, classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return rows, None being those of the test clips, and their class numbers (N,) as a model counts.

    Raises:
        InputError: see `check_classes`; or a clip has no label.
    """
    if rows is None:
        check_classes(index, classes)
        rows = index.rows("test")
    else:
        check_names(index, classes)
    if unlabeled := int((index.labels[rows] < 0).sum()):
        raise InputError(
            f"{counted(unlabeled, 'clip', 'have')} no label, so their labels cannot be tested; predict "
            "labels them"
        )
    numbers = np.array([classes.index(name) for name in index.classes])
    return rows, numbers[index.labels[rows]]
