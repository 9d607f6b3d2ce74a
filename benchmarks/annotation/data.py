"""Features with labels for the measurements, and means with intervals."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_video.benchmarks.tables.statistics import interval
from ssl_video.errors import InputError, counted
from ssl_video.runs import npz


@dataclass(frozen=True)
class LabeledClips:
    """Labeled clips.

    Attributes:
        features: (N, C).
        labels: (N,) class numbers.
        sources: (N,) numbers of the source videos.
        classes: names of the classes.
    """

    features: np.ndarray
    labels: np.ndarray
    sources: np.ndarray
    classes: tuple[str, ...]

    def of(self, rows: np.ndarray) -> "LabeledClips":
        """Return some of the clips."""
        return LabeledClips(self.features[rows], self.labels[rows], self.sources[rows], self.classes)


def read(path: Path, source: str = "", classes: tuple[str, ...] = ()) -> LabeledClips:
    """Read a file of `ssl-video features`; clips without a label are left out.

    Args:
        path: the .npz file.
        source: a regular expression; clips whose file names match it with the same text are of one source
            video. Empty: each clip is one of its own.
        classes: names of the classes; empty: those of the labels.

    Raises:
        InputError: it cannot be read, or has clips of fewer than two classes or of others than `classes`.
    """
    content = npz.load(path, "write it with ssl-video features")
    if not {"features", "labels", "paths"} <= content.keys():
        raise InputError(f"{path} is not a file of ssl-video features")
    rows = np.flatnonzero(content["labels"] != "")
    names = content["labels"][rows]
    classes = classes or tuple(np.unique(names).tolist())
    if len(classes) < 2 or not set(names.tolist()) <= set(classes):
        raise InputError(f"{path} has clips of {counted(len(set(names.tolist())), 'class')}: {set(names)}")
    found = [_source(str(content["paths"][row]), source) for row in rows]
    sources = np.unique(found, return_inverse=True)[1]
    labels = np.array([classes.index(name) for name in names.tolist()])
    return LabeledClips(content["features"][rows], labels, sources, classes)


def _source(path: str, pattern: str) -> str:
    match = re.search(pattern, Path(path).name) if pattern else None
    return f"{Path(path).parent}/{match[0]}" if match else path


def written(values: np.ndarray, form: str) -> str:
    """Format the mean of values and the half width of its 95 % t-interval, which equal values do not have.

    Args:
        values: (n,).
        form: of a number, for example "+.1f"; the half width has no sign.
    """
    found = interval(values)
    spread = f" ± {found.half_width:{form.lstrip('+')}}" if found.known else ""
    return f"{found.mean:{form}}{spread}"
