"""The clips of a suggestion: those of a run by part, and labeled ones of other data."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ssl_video.data import dataset
from ssl_video.data.importers import to_label
from ssl_video.data.importers.to_label import Given
from ssl_video.data.index import Index
from ssl_video.data.progress import Progress
from ssl_video.errors import InputError
from ssl_video.names import Place
from ssl_video.runs.folder import PARTITION, RunFolder
from ssl_video.spec import Spec, build

if TYPE_CHECKING:
    from ssl_video.inference.model import Model


@dataclass(frozen=True)
class RunClips:
    """The clips of a run.

    Attributes:
        labeled: those that it was trained on with their labels.
        unlabeled: its other training clips; their labels are not read.
        known: names of the clips for validation and test, which have labels, too.
        sources: name of the source video of each clip, by the clip's name, if known.
    """

    labeled: list[Given] = field(default_factory=list)
    unlabeled: list[Given] = field(default_factory=list)
    known: frozenset[str] = frozenset()
    sources: dict[str, str] = field(default_factory=dict)


def of_run(model: "Model", report: Progress) -> RunClips:
    """Return the clips of a run, from its data and the partition that is stored in its folder.

    Files that were added to the data since then are unlabeled or for testing, as the data says.

    Raises:
        InputError: the data cannot be read.
    """
    spec = model.spec
    unsplit = dataset.unsplit_in_training(spec, model.num_unlabeled)
    index = dataset.read_index(spec, report, skip_broken=True, unsplit=unsplit, training=False)
    labels = _labels(model.folder)
    if labels is None:
        drawn = dataset.draw(spec, index)
        labeled = [_labeled(index, row) for row in drawn.labeled.tolist()]
        held, unlabeled = drawn.validation.tolist(), np.setdiff1d(drawn.unlabeled, drawn.labeled)
    else:
        training = index.rows("train", "unlabeled").tolist()
        part_of = {row: labels.get(index.ids[row], ("", "")) for row in training}
        labeled = [
            _given(index, row)._replace(label=label)
            for row, (part, label) in part_of.items()
            if part == "labeled"
        ]
        held = [row for row, (part, _) in part_of.items() if part == "validation"]
        unlabeled = np.array([row for row, (part, _) in part_of.items() if not part], np.int64)
    known = frozenset(str(index.paths[row]) for row in [*held, *index.rows("test").tolist()])
    return RunClips(labeled, [_given(index, row) for row in unlabeled.tolist()], known, _sources(index))


def labeled_in(
    sources: Sequence[Place], root: Place | None, own: Spec, report: Progress
) -> tuple[list[Given], dict[str, str]]:
    """Return the clips of data sets that have a label, each once, and their source videos by name.

    Args:
        sources: folders of class folders, manifests and index files.
        root: the folder that the paths of manifests start from.
        own: the specification of the run; its own data have the labels of its label files.
        report: called with the current task, the number of items done and the total.

    Raises:
        InputError: a source cannot be read, or there is no clip with a label.
    """
    found, groups = dict[str, Given](), dict[str, str]()
    for source in sources:
        spec = build({"data": os.fspath(source), "root": root and os.fspath(root)})
        if dataset.source(spec).resolve() == dataset.source(own).resolve():
            spec = spec.model_copy(update={"labels": own.labels, "unlabeled": own.unlabeled})
        index = dataset.read_index(spec, report, skip_broken=True, unsplit="train", training=False)
        rows = index.used[index.labels[index.used] >= 0]
        found |= {clip.name: clip for clip in (_labeled(index, row) for row in rows.tolist())}
        groups |= _sources(index)
    if not found:
        raise InputError(f"{', '.join(map(str, sources))}: no clip has a label that could be checked")
    return list(found.values()), groups


def _labels(folder: Path | None) -> dict[str, tuple[str, str]] | None:
    """Return part and label by the ids of clips in a run's partition file; None: there is none."""
    if folder is None or not os.path.exists(folder / PARTITION):
        return None
    stored = RunFolder(folder).partition
    pairs = zip(stored["part"].tolist(), stored["label"].tolist(), strict=True)
    return dict(zip(stored["id"].tolist(), pairs, strict=True))


def _given(index: Index, row: int) -> Given:
    return to_label.video(str(index.paths[row]))


def _labeled(index: Index, row: int) -> Given:
    return _given(index, row)._replace(label=index.classes[index.labels[row]])


def _sources(index: Index) -> dict[str, str]:
    """Return the names of source videos, if they are known, by the names of clips."""
    if index.groups is None:
        return {}
    names, codes = index.groups.names, index.groups.codes
    return {str(index.paths[row]): str(names[codes[row]]) for row in index.used.tolist() if codes[row] >= 0}
