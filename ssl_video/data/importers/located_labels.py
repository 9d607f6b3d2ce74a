"""The rows of a file of labels, and the clips that they are for: found by path, through links, or by name."""

import os
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ssl_video.data import exchange
from ssl_video.data.exchange.label import Label
from ssl_video.data.importers import labels, no_such
from ssl_video.data.importers.locate import is_clip
from ssl_video.data.importers.raw_index import RawIndex, text
from ssl_video.data.index import Index
from ssl_video.data.names import is_video
from ssl_video.data.segments import Segment, file_of, parse
from ssl_video.errors import InputError, some

# Device and number of a file, the same through all links, and the clip's part of it; None: all of it.
Clip = tuple[int, int, Segment | None]


class Located(NamedTuple):
    """A label of a clip.

    Attributes:
        file: absolute path of its file or folder of pictures.
        part: its part of the file, as `#t=20,30`; "": all of it.
        label: the label; "": a word that says that there is none.
    """

    file: str
    part: str
    label: str


def read(file: Path, index: Index, keep_classes: Collection[str]) -> tuple[dict[Clip, Located], list[str]]:
    """Return the labels of a file by clip, and notes.

    Args:
        file: absolute path of a table, or of a file of an annotation tool, see `exchange`.
        index: the clips so far.
        keep_classes: classes whose names would otherwise stand for "no label".

    Raises:
        InputError: it has none of these forms, gives a clip two labels, or names files that do not exist.
    """
    if not file.exists():
        raise InputError(no_such(file))
    rows, notes = exchange.read(file), list[str]()
    if exchange.of_predict(file):
        # `unknown` stands for a probability that was too low, and says nothing of the clip.
        no_label = labels.NO_LABEL - set(keep_classes)
        rows = [row._replace(label=row.predicted) for row in rows if row.predicted.lower() not in no_label]
        notes = [f"{file.name} is a table of predict: its labels are taken for right"]
    rows = [row for row in rows if row.label]
    if not rows:
        return {}, [f"{file.name}: no row has a label yet"]
    raw = RawIndex(str(file), labels=text([row.label for row in rows]), notes=notes)
    labels.remove_words(raw, keep_classes)
    found = _by_clip(rows, raw.labels.to_pylist(), files_of(rows, file, index, raw), raw)
    if raw.problems:
        raise InputError(*(f"{file}: {problem}" for problem in raw.problems))
    return found, raw.notes


def clip_of(path: str) -> Clip | None:
    """Return the identity of a clip; None: its file cannot be found."""
    file, segment = parse(path)
    try:
        status = os.stat(file)
    except OSError:
        return None
    whole = segment is None or (not segment.start and segment.end == float("inf"))
    return status.st_dev, status.st_ino, None if whole else segment


def _by_clip(
    rows: Sequence[Label], names: Iterable[str], files: dict[str, str], raw: RawIndex
) -> dict[Clip, Located]:
    """Return the labels by clip; a clip with two different ones is added to a raw index's problems."""
    found, twice = dict[Clip, Located](), list[str]()
    for row, label in zip(rows, names, strict=True):
        file = files.get(row.path)
        clip = clip_of(file + row.part) if file is not None else None
        if file is None or clip is None:
            continue
        if found.setdefault(clip, Located(file, row.part, label)).label != label:
            twice.append(f"{row.path}{row.part} ({row.place})")
    if twice:
        raw.problems.append(f"a clip has two labels: {', '.join(twice[:5])}")
    return found


def files_of(rows: Sequence[Label], file: Path, index: Index, raw: RawIndex) -> dict[str, str]:
    """Return the absolute path of each file that is there, by its path as written.

    Relative paths start from the one of some folders that has the most of them. A path that leads nowhere, as
    annotation tools write it, names the clip of the data set with this file name, if only one has it.

    Args:
        rows: rows with paths as written.
        file: the file that they stand in.
        index: the clips so far.
        raw: what is missing is added to its problems.
    """
    written = {row.path: row.place for row in reversed(rows)}
    if "" in written:
        raw.problems.append(f"the path is empty ({written.pop('')})")
    bases = [file.parent, file.parent.parent, Path(index.root), Path.cwd()]
    tried = [{path: os.path.normpath(os.path.join(base, path)) for path in written} for base in bases]
    there = [{path: place for path, place in one.items() if _may_be_clip(place)} for one in tried]
    found = max(there, key=len)
    absent = [path for path in written if path not in found]
    if not absent:
        return found
    names, lost = _by_name(index), list[str]()
    for path in absent:
        name = re.split(r"[/\\]", path)[-1]
        # Some tools leave the extension out.
        of_name = names.get(name) or names.get(os.path.splitext(name)[0] if is_video(name) else name, set())
        if len(of_name) == 1:
            (found[path],) = of_name
        elif of_name:
            raw.problems.append(f"{path} may be {' or '.join(sorted(of_name)[:3])}")
        else:
            lost.append(path)
    if lost:
        where = " and not in ".join(dict.fromkeys(map(str, bases)))
        number = f"{len(lost)} of {len(written)} files do not exist"
        raw.problems.append(
            f"{number} in {where}, nor are they clips of the data by their names: {some(lost)}"
        )
    return found


def _may_be_clip(path: str) -> bool:
    """Return whether a path is a file, or a folder of pictures."""
    try:
        return os.path.isfile(path) or (os.path.isdir(path) and is_clip(path))
    except OSError:
        return False


def _by_name(index: Index) -> dict[str, set[str]]:
    """Return the absolute paths of an index's files by file name, and by file name without extension."""
    found = dict[str, set[str]]()
    for path in index.paths:
        file = file_of(path)
        name = os.path.basename(file)
        for key in (name, os.path.splitext(name)[0]):
            found.setdefault(key, set()).add(file)
    return found
