"""Matching of the entries of a list of clips to rows of an index.

Lists differ in their separators, in the prefix of a clip's name and in its extension (videos, or folders of
frames), and in how they number classes. Clips are therefore matched by name, and the numbers are not read.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ssl_video.data.columns import Strings
from ssl_video.data.importers.list_file import ListEntry, read
from ssl_video.data.index import Index
from ssl_video.data.names import UCF_NAME, folder, key, stem
from ssl_video.data.partitions.protocols import Listed
from ssl_video.data.partitions.stems import stems
from ssl_video.errors import InputError, some

_FOREIGN, _MISSING, _UNCLEAR = -1, -2, -3  # in place of a row


def rows(index: Index, listed: Listed) -> tuple[np.ndarray, list[str]]:
    """Return the training clips in a list, as sorted rows of an index, and notes for the user.

    Raises:
        InputError: the list cannot be read, or differs from the published one; or see `match`.
    """
    entries = read(listed.path)
    if listed.published:
        listed.published.check(listed.path, (stem(entry.path) for entry in entries))
    paths, labels = [entry.path for entry in entries], [entry.label for entry in entries]
    found, notes = match(index, listed, Strings(pa.array(paths, pa.large_string())), labels)
    return np.unique(found[found >= 0]), notes


def match(
    index: Index, listed: Listed, paths: Strings, labels: Sequence[str]
) -> tuple[np.ndarray, list[str]]:
    """Match each entry of a list to a training clip.

    An entry is matched by its id, or else by its file's name without the extension. An entry may name a class
    by its folder, its label, or a file name like v_Archery_g01_c01. The clip must then be of that class (or
    in a folder of that name), and entries of classes that the index does not have are left out.

    Args:
        index: the clips.
        listed: the list's file, and the treatment of entries without a clip in use.
        paths: (n,) paths as written in the list.
        labels: (n,) class names, or "".

    Returns:
        (n,) int64 rows, negative for entries that are left out, and sentences for the user.

    Raises:
        InputError: the list contains clips that are not training clips of the index.
    """
    found = pc.fill_null(pc.index_in(paths.values, value_set=index.ids.values), _MISSING)
    matched = found.to_numpy().astype(np.int64)
    rest = np.flatnonzero(matched < 0)
    if len(rest):
        matched[rest] = _by_name(index, paths, labels, rest)
    if not (matched >= 0).any():
        raise InputError(
            f"{listed.path}: none of its {len(paths)} entries is a clip of {index.name}: it has "
            f"{some(paths[:2].tolist())}, the data set {some(index.ids[:2].tolist())}"
        )
    if listed.available:
        matched[_in(index, matched, "")] = _MISSING
    _check(index, listed, paths, matched)
    left_out = {
        f"are of classes that {index.name} does not have": matched == _FOREIGN,
        "are not among the clips in use": matched == _MISSING,
    }
    notes = [
        f"{int(mask.sum())} of {len(paths)} entries of {listed.path} {what}: left out"
        for what, mask in left_out.items()
        if mask.any()
    ]
    return matched, notes


def _check(index: Index, listed: Listed, paths: Strings, matched: np.ndarray) -> None:
    """Check that a list's entries are training clips; test clips among the labeled ones would be a leak."""
    remedy = "; to leave them out, add +available to the protocol"
    wrong = [
        ("are clips for testing (is the list for another split?)", _in(index, matched, "test"), ""),
        ("are clips without a class", _in(index, matched, "unlabeled"), ""),
        ("fit several clips", matched == _UNCLEAR, ""),
    ]
    if not listed.available:
        wrong = [
            ("are not among the clips", matched == _MISSING, remedy),
            ("are clips that are not in use (another split?)", _in(index, matched, ""), remedy),
            *wrong,
        ]
    problems = [
        f"{listed.path}: {int(mask.sum())} of {len(paths)} entries {what}: {some(paths[mask].tolist())}{then}"
        for what, mask, then in wrong
        if mask.any()
    ]
    if problems:
        raise InputError(*problems)


def _in(index: Index, matched: np.ndarray, part: str) -> np.ndarray:
    """Return the mask of entries whose clips are in a part of the index, (n,) bool."""
    inside = np.zeros(len(index), bool)
    inside[index.rows(part)] = True
    return (matched >= 0) & inside[matched]


def _by_name(index: Index, paths: Strings, labels: Sequence[str], wanted: np.ndarray) -> list[int]:
    """Return the rows of the wanted entries, matched by names: other copies may have other paths."""
    entries = [ListEntry(path, label, None) for path, label in zip(paths, labels, strict=True)]
    known = _places(index)
    hints = _hints(entries, known)
    lookup = _Lookup(index, {stem(entries[number].path) for number in wanted.tolist()})
    return [lookup.find(entries[n].path, hints[n], known) for n in wanted.tolist()]


class _Lookup:
    """The clips with one of the wanted stems."""

    def __init__(self, index: Index, wanted: set[str]) -> None:
        all_stems = stems(index.ids)
        mask = pc.is_in(all_stems.values, value_set=pa.array(sorted(wanted), pa.large_string()))
        rows = np.flatnonzero(mask.to_numpy(zero_copy_only=False))
        self.by_stem: dict[str, list[int]] = defaultdict(list)
        self.places: dict[int, tuple[str, str]] = {}
        for row, name, path in zip(rows.tolist(), all_stems[rows], index.ids[rows], strict=True):
            self.by_stem[name].append(row)
            self.places[row] = key(folder(path)), key(index.label[row])

    def find(self, path: str, hint: str, known: set[str]) -> int:
        """Return the row that a list's path means; `hint` is the key of a class or folder, or empty."""
        same = self.by_stem.get(stem(path), [])
        same = [row for row in same if hint in self.places[row]] if hint else same
        if not same:
            return _FOREIGN if hint and hint not in known else _MISSING
        return same[0] if len(same) == 1 else _UNCLEAR


def _places(index: Index) -> set[str]:
    """Return the keys of all classes and of all folders of clips."""
    found = pc.struct_field(pc.extract_regex(index.ids.values, r"(?P<folder>[^/]*)/[^/]*$"), "folder")
    return {key(name) for name in [*index.classes, *pc.unique(found).to_pylist()] if name is not None}


def _hints(entries: list[ListEntry], known: set[str]) -> list[str]:
    """Return the class that each entry indicates, as a key; empty if none."""
    places = [key(folder(entry.path)) for entry in entries]
    # One folder for all clips, such as videos/, carries no information.
    flat = len(set(places)) == 1 and places[0] not in known
    hints = []
    for entry, place in zip(entries, places, strict=True):
        name = re.fullmatch(UCF_NAME, stem(entry.path))
        hints.append(key(entry.label or (name["label"] if name else "")) if flat or not place else place)
    return hints
