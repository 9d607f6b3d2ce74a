"""The contents of a partition or a list in numbers, and the overlap of two of them.

Lists can be summarized without the dataset: classes and source videos then come from the clips' names.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ssl_video.data.columns import Category, Strings
from ssl_video.data.importers import list_file
from ssl_video.data.index import Index
from ssl_video.data.names import UCF_NAME, folder, key, stem
from ssl_video.data.partitions import partition_file
from ssl_video.errors import InputError

_BETWEEN = pa.scalar("/", pa.large_string())


@dataclass(frozen=True)
class Clips:
    """Some clips.

    Attributes:
        names: (n,) ids, or names without folders and extension.
        label: (n,) classes.
        groups: (n,) source videos, if known.
    """

    names: Strings
    label: Category
    groups: Category | None

    @property
    def summary(self) -> "ClipSummary":
        """The numbers of these clips: clips, classes, clips and source videos of each class."""
        return summarize(self)


@dataclass(frozen=True)
class Spread:
    """Minimum, mean and maximum of the counts of all classes."""

    least: int
    mean: float
    most: int


@dataclass(frozen=True)
class ClipSummary:
    """Numbers of some clips.

    Attributes:
        clips: number of clips.
        classes: number of classes with a clip.
        missing: classes without a clip.
        per_class: clips of each class, over all classes.
        groups: source videos of each class, over the classes with a clip; None if they are not known.
    """

    clips: int
    classes: int
    missing: tuple[str, ...]
    per_class: Spread
    groups: Spread | None


@dataclass(frozen=True)
class Overlap:
    """Sizes of two sets and of their intersection, by class.

    Attributes:
        first: (classes,) in the first.
        second: (classes,) in the second.
        both: (classes,) in both.
    """

    first: np.ndarray
    second: np.ndarray
    both: np.ndarray


@dataclass(frozen=True)
class ClipComparison:
    """Two sets of clips.

    Attributes:
        classes: names of the classes of either.
        clips: overlap of the clips.
        groups: overlap of their source videos, if both know them.
    """

    classes: tuple[str, ...]
    clips: Overlap
    groups: Overlap | None


def of_rows(index: Index, rows: np.ndarray) -> Clips:
    """Return the clips of some rows of an index."""
    groups = index.groups and Category(index.groups.codes[rows], index.groups.names)
    return Clips(index.ids[rows], Category(index.labels[rows], index.label.names), groups)


def of_file(path: Path) -> dict[str, Clips]:
    """Return a list's or partition file's clips by part: "labeled", perhaps "validation" and "unused".

    Raises:
        InputError: the file cannot be read, or does not give the classes of its clips.
    """
    if partition_file.is_one(path):
        content = partition_file.read(path)
        parts = {part: content.parts.rows(part) for part in partition_file.PARTS}
        return {
            part: _named(
                content.paths[rows].tolist(), Category(content.labels.codes[rows], content.labels.names)
            )
            for part, rows in parts.items()
            if len(rows)
        }
    found = list_file.read(path)
    return {"labeled": _named([entry.path for entry in found], _labels(path, found))}


def _named(paths: list[str], labels: Category) -> Clips:
    """Return clips with the source videos that their paths contain."""
    names = [stem(path) for path in paths]
    matches = [re.fullmatch(UCF_NAME, name) for name in names]
    groups = [match["group"] for match in matches if match]
    known = Category.of(groups) if groups and len(groups) == len(names) else None
    return Clips(Strings(pa.array(names, pa.large_string())), labels, known)


def summarize(clips: Clips) -> ClipSummary:
    """Summarize some clips; classes are all names of their `label`, including those that do not occur."""
    with_label = clips.label.codes >= 0
    labels = clips.label.codes[with_label]
    counts = np.bincount(labels, minlength=len(clips.label.names))
    groups = None
    if clips.groups is not None:
        pairs = np.unique(labels * len(clips.groups.names) + clips.groups.codes[with_label])
        found = np.bincount(pairs // len(clips.groups.names), minlength=len(counts))[counts > 0]
        groups = _spread(found) if len(found) else None
    missing = tuple(clips.label.names[np.flatnonzero(counts == 0)])
    present = int((counts > 0).sum())
    return ClipSummary(len(clips.names), present, missing, _spread(counts), groups)


def compare(first: Clips, second: Clips) -> ClipComparison:
    """Compute the overlap of two sets of clips, by names."""
    classes = {key(name): name for name in [*second.label.names, *first.label.names]}
    order = {name: number for number, name in enumerate(sorted(classes))}

    def codes(label: Category) -> np.ndarray:
        return np.array([order[key(name)] for name in label.names], np.int64)[label.codes]

    labels = codes(first.label), codes(second.label)
    clips = _overlap(first.names.values, second.names.values, *labels, len(order))
    groups = None
    if first.groups is not None and second.groups is not None:
        units = [_units(*pair) for pair in zip(labels, (first.groups, second.groups), strict=True)]
        groups = _overlap(units[0], units[1], *labels, len(order))
    return ClipComparison(tuple(classes[name] for name in order), clips, groups)


def _units(label: np.ndarray, groups: Category) -> pa.Array:
    """Return source videos by class and name: equal names mean different videos in different classes."""
    names = groups.names.values.take(pa.array(groups.codes))
    return pc.binary_join_element_wise(pc.cast(label, pa.large_string()), names, _BETWEEN)


def _overlap(
    first: pa.Array, second: pa.Array, first_label: np.ndarray, second_label: np.ndarray, classes: int
) -> Overlap:
    encoded = pa.concat_arrays([first, second]).dictionary_encode().indices.to_numpy()
    one, one_at = np.unique(encoded[: len(first)], return_index=True)
    two, two_at = np.unique(encoded[len(first) :], return_index=True)
    return Overlap(
        np.bincount(first_label[one_at], minlength=classes),
        np.bincount(second_label[two_at], minlength=classes),
        np.bincount(first_label[one_at][np.isin(one, two)], minlength=classes),
    )


def _labels(path: Path, found: list[list_file.ListEntry]) -> Category:
    """Return classes by name, from the entry, its folder or its file's name, or else by number."""
    places = [folder(entry.path) for entry in found]
    # One folder for all clips, such as videos/, carries no information.
    flat = len(set(places)) == 1
    labels = []
    for entry, place in zip(found, places, strict=True):
        match = re.fullmatch(UCF_NAME, stem(entry.path))
        number = "" if entry.number is None else f"class {entry.number}"
        labels.append(entry.label or (place if not flat else match["label"] if match else "") or number)
    if not all(labels):
        raise InputError(f"{path} does not say of which classes its clips are: give the data set with --data")
    return Category.of(labels)


def _spread(counts: np.ndarray) -> Spread:
    return Spread(int(counts.min()), float(counts.mean()), int(counts.max()))
