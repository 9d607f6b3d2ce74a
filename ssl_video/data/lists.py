"""Published lists of labeled clips, in the formats that they come in -> rows of an index.

Lists differ in their separators, in what stands before a clip's name and in its extension (videos, or
folders of frames), and in how they number classes. Clips are therefore matched by name, and the numbers
are not read.
"""

import csv
import functools
import os
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ssl_video.data.index import UCF_NAME, Index
from ssl_video.data.sources import EXTENSIONS, read_text, some
from ssl_video.errors import InputError

_STARRED = re.compile(r"([^*]+)\*\d+")
_VIDEO = re.compile(rf"(.+(?:{'|'.join(map(re.escape, sorted(EXTENSIONS)))}))(?:\s+\d+)?(?:\s+(.+))?", re.I)
_FRAMES = re.compile(r"(.+?)(?:\s+\d+){0,2}()")


class Entry(NamedTuple):
    """A clip in a list; the label is a class name, or empty where the list has a number or nothing."""

    path: str
    label: str


def read(path: Path) -> list[Entry]:
    """The entries of a list.

    Lines are `path label`, `path frames label`, `path*label`, a path alone, or CSV `path,label` (with a
    header, columns of these names wherever they are). Lines that start with "# " are comments.

    Raises:
        InputError: the list has no entries, or lines of another form.
    """
    lines = {number: line.strip() for number, line in enumerate(read_text(path).split("\n"), 1)}
    lines = {number: line for number, line in lines.items() if line and not f"{line} ".startswith("# ")}
    if not lines:
        found = []
    elif all("*" in line for line in lines.values()):
        wrong = [f"line {n}: {line}" for n, line in lines.items() if not _STARRED.fullmatch(line)]
        if wrong:
            raise InputError(f"{path}: expected path*number, found {some(wrong)}; mend these lines")
        found = [(line.split("*")[0], "") for line in lines.values()]
    elif all("," in line for line in lines.values()):
        found = _from_csv(path, list(lines.values()))
    else:
        matches = [_VIDEO.fullmatch(line) or _FRAMES.fullmatch(line) for line in lines.values()]
        found = [(match[1], match[2] or "") for match in matches if match]
    if not found:
        raise InputError(f"{path} has no entries: expected a line for each labeled clip")
    tidy = ((name.strip().replace("\\", "/"), label.strip()) for name, label in found)
    return [Entry(name, "" if label.isdigit() else label) for name, label in tidy]


def _from_csv(path: Path, lines: list[str]) -> list[tuple[str, str]]:
    try:
        cells = list(csv.reader(lines, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}: not valid CSV: {error}") from error
    wrong = [",".join(row) for row in cells if len(row) != len(cells[0])]
    if wrong:
        raise InputError(f"{path}: expected {len(cells[0])} fields, as in the first line, in {some(wrong)}")
    header = [name.strip().lower() for name in cells[0]]
    if "path" not in header:
        return [(row[0], row[1]) for row in cells]
    name, label = header.index("path"), header.index("label") if "label" in header else None
    return [(row[name], "" if label is None else row[label]) for row in cells[1:]]


def rows(index: Index, path: Path) -> tuple[np.ndarray, list[str]]:
    """The training clips that a list names, as sorted rows of an index, and notes for the user.

    An entry is matched by its id, otherwise by its file's name without the extension. Where it names a
    class, by its folder, its label, or a file name like v_Archery_g01_c01, the clip must be of that class
    (or in a folder of that name), and entries of classes that the index does not have are left out.

    Raises:
        InputError: the list cannot be read, or names clips that are not training clips of the index.
    """
    entries = read(path)
    found, foreign, problems = _match(index, entries)
    if not found:
        raise InputError(
            f"{path}: none of its {len(entries)} entries is a clip of {index.name}: it has "
            f"{some([entry.path for entry in entries], 2)}, the data set {some(index.ids[:2].tolist())}"
        )
    chosen = np.unique(found)
    # Test clips among the labeled ones would be a leak: an error rather than a note.
    elsewhere = index.ids[chosen[index.splits[chosen] != "train"]].tolist()
    problems["are clips, but not in the training part (is the list for another split?)"] = elsewhere
    said = [
        f"{len(names)} of {len(entries)} entries {what}: {some(names)}"
        for what, names in problems.items()
        if names
    ]
    if said:
        raise InputError(*(f"{path}: {sentence}" for sentence in said))
    left = f"{foreign} of {len(entries)} entries of {path} are of classes that {index.name} does not have"
    return chosen, [f"{left}: left out"] if foreign else []


def _match(index: Index, entries: list[Entry]) -> tuple[list[int], int, dict[str, list[str]]]:
    """Rows that entries name, the number of entries of foreign classes, and the other entries by problem."""
    lookup = _Lookup(index)
    found: list[int] = []
    missing, unclear, foreign = [], [], 0
    for entry, hint in zip(entries, _hints(entries, lookup.known), strict=True):
        match = lookup.find(entry.path, hint)
        if len(match) == 1:
            found += match
        elif match:
            unclear.append(entry.path)
        elif hint and hint not in lookup.known:
            foreign += 1
        else:
            missing.append(entry.path)
    return found, foreign, {"are not among the clips": missing, "fit several clips": unclear}


class _Lookup:
    """Finds clips by what another data set's copy may have in common with this one: names."""

    def __init__(self, index: Index) -> None:
        ids = index.ids.tolist()
        classes = [_key(name) for name in index.classes]
        self.by_id = {name: row for row, name in enumerate(ids)}
        self.by_stem: dict[str, list[int]] = defaultdict(list)
        for row, name in enumerate(ids):
            self.by_stem[_stem(name)].append(row)
        self.places = [
            (_key(_folder(name)), classes[label])
            for name, label in zip(ids, index.labels.tolist(), strict=True)
        ]
        self.known = {place for pair in self.places for place in pair}

    def find(self, path: str, hint: str) -> list[int]:
        """Rows that a list's path may mean; `hint` is the key of a class or folder, or empty."""
        if path in self.by_id:
            return [self.by_id[path]]
        same = self.by_stem.get(_stem(path), [])
        return [row for row in same if hint in self.places[row]] if hint else same


def _hints(entries: list[Entry], known: set[str]) -> list[str]:
    """What each entry says about its class, as a key; empty for nothing."""
    folders = [_key(_folder(entry.path)) for entry in entries]
    # One folder for all clips, such as videos/, says nothing.
    flat = len(set(folders)) == 1 and folders[0] not in known
    hints = []
    for entry, folder in zip(entries, folders, strict=True):
        name = UCF_NAME.fullmatch(_stem(entry.path))
        hints.append(_key(entry.label or (name["label"] if name else "")) if flat or not folder else folder)
    return hints


@functools.cache
def _key(name: str) -> str:
    """Kinetics' "air drumming" is also "air_drumming", UCF's "HandstandPushups" also "HandStandPushups"."""
    return re.sub(r"[\s_-]", "", name).casefold()


def _folder(path: str) -> str:
    return path.split("/")[-2] if "/" in path else ""


def _stem(path: str) -> str:
    name = path.rsplit("/", 1)[-1]
    stem, extension = os.path.splitext(name)
    return stem if extension.lower() in EXTENSIONS else name
