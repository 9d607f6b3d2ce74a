"""What a manifest or a folder of videos says, before any conclusion is drawn from it."""

import csv
import io
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ssl_video.errors import InputError, unknown

EXTENSIONS = frozenset({".mp4", ".avi", ".mkv", ".webm", ".mov", ".mpg", ".mpeg", ".m4v"})

# A manifest's split values and the names of a folder's parts.
_SPLITS = {"train": "train", "test": "test", "val": "val", "valid": "val", "validation": "val", "": ""}
_ABSENT, _OUTSIDE = -1, -2  # in place of a file's size
_UNDECODABLE = re.compile("[\ud800-\udfff]")  # what Python makes of file names that are not UTF-8


@dataclass
class Draft:
    """What has been read, before the checks and conclusions that all sources share.

    Lists have an element for each clip; `splits` has "train", "test", "val" or "" (not used).
    """

    source: str
    name: str
    base: str
    ids: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    groups: list[str] | None = None
    splits: list[str] | None = None
    columns: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def from_manifest(path: Path, root: Path | None, split: str) -> Draft:
    """Rows of a CSV file, and what is wrong with them; see `ssl_video.data.index.read`.

    Args:
        path: absolute path of the file.
        root: absolute path of the folder that holds the files, or None to find it.
        split: name of the split column.

    Raises:
        InputError: not a CSV file with the columns that are needed.
    """
    columns, lines = _csv(path)
    missing = [unknown("column", name, columns) for name in ("path", "label") if name not in columns]
    if split != "split" and split not in columns:
        missing.append(unknown("split column", split, columns))
    if missing:
        raise InputError(*(f"{path}: {problem}" for problem in missing))
    folder = path.parent
    draft = Draft(str(path), folder.name, "")
    for name in ("path", "label"):
        empty = [line for line, text in zip(lines, columns[name], strict=True) if not text]
        if empty:
            draft.problems.append(f"{name} is empty in line {some(empty)}")
    _locate(draft, columns["path"], lines, [folder, folder.parent] if root is None else [root])
    draft.labels = columns["label"]
    groups = columns.get("group", [])
    if any(groups):
        # A clip without a source video is one of its own.
        draft.groups = [group or own for group, own in zip(groups, draft.ids, strict=True)]
    if split in columns:
        values = [value.lower() for value in columns[split]]
        strange = sorted(set(values) - set(_SPLITS))
        if strange:
            draft.problems.append(
                f"column {split!r} has {some(strange)}; expected train, test, val or nothing"
            )
        draft.splits = [_SPLITS.get(value, "") for value in values]
    draft.columns = {k: v for k, v in columns.items() if k not in ("path", "label", "group", split)}
    return draft


def _csv(path: Path) -> tuple[dict[str, list[str]], list[int]]:
    """Columns of a CSV file by name, and the line that each row ends in."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    rows, lines = [], []
    try:
        for row in reader:
            if row:
                rows.append([text.strip() for text in row])
                lines.append(reader.line_num)
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not valid CSV: {error}") from error
    if len(rows) < 2:
        raise InputError(
            f"{path} lists no clips; expected a header (path,label,...) and a line for each clip"
        )
    header = rows[0]
    twice = [name for name, count in Counter(header).items() if count > 1]
    uneven = [line for line, row in zip(lines, rows, strict=True) if len(row) != len(header)]
    problems = [f"{path}: column {name!r} appears twice" for name in twice]
    if uneven:
        problems.append(f"{path}: expected {len(header)} fields, as in the header, in line {some(uneven)}")
    if problems:
        raise InputError(*problems)
    return dict(zip(header, map(list, zip(*rows[1:], strict=True)), strict=True)), lines[1:]


def _locate(draft: Draft, paths: list[str], lines: list[int], bases: list[Path]) -> None:
    """Sets base, ids and sizes. One base is chosen for the whole manifest: the one with more of the files."""
    most = -1
    for base in bases:
        ids, sizes = _look(str(base), paths)
        found = sum(size >= 0 for size in sizes)
        if found > most:  # the first of equals
            most, draft.base, draft.ids, draft.sizes = found, str(base), ids, sizes
        if found == len(paths):
            break
    outside = [
        f"{name} (line {line})"
        for name, size, line in zip(paths, draft.sizes, lines, strict=True)
        if size == _OUTSIDE and name
    ]
    if outside:
        draft.problems.append(
            f"{len(outside)} paths lead out of {draft.base}: {some(outside)}; to allow that, give as root a "
            "folder that holds all files"
        )
    absent = [name for name, size in zip(draft.ids, draft.sizes, strict=True) if size == _ABSENT]
    if absent:
        tried = draft.base if most else " and not in ".join(map(str, bases))
        draft.problems.append(
            f"{len(absent)} of {len(paths)} files do not exist in {tried}: {some(absent)}; if they lie "
            "elsewhere, give as root the folder that the paths start from"
        )
    twice = [name for name, count in Counter(draft.ids).items() if count > 1 and name]
    if twice:
        draft.problems.append(f"{len(twice)} paths are listed more than once: {some(twice)}")


def _look(base: str, paths: list[str]) -> tuple[list[str], list[int]]:
    """Ids and sizes in bytes of files under a base folder, or why there is no size."""
    prefix = base.rstrip(os.sep) + os.sep
    ids, sizes = [], []
    for path in paths:
        full = os.path.normpath(os.path.join(base, path))
        # Checked on the text, so that links which the user has put into the data folder still work.
        if full.startswith(prefix):
            ids.append(full[len(prefix) :].replace(os.sep, "/"))
            sizes.append(_size(full))
        else:
            ids.append(path)
            sizes.append(_OUTSIDE)
    return ids, sizes


def _size(path: str) -> int:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return _ABSENT
    return status.st_size if stat.S_ISREG(status.st_mode) else _ABSENT


def from_folder(folder: Path) -> Draft:
    """Videos in class folders, perhaps in parts; see `ssl_video.data.index.read`.

    Args:
        folder: absolute path of a folder.

    Raises:
        InputError: there are no videos in class folders, or names of them are not UTF-8.
    """
    draft = Draft(str(folder), folder.name, str(folder))
    ignored: Counter[str] = Counter()
    splits: list[str | None] = []
    for place, label, split in _class_folders(folder, ignored):
        files, inner = _scan(folder / place, ignored)
        ignored["folders inside class folders"] += len(inner)
        ignored["folders without videos"] += not files
        draft.ids += [f"{place}/{name}" for name in files]
        draft.sizes += files.values()
        draft.labels += [label] * len(files)
        splits += [split] * len(files)
    draft.splits = [split for split in splits if split is not None] or None
    left = ", ".join(f"{count} {what}" for what, count in ignored.items() if count)
    if left:
        draft.notes.append(f"ignored in {folder}: {left}")
    if not draft.ids:
        raise InputError(
            f"{folder}: no videos found ({left or 'the folder is empty'}); expected a folder for each class "
            "with its videos in it, or train/ and test/ with such folders; videos are files that end in "
            f"{' '.join(sorted(EXTENSIONS))}"
        )
    broken = [name for name in draft.ids if _UNDECODABLE.search(name)]
    if broken:
        raise InputError(
            f"{folder}: {len(broken)} file names are not UTF-8: {some(broken)}; rename the files"
        )
    absent = [name for name, size in zip(draft.ids, draft.sizes, strict=True) if size == _ABSENT]
    if absent:
        draft.problems.append(f"{len(absent)} files cannot be read (broken links?): {some(absent)}")
    return draft


def _class_folders(folder: Path, ignored: Counter[str]) -> list[tuple[str, str, str | None]]:
    """Every class folder's place below `folder`, its label, and its part if there are train/ and test/."""
    outside = "videos outside of class folders"
    videos, top = _scan(folder, ignored)
    ignored[outside] += len(videos)
    # A part holds folders. A folder called "train" that holds videos is a class.
    parts = [name for name in top if name.lower() in _SPLITS and _scan(folder / name, Counter())[1]]
    if not {"train"} < {_SPLITS[name.lower()] for name in parts}:
        return [(label, label, None) for label in top]
    ignored["folders beside train/ and test/"] += len(top) - len(parts)
    places: list[tuple[str, str, str | None]] = []
    for part in parts:
        videos, labels = _scan(folder / part, ignored)
        ignored[outside] += len(videos)
        places += [(f"{part}/{label}", label, _SPLITS[part.lower()]) for label in labels]
    return places


def _scan(folder: Path, ignored: Counter[str]) -> tuple[dict[str, int], list[str]]:
    """A folder's videos with their sizes in bytes and its sub-folders, sorted, without hidden ones."""
    files, folders = {}, []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                folders.append(entry.name)
            elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS:
                files[entry.name] = _size(entry.path)
            else:
                ignored["files that are not videos"] += 1
    return dict(sorted(files.items())), sorted(folders)


def some(names: Iterable[str | int], limit: int = 5) -> str:
    """The first few of many names, for a message."""
    quoted = [repr(name) for name in names]
    return ", ".join(quoted[:limit]) + (f", ... ({len(quoted)} in all)" if len(quoted) > limit else "")


def read_text(path: Path) -> str:
    """A text file's contents, without a byte-order mark.

    Raises:
        InputError: the file is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not a text file in UTF-8 (byte {error.start}): save it as UTF-8"
        ) from error
