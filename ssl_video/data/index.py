"""The clips of a data set: an index, in columns.

One clip has these coordinates, and the words mean the same everywhere:

- id: its file's path relative to the root of the data set, which is the same on every machine.
- row: its place in the `Index`, in [0, N). Ids are sorted, so a row may reveal the class.
- index: its place in a shuffled order of the unlabeled clips, in [0, Task.num_unlabeled); `Batch.indices`. An
  algorithm may remember something of every clip under it.
- slot: its place in the batch of a step. Random numbers are drawn for (step, slot).

A frame of a clip has an index of its own, in [0, number of frames), in display order.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ssl_video.data.columns import Category, Paths, Strings
from ssl_video.errors import InputError, some

PARTS = ("", "train", "test")  # "": not used


@dataclass(frozen=True, eq=False)
class Index:
    """The clips of a data set, one per row, sorted by id.

    Attributes:
        name: the name of the folder or the manifest, see `importers.manifest`.
        root: absolute path of the folder that holds the files.
        ids: (N,) file names relative to the root, with forward slashes: the same on every machine.
        label: (N,) class names; the names are sorted.
        groups: (N,) names of source videos, if known. Clips of one source video look alike, so a group in
            both parts inflates test results.
        splits: (N,) "train", "test" or "" (not used); the names are PARTS.
        columns: (N,) strings as written, by name: the manifest's other columns.
        notes: sentences for the user.
        of_split: the notes about this way to divide the clips.
    """

    name: str
    root: str
    ids: Strings
    label: Category
    groups: Category | None
    splits: Category
    columns: Mapping[str, Category]
    notes: tuple[str, ...]
    of_split: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def paths(self) -> Paths:
        """(N,) absolute file names, joined on access."""
        return Paths(self.root, self.ids)

    @functools.cached_property
    def classes(self) -> tuple[str, ...]:
        """Class names, sorted."""
        return tuple(self.label.names)

    @property
    def labels(self) -> np.ndarray:
        """(N,) int64 indices into `classes`."""
        return self.label.codes

    @functools.cached_property
    def fingerprint(self) -> str:
        """12 hexadecimal digits of a hash of ids, classes and splits, independent of the order of rows."""
        hasher = hashlib.sha256()
        self.ids.hash_into(hasher)
        self.label.names.hash_into(hasher)
        hasher.update(self.labels.astype("<i8").tobytes())
        hasher.update(self.splits.codes.astype("<i8").tobytes())
        return hasher.hexdigest()[:12]

    def rows(self, *parts: str) -> np.ndarray:
        """Return the rows of "train", "test" or both, sorted: (n,) int64."""
        return self.splits.rows(*parts)

    def counts(self, part: str) -> np.ndarray:
        """Return the number of clips of each class in "train" or "test", (classes,)."""
        return np.bincount(self.labels[self.rows(part)], minlength=len(self.classes))

    def without(self, rows: np.ndarray) -> "Index":
        """Return the index with some rows, (n,) integers, out of use; classes and row numbers stay.

        Raises:
            InputError: no training or no test clip is left.
        """
        codes = self.splits.codes.copy()
        codes[rows] = PARTS.index("")
        left = dataclasses.replace(self, splits=Category(codes, self.splits.names))
        notes = []
        for part in ("train", "test"):
            before, after = self.counts(part), left.counts(part)
            if before.any() and not after.any():
                raise InputError(f"{self.name}: no usable {part} clip is left")
            lost = [self.classes[label] for label in np.flatnonzero((before > 0) & (after == 0)).tolist()]
            if lost:
                notes.append(f"no {part} clip is left of {some(lost)}")
        return dataclasses.replace(left, notes=(*self.notes, *notes))


def digest(rows: Iterable[tuple[str, ...]]) -> str:
    """Return 12 hexadecimal digits of SHA-256 over a set of rows, independent of their order."""
    joined = "\n".join(sorted("\0".join(row) for row in rows))
    return hashlib.sha256(joined.encode()).hexdigest()[:12]
