"""What a source says about clips, and what importers share."""

import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ssl_video.data.columns import Strings
from ssl_video.errors import some

# Values of a split column and names of a folder's parts.
SPLITS = {"train": "train", "test": "test", "val": "val", "valid": "val", "validation": "val", "": ""}
ABSENT, _OUTSIDE = -1, -2  # in place of a file's size

# Paths that do not stand as they will in an index; all others need no look at each by itself.
_UNTIDY = r"^/|^\./|//|/\./|\.\.|\\|/$|^\.?$|\x00"
_CHUNK = 65536  # strings that are Python objects at a time


@dataclass
class Draft:
    """What has been read, before the checks and conclusions that all sources share.

    Columns are Arrow arrays of strings with an element for each clip; `splits` has "train", "test", "val" or
    "" (not used).

    Attributes:
        source: what was read, for messages.
        name: the data set's name.
        root: absolute path of the folder that ids are relative to.
        sizes: (N,) int64 bytes of the files, -1 where there is none; None: nobody looked.
    """

    source: str
    name: str
    root: str
    ids: pa.Array = field(default_factory=lambda: text([]))
    labels: pa.Array = field(default_factory=lambda: text([]))
    sizes: np.ndarray | None = None
    groups: pa.Array | None = None
    splits: pa.Array | None = None
    columns: dict[str, pa.Array] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def as_splits(values: pa.Array, name: str, problems: list[str]) -> pa.Array:
    """A split column's values as "train", "test", "val" or ""; others are added to the problems."""
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    words = values.dictionary.to_pylist()
    strange = sorted(word for word in words if word.lower() not in SPLITS)
    if strange:
        problems.append(f"column {name!r} has {some(strange)}; expected train, test, val or nothing")
    return text([SPLITS.get(word.lower(), "") for word in words]).take(values.indices)


def locate(
    draft: Draft,
    paths: pa.Array,
    bases: Sequence[Path],
    *,
    check: bool = True,
    lines: Callable[[np.ndarray], list[int]] | None = None,
) -> None:
    """Sets root, ids and sizes. One base is chosen for all clips: the one with more of the files.

    Args:
        draft: where to, problems included.
        paths: as written, relative to a base or absolute.
        bases: folders, the likeliest first.
        check: whether to look for the files; otherwise the first base is taken.
        lines: rows -> the lines of the source that they stand in, for messages.
    """
    most, outside = -1, np.empty(0, np.int64)
    for base in bases:
        ids, out = _tidy(str(base), paths)
        sizes = _sizes(str(base), ids, out) if check else None
        found = len(ids) if sizes is None else int((sizes >= 0).sum())
        if found > most:  # the first of equals
            most, draft.root, draft.ids, draft.sizes, outside = found, str(base), ids, sizes, out
        if found == len(paths):
            break
    if len(outside):
        names = paths.take(outside).to_pylist()
        if lines:
            names = [f"{name} (line {line})" for name, line in zip(names, lines(outside), strict=True)]
        draft.problems.append(
            f"{len(outside)} paths lead out of {draft.root}: {some(names)}; to allow that, give as root a "
            "folder that holds all files"
        )
    absent = rows(draft.sizes == ABSENT) if draft.sizes is not None else outside[:0]
    if len(absent):
        tried = draft.root if most else " and not in ".join(map(str, bases))
        draft.problems.append(
            f"{len(absent)} of {len(paths)} files do not exist in {tried}: "
            f"{some(Strings(draft.ids.take(absent)))}; if they lie elsewhere, give as root the folder "
            "that the paths start from"
        )


def _tidy(base: str, paths: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Ids below a base folder, and the rows whose paths lead out of it."""
    prefix = base.rstrip(os.sep) + os.sep
    untidy, texts, outside = rows(pc.match_substring_regex(paths, _UNTIDY)), [], []
    for row, path in zip(untidy.tolist(), paths.take(untidy).to_pylist(), strict=True):
        # Checked on the text, so that links which the user has put into the data folder still work.
        full = os.path.normpath(os.path.join(base, path))
        inside = full.startswith(prefix)
        texts.append(full[len(prefix) :].replace(os.sep, "/") if inside else path)
        if not inside and path:
            outside.append(row)
    mask = np.zeros(len(paths), bool)
    mask[untidy] = True
    ids = pc.replace_with_mask(paths, pa.array(mask), pa.array(texts, paths.type)) if texts else paths
    return ids, np.array(outside, np.int64)


def _sizes(base: str, ids: pa.Array, outside: np.ndarray) -> np.ndarray:
    """Bytes of the files, or why there is no number."""
    sizes = np.empty(len(ids), np.int64)
    for start in range(0, len(ids), _CHUNK):
        names = ids[start : start + _CHUNK].to_pylist()
        sizes[start : start + len(names)] = [
            file_size(f"{base}/{name}") if name else _OUTSIDE for name in names
        ]
    sizes[outside] = _OUTSIDE
    return sizes


def file_size(path: str) -> int:
    """Bytes of a file, or `ABSENT`."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return ABSENT
    return status.st_size if stat.S_ISREG(status.st_mode) else ABSENT


def rows(mask: pa.Array | np.ndarray) -> np.ndarray:
    """Rows where a mask is true, (n,) int64."""
    return np.flatnonzero(mask if isinstance(mask, np.ndarray) else mask.to_numpy(zero_copy_only=False))


def text(strings: Sequence[str | None]) -> pa.Array:
    """Strings as a column."""
    return pa.array(strings, pa.large_string())
