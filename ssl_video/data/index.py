"""Which clips exist: a manifest or a folder of videos, read into arrays.

Nothing is decoded here; a file only has to exist and to hold at least one byte.
"""

import dataclasses
import difflib
import functools
import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_video.data.sources import Draft, from_folder, from_manifest, some
from ssl_video.errors import InputError

HELD_OUT = 0.25  # part of each class that becomes the test part where no split is given

# UCF-101 and its relatives: v_<class>_g<source video>_c<clip>
UCF_NAME = re.compile(r"(?P<group>v_(?P<label>.+)_g\d+)_c\d+")


@dataclass(frozen=True, eq=False)
class Index:
    """The clips of a data set, one row each.

    Attributes:
        name: name of the folder that holds the manifest, or of the folder itself.
        paths: (N,) absolute file names.
        ids: (N,) file names relative to the root, with forward slashes: the same on every machine.
        labels: (N,) int64 positions in `classes`.
        classes: class names, sorted.
        groups: (N,) names of source videos, where known. Clips of one source video look alike, so that a
            group in both parts makes test results too good.
        splits: (N,) "train", "test" or "" (not used).
        columns: (N,) strings as written, by name: the manifest's other columns.
        notes: sentences that the user should read.
    """

    name: str
    paths: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    groups: np.ndarray | None
    splits: np.ndarray
    columns: Mapping[str, np.ndarray]
    notes: tuple[str, ...]

    @functools.cached_property
    def fingerprint(self) -> str:
        """12 hexadecimal digits that stand for ids, class names and splits, whatever the order of rows."""
        classes = np.array(self.classes)[self.labels]
        return digest(zip(self.ids.tolist(), classes.tolist(), self.splits.tolist(), strict=True))

    def _classes_in(self, part: str, keep: np.ndarray) -> set[str]:
        """The classes with a clip in "train" or "test" among the rows to keep."""
        return {self.classes[label] for label in self.labels[keep & (self.splits == part)].tolist()}

    def subset(self, keep: np.ndarray) -> "Index":
        """The rows where `keep`, (N,) bool, is true, with all classes.

        Raises:
            InputError: no training or no test clip is left.
        """
        for part in ("train", "test"):
            if not (self.splits[keep] == part).any():
                raise InputError(f"{self.name}: no usable {part} clip is left")
        notes = [
            f"no {part} clip is left of {some(lost)}"
            for part in ("train", "test")
            if (lost := sorted(self._classes_in(part, self.splits != "") - self._classes_in(part, keep)))
        ]
        return dataclasses.replace(
            self,
            notes=(*self.notes, *notes),
            paths=self.paths[keep],
            ids=self.ids[keep],
            labels=self.labels[keep],
            groups=None if self.groups is None else self.groups[keep],
            splits=self.splits[keep],
            columns={name: column[keep] for name, column in self.columns.items()},
        )


def read(path: Path | str, *, root: Path | None = None, split: str = "split") -> Index:
    """The clips of a manifest, of a folder of class folders, or of such folders in train/ and test/.

    A manifest is a CSV file with a header: `path` and `label`, optionally `group` (the source video), a
    split column (train, test; val stands in for test where there is no test, otherwise it and empty
    fields are not used) and any others. Its paths are relative to `root`; without one to the
    manifest's folder or to that folder's parent, whichever holds more of the files. Paths that lead out
    of that folder are refused, since a manifest may come from anywhere.

    Without a split, a quarter of each class is held out as test, by whole source videos where they are
    known, chosen by a hash of the names and therefore the same everywhere.

    Args:
        path: a CSV file or a folder.
        root: folder that the manifest's paths are relative to; "/" allows every absolute path.
        split: name of the manifest's split column.

    Raises:
        InputError: every problem found. A class without a training clip is one, without a test clip not.
    """
    path = _absolute(path)
    root = None if root is None else _absolute(root)
    try:
        problems = [_no_such(place) for place in (path, root) if place is not None and not place.exists()]
        if path.is_dir() and root is not None:
            problems.append(f"{path} is a folder of videos: root is only for a manifest, leave it out")
        if path.is_dir() and split != "split":
            problems.append(f"{path} is a folder and has no split column {split!r}: give a manifest")
        if problems:
            raise InputError(*problems)
        draft = from_folder(path) if path.is_dir() else from_manifest(path, root, split)
    except PermissionError as error:
        raise InputError(f"{error.filename}: permission denied") from error
    return _finish(draft)


def digest(rows: Iterable[tuple[str, ...]]) -> str:
    """12 hexadecimal digits of SHA-256 over a set of rows, independent of their order."""
    text = "\n".join(sorted("\0".join(row) for row in rows))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _absolute(path: Path | str) -> Path:
    """With .. removed, so that a path can be told to lie below another one by its text."""
    return Path(os.path.abspath(os.path.expanduser(path)))


def _no_such(path: Path) -> str:
    """A sentence for a path that does not exist, with the nearest name that does."""
    parent = path
    while not parent.is_dir():
        child, parent = parent.name, parent.parent
    near = difflib.get_close_matches(child, os.listdir(parent), n=1, cutoff=0.5)
    hint = f"did you mean {parent / near[0]}?" if near else f"{parent} is the nearest folder that exists"
    return f"{path} does not exist; {hint}"


def _finish(draft: Draft) -> Index:
    """Checks and conclusions that all sources share.

    Raises:
        InputError: the problems found here and before.
    """
    classes = tuple(sorted(set(draft.labels)))
    position = {name: number for number, name in enumerate(classes)}
    labels = np.array([position[name] for name in draft.labels], dtype=np.int64)
    empty = [name for name, size in zip(draft.ids, draft.sizes, strict=True) if size == 0]
    if empty:
        draft.problems.append(
            f"{len(empty)} files are empty (0 bytes): {some(empty)}; restore or remove them"
        )
    if len(classes) == 1:
        draft.problems.append(
            f"all {len(labels)} clips are of one class, {classes[0]!r}; expected two or more"
        )
    if draft.groups is None:
        draft.groups = _groups_by_name(draft)
    splits = np.array(_given_splits(draft) if draft.splits else _hold_out(draft))
    _check_parts(draft, labels, classes, splits)
    if draft.problems:
        raise InputError(*(f"{draft.source}: {problem}" for problem in draft.problems))
    return Index(
        name=draft.name,
        paths=np.array([os.path.join(draft.base, name) for name in draft.ids]),
        ids=np.array(draft.ids),
        labels=labels,
        classes=classes,
        groups=None if draft.groups is None else np.array(draft.groups),
        splits=splits,
        columns={name: np.array(values) for name, values in draft.columns.items()},
        notes=tuple(draft.notes),
    )


def _groups_by_name(draft: Draft) -> list[str] | None:
    """Source videos from names like v_Archery_g01_c02.avi, where all clips have such names."""
    found = [UCF_NAME.fullmatch(os.path.splitext(os.path.basename(name))[0]) for name in draft.ids]
    groups = [match["group"] for match in found if match]
    if len(groups) < len(found):
        return None
    draft.notes.append("source videos (groups) are taken from the file names: v_<class>_g<source>_c<clip>")
    return groups


def _given_splits(draft: Draft) -> list[str]:
    """The given parts as train, test and "" (not used), with notes on what is odd about them."""
    given = draft.splits or []
    if "test" not in given and "val" in given:
        draft.notes.append("there is no test part: val is used as test")
        given = ["test" if value == "val" else value for value in given]
    splits = [value if value in ("train", "test") else "" for value in given]
    unused = splits.count("")
    if unused:
        draft.notes.append(f"{unused} clips are neither train nor test and are not used")
    if draft.groups is not None:
        members: dict[str, set[tuple[str, str]]] = {"train": set(), "test": set(), "": set()}
        for split, label, group in zip(splits, draft.labels, draft.groups, strict=True):
            members[split].add((label, group))
        shared = members["train"] & members["test"]
        if shared:
            draft.notes.append(
                f"{len(shared)} source videos have clips in train and in test, which makes test results too "
                f"good: {some(sorted(group for _, group in shared))}"
            )
    return splits


def _hold_out(draft: Draft) -> list[str]:
    """A test part of each class by whole source videos (single clips where unknown), in order of a hash."""
    units: dict[str, dict[str, list[int]]] = {}
    for row, (label, unit) in enumerate(zip(draft.labels, draft.groups or draft.ids, strict=True)):
        units.setdefault(label, {}).setdefault(unit, []).append(row)
    splits = ["train"] * len(draft.ids)
    for label, members in units.items():
        wanted = max(1, int(HELD_OUT * sum(map(len, members.values())) + 0.5))
        held = 0
        # The last one always stays in train.
        for unit in sorted(members, key=lambda unit: digest([(label, unit)]))[:-1]:
            if held >= wanted:
                break
            for row in members[unit]:
                splits[row] = "test"
            held += len(members[unit])
    stuck = sorted(label for label, members in units.items() if len(members) < 2)
    kind = "source video" if draft.groups else "clip"
    if stuck:
        draft.problems.append(
            f"no split is given and no test part can be held out of {len(stuck)} classes with one {kind}: "
            f"{some(stuck)}; give a manifest with a split column"
        )
    draft.notes.append(
        f"no split is given: held out {HELD_OUT:.0%} of each class as test, by whole {kind}s, chosen by a "
        "hash of their names"
    )
    return splits


def _check_parts(draft: Draft, labels: np.ndarray, classes: tuple[str, ...], splits: np.ndarray) -> None:
    count = {
        part: np.bincount(labels[splits == part], minlength=len(classes)).tolist()
        for part in ("train", "test")
    }
    for part in count:
        if not any(count[part]):
            draft.problems.append(f"there is no {part} clip: expected some whose split is {part}")
    lacking = {part: [c for c, n in zip(classes, count[part], strict=True) if not n] for part in count}
    if lacking["train"] and any(count["train"]):
        draft.problems.append(
            f"{len(lacking['train'])} classes have no training clip: {some(lacking['train'])}; remove their "
            "other clips or add training clips"
        )
    if lacking["test"]:
        draft.notes.append(f"{len(lacking['test'])} classes have no test clip: {some(lacking['test'])}")
