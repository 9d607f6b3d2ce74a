"""Labels that are kept apart from the videos: corrections and additions, in files of their own.

Such a file is a table with the columns `path` and `label`, as `ssl-video suggest` writes it, or one of an
annotation tool. A row gives a clip of the data set its label, or adds the clip. Rows with an empty label
change nothing.
"""

import difflib
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from ssl_video.data import exchange
from ssl_video.data.columns import Category, Strings
from ssl_video.data.importers import labels, no_such
from ssl_video.data.importers.draft import Draft, reading, text
from ssl_video.data.importers.finish import check_parts, classes_of, too_few_classes
from ssl_video.data.importers.unlabeled import free_name, more
from ssl_video.data.index import PARTS, Index
from ssl_video.data.names import is_video
from ssl_video.data.segments import Segment, file_of, parse
from ssl_video.errors import InputError, counted, some

_TRAIN, _UNLABELED = PARTS.index("train"), PARTS.index("unlabeled")
# Device and number of a file, the same through all links, and the clip's part of it.
_Clip = tuple[int, int, Segment | None]


@dataclass
class _Changes:
    """Changes of an index, collected from the rows of label files.

    Attributes:
        labels: new labels by row; "": the clip becomes unlabeled.
        added: labels of new clips by id.
        elsewhere: absolute paths of new clips whose files the index does not have, with their labels.
    """

    labels: dict[int, str] = field(default_factory=dict)
    added: dict[str, str] = field(default_factory=dict)
    elsewhere: dict[str, str] = field(default_factory=dict)


def add_labels(
    index: Index, files: Sequence[Path], keep_classes: Collection[str] = (), *, training: bool = True
) -> Index:
    """Return an index with the labels of label files.

    Unlabeled clips that get a label are for training, and so are clips that are added. Clips that had a label
    keep their part. A label that says that there is none, such as "unlabeled", takes a clip's label away. A
    later file replaces the labels of an earlier one.

    Args:
        index: the clips so far.
        files: absolute paths of tables, or of files of annotation tools, see `exchange`.
        keep_classes: classes whose names would otherwise stand for "no label".
        training: check that the clips can be used for training.

    Raises:
        InputError: a file has none of these forms, gives a clip two labels, or names files that do not exist.
    """
    if not files:
        return index
    with reading():
        given = [(file, *_read(file, index, keep_classes)) for file in files]
    notes = [note for _, _, found in given for note in found]
    rows: dict[str, str] = {}
    for _, of_file, _ in given:
        rows |= of_file
    changes = _changes(index, rows)
    before = index
    index = _relabeled(_extended(index, changes), changes)
    source = ", ".join(f"{file.parent.name}/{file.name}" for file in files)
    problems = list[str]()
    check_parts(index.label, index.splits, [], problems)
    problems = [*too_few_classes(index.label), *problems]
    if training and problems:
        raise InputError(*(f"{index.name} with the labels of {source}: {problem}" for problem in problems))
    return replace(index, notes=(*index.notes, *notes, *_notes(before, index, changes, source)))


def _read(file: Path, index: Index, keep_classes: Collection[str]) -> tuple[dict[str, str], list[str]]:
    """Return the labels of a file by absolute path with the clip's part, and notes.

    Raises:
        InputError: see `add_labels`.
    """
    if not file.exists():
        raise InputError(no_such(file))
    rows, notes = exchange.read(file), list[str]()
    if rows and not any(row.label for row in rows) and exchange.of_predict(file):
        rows = [row._replace(label=row.predicted) for row in rows]
        notes = [f"{file.name} is a table of predict: its labels are taken for right"]
    rows = [row for row in rows if row.label]
    if not rows:
        return {}, [f"{file.name}: no row has a label yet"]
    draft = Draft(str(file), labels=text([row.label for row in rows]), notes=notes)
    labels.remove_words(draft, keep_classes)
    places = _located([row.path for row in rows], file, index, draft)
    found, twice = dict[str, str](), list[str]()
    for row, label in zip(rows, draft.labels.to_pylist(), strict=True):
        if (place := places.get(row.path)) and found.setdefault(place + row.part, label) != label:
            twice.append(f"{row.path}{row.part} ({row.place})")
    if twice:
        draft.problems.append(f"a clip has two labels: {', '.join(twice[:5])}")
    if draft.problems:
        raise InputError(*(f"{file}: {problem}" for problem in draft.problems))
    return found, draft.notes


def _located(paths: Sequence[str], file: Path, index: Index, draft: Draft) -> dict[str, str]:
    """Return the absolute path of each file that is there, by its path as written.

    Relative paths start from the one of some folders that has the most of them. A path that leads nowhere, as
    annotation tools write it, names the clip of the data set with this file name, if only one has it.

    Args:
        paths: paths as written.
        file: the file that they stand in.
        index: the clips so far.
        draft: what is missing is added to its problems.
    """
    written = dict.fromkeys(paths)
    bases = [file.parent, file.parent.parent, Path(index.root), Path.cwd()]
    tried = [{path: os.path.join(base, path) for path in written} for base in bases]
    there = [{path: place for path, place in one.items() if os.path.exists(place)} for one in tried]
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
            draft.problems.append(f"{path} may be {' or '.join(sorted(of_name)[:3])}")
        else:
            lost.append(path)
    if lost:
        where = " and not in ".join(dict.fromkeys(map(str, bases)))
        number = f"{len(lost)} of {len(written)} files do not exist"
        draft.problems.append(
            f"{number} in {where}, nor are they clips of the data by their names: {some(lost)}"
        )
    return found


def _by_name(index: Index) -> dict[str, set[str]]:
    """Return the absolute paths of an index's files by file name, and by file name without extension."""
    found = dict[str, set[str]]()
    for path in index.paths:
        file = file_of(path)
        name = os.path.basename(file)
        for key in (name, os.path.splitext(name)[0]):
            found.setdefault(key, set()).add(file)
    return found


def _changes(index: Index, rows: Mapping[str, str]) -> _Changes:
    """Return the changes of an index by labels, which have absolute paths as keys."""
    changes, known, of_file = _Changes(), dict[_Clip, list[int]](), dict[tuple[int, int], int]()
    for row, path in enumerate(index.paths):
        if clip := _clip(path):
            known.setdefault(clip, []).append(row)
            of_file.setdefault(clip[:2], row)
    for path, label in rows.items():
        clip = _clip(path)
        assert clip is not None, "files were looked for"
        if clip in known:
            changes.labels |= dict.fromkeys(known[clip], label)
        elif label and clip[:2] in of_file:
            part = path[len(file_of(path)) :]
            changes.added[file_of(index.ids[of_file[clip[:2]]]) + part] = label
        elif label:
            changes.elsewhere[path] = label
    return changes


def _clip(path: str) -> _Clip | None:
    """Return the identity of a clip; None: its file cannot be found."""
    file, segment = parse(path)
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_dev, status.st_ino, segment


def _extended(index: Index, changes: _Changes) -> Index:
    """Return an index with the new clips, for training, and with their labels among the changes by row."""
    new, elsewhere = dict(changes.added), dict(index.elsewhere)
    if changes.elsewhere:
        root = os.path.commonpath([os.path.dirname(path) for path in changes.elsewhere])
        prefix = free_name(index, "labels")
        elsewhere[prefix] = root
        new |= {f"{prefix}/{os.path.relpath(path, root)}": label for path, label in changes.elsewhere.items()}
    if not new:
        return index
    ids = pa.concat_arrays([index.ids.values, text(list(new))])
    order = Strings(ids).order()
    changes.labels = _moved(changes.labels, order) | {
        int(row): label for row, label in zip(np.argsort(order)[len(index) :], new.values(), strict=True)
    }
    none = np.full(len(new), -1, np.int64)
    return replace(
        index,
        ids=Strings(ids)[order],
        label=more(index.label, none, order),
        splits=more(index.splits, np.full(len(new), _UNLABELED), order),
        groups=_groups(index, ids, order),
        columns={name: more(column, none, order) for name, column in index.columns.items()},
        elsewhere=elsewhere,
    )


def _moved(labels: Mapping[int, str], order: np.ndarray) -> dict[int, str]:
    """Return labels by the rows of an index in a new order."""
    place = np.argsort(order)
    return {int(place[row]): label for row, label in labels.items()}


def _groups(index: Index, ids: pa.Array, order: np.ndarray) -> Category | None:
    """Return the source videos with those of further clips: each is its file.

    Clips of one file are one source video, so that parts of files need them even where none was known.
    """
    names = ids.to_pylist()
    new = [file_of(name) for name in names[len(index) :]]
    if index.groups is None and new == names[len(index) :]:
        return None
    if index.groups is None:
        return Category.of(text([file_of(name) for name in names]).take(pa.array(order)))
    groups = index.groups.tolist()
    of_file = {file_of(name): group for name, group in zip(names, groups, strict=False)}
    groups += [of_file.get(file, file) for file in new]
    return Category.of(text(groups).take(pa.array(order)))


def _relabeled(index: Index, changes: _Changes) -> Index:
    """Return an index with new labels by row; an unlabeled clip with a label is for training."""
    names, splits = index.label.tolist(), index.splits.codes.copy()
    for row, label in changes.labels.items():
        names[row] = label
        if label and splits[row] == _UNLABELED:
            splits[row] = _TRAIN
        elif not label:
            splits[row] = _UNLABELED if splits[row] == _TRAIN else splits[row]
            # A clip without a label cannot be tested.
            splits[row] = PARTS.index("") if splits[row] == PARTS.index("test") else splits[row]
    return replace(index, label=classes_of(text(names)), splits=Category(splits, index.splits.names))


def _notes(before: Index, index: Index, changes: _Changes, source: str) -> list[str]:
    """Return a sentence about the labels, and one about classes that are new or gone."""
    had = dict(zip(before.ids, before.label.tolist(), strict=True))
    pairs = [(had[name], label) for row, label in changes.labels.items() if (name := index.ids[row]) in had]
    counts = (
        (sum(not old and bool(new) for old, new in pairs), "unlabeled clip", "labeled"),
        (sum(bool(old and new) and old != new for old, new in pairs), "label", "changed"),
        (sum(old == new for old, new in pairs), "label", "as before"),
        (sum(bool(old) and not new for old, new in pairs), "label", "taken away"),
        (len(changes.added) + len(changes.elsewhere), "clip", "added"),
    )
    words = [f"{counted(number, noun)} {done}" for number, noun, done in counts if number]
    notes = [f"{source}: {', '.join(words)}"] if words else []
    known, now = set(before.classes), set(index.classes)
    if known and (fresh := sorted(now - known)):
        notes.append(f"{counted(len(fresh), 'class', 'are')} new by the labels of {source}: {some(fresh)}")
        notes += _misspelled(fresh, before.classes)
    if gone := sorted(known - now):
        notes.append(f"{counted(len(gone), 'class', 'have')} no clip any more: {some(gone)}")
    return notes


def _misspelled(fresh: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return a sentence for each new class whose name is almost that of another one."""
    alike = {name.casefold(): name for name in known}
    found = list[str]()
    for name in fresh:
        near = difflib.get_close_matches(name.casefold(), alike, n=1, cutoff=0.85)
        if near:
            found.append(f"is {name!r} a class of its own, or did you mean {alike[near[0]]!r}?")
    return found
