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
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ssl_video.data.columns import Category, Paths, Strings
from ssl_video.data.segments import PART
from ssl_video.errors import InputError, counted, some

PARTS = ("", "train", "test", "unlabeled")  # "": not used
# The ways to an accuracy on data without a test part.
INSTEAD_OF_TEST = "--folds 5 tests every labeled clip once, --validation 0.2 keeps some for validation"


@dataclass(frozen=True, eq=False)
class Index:
    """The clips of a data set, one per row, sorted by id.

    Attributes:
        name: the name of the folder or the manifest, see `importers.manifest`.
        root: absolute path of the folder that holds the files.
        ids: (N,) file names relative to the root, with forward slashes: the same on every machine.
        label: (N,) class names, none for the clips of the part "unlabeled"; the names are sorted.
        groups: (N,) names of source videos, if known. Clips of one source video look alike, so a group in
            both parts inflates test results.
        splits: (N,) "train", "test", "unlabeled" (for training, without a label) or "" (not used); the names
            are PARTS.
        columns: (N,) strings as written, by name: the manifest's other columns.
        notes: sentences for the user.
        of_split: the notes about this way to divide the clips.
        elsewhere: folders of clips that are not below the root, by the first part of their ids.
        folds: number of folds, if the test part is one of them; 0: it is not.
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
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    folds: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def paths(self) -> Paths:
        """(N,) absolute file names, joined on access."""
        return Paths(self.root, self.ids, self.elsewhere)

    @functools.cached_property
    def classes(self) -> tuple[str, ...]:
        """Class names, sorted."""
        return tuple(self.label.names)

    @property
    def labels(self) -> np.ndarray:
        """(N,) int64 indices into `classes`; -1: no label."""
        return self.label.codes

    @property
    def sizes(self) -> str:
        """The numbers of clips in the parts and of classes, as a phrase for the user."""
        train, test, unlabeled = (len(self.rows(part)) for part in PARTS[1:])
        classes = counted(len(self.classes), "class")
        if self.folds:  # each labeled clip is tested in one of them
            return f"{train + test:,} labeled and {counted(unlabeled, 'unlabeled clip')}, {classes}"
        training = f"{train:,} labeled, {unlabeled:,} unlabeled" if unlabeled else f"{train:,} training"
        return f"{training} and {counted(test, 'test clip') if test else 'no test clips'}, {classes}"

    @functools.cached_property
    def fingerprint(self) -> str:
        """12 hexadecimal digits of a hash of ids, classes and splits, independent of the order of rows.

        All folds of a data set have the same.
        """
        hasher = hashlib.sha256()
        self.ids.hash_into(hasher)
        self.label.names.hash_into(hasher)
        hasher.update(self.labels.astype("<i8").tobytes())
        splits = self.splits.codes
        if self.folds:
            hasher.update(f"{self.folds} folds".encode())
            splits = np.where(splits == PARTS.index("test"), PARTS.index("train"), splits)
        hasher.update(splits.astype("<i8").tobytes())
        return hasher.hexdigest()[:12]

    def rows(self, *parts: str) -> np.ndarray:
        """Return the rows of some of PARTS, sorted: (n,) int64."""
        return self.splits.rows(*parts)

    @property
    def used(self) -> np.ndarray:
        """The rows of all clips that are in use, sorted: (n,) int64."""
        return self.rows(*PARTS[1:])

    def counts(self, part: str) -> np.ndarray:
        """Return the number of clips of each class in "train" or "test", (classes,)."""
        found = self.labels[self.rows(part)]
        return np.bincount(found[found >= 0], minlength=len(self.classes))

    def without(self, rows: np.ndarray) -> "Index":
        """Return the index with some rows, (n,) integers, out of use; classes and row numbers stay.

        Raises:
            InputError: no training clip is left, or of a test part no clip.
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


def in_segments(ids: Strings, label: Category) -> bool:
    """Return True if labeled clips are parts of files.

    A file may then have clips of several classes, and its source video is one across classes.
    """
    parts = pc.match_substring(ids.values, "#")
    if not pc.any(parts).as_py():
        return False
    labeled = ids.values.filter(pc.and_(parts, pa.array(label.codes >= 0)))
    return bool(pc.any(pc.match_substring_regex(labeled, rf"{PART}$")).as_py())


def digest(rows: Iterable[tuple[str, ...]]) -> str:
    """Return 12 hexadecimal digits of SHA-256 over a set of rows, independent of their order."""
    joined = "\n".join(sorted("\0".join(row) for row in rows))
    return hashlib.sha256(joined.encode()).hexdigest()[:12]
