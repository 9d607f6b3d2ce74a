"""Labels that are kept apart from the videos: corrections and additions, in files of their own.

Such a file is a table with the columns `path` and `label`, as `ssl-video suggest` writes it, or one of an
annotation tool. A row gives a clip of the data set its label, or adds the clip. Rows with an empty label
change nothing.
"""

import difflib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from ssl_video.data.columns import Category, Strings
from ssl_video.data.importers.located_labels import Clip, Located, clip_of, read
from ssl_video.data.importers.raw_index import reading, text
from ssl_video.data.importers.to_index import (
    all_for_training,
    check_parts,
    classes_of,
    source_by_name,
    too_few_classes,
)
from ssl_video.data.importers.unlabeled import free_name, more
from ssl_video.data.index import PARTS, Index
from ssl_video.data.names import is_video
from ssl_video.data.segments import file_of
from ssl_video.errors import InputError, counted, some

_UNUSED, _TRAIN, _TEST, _UNLABELED = (PARTS.index(part) for part in ("", "train", "test", "unlabeled"))


@dataclass
class _Changes:
    """Changes of an index, collected from the rows of label files.

    Attributes:
        labels: new labels by row; "": the clip becomes unlabeled.
        added: labels of new clips by id, of files that the index has.
        elsewhere: likewise of other files, by absolute path.
    """

    labels: dict[int, str] = field(default_factory=dict)
    added: dict[str, str] = field(default_factory=dict)
    elsewhere: dict[str, str] = field(default_factory=dict)


def add_labels(
    index: Index, files: Sequence[Path], keep_classes: Collection[str] = (), *, training: bool = True
) -> Index:
    """Return an index with the labels of label files.

    Unlabeled clips that get a label are for training, and so are clips that are added, unless their source
    video is one of the test part: then they are for testing, too. Clips that had a label keep their part. A
    label that says that there is none, such as "unlabeled", takes a clip's label away. A later file replaces
    the labels of an earlier one.

    Args:
        index: the clips so far.
        files: absolute paths of tables, or of files of annotation tools, see `exchange`.
        keep_classes: classes whose names would otherwise stand for "no label".
        training: check that the clips can be used for training.

    Raises:
        InputError: see `located_labels.read`; a new clip is no video.
    """
    if not files:
        return index
    labels, notes = dict[Clip, Located](), list[str]()
    with reading():
        for file in files:
            of_file, found = read(file, index, keep_classes)
            labels |= of_file
            notes += found
    source = ", ".join(f"{file.parent.name}/{file.name}" for file in files)
    changes, before = _changes(index, labels, source), index
    index = _extended(index, changes)
    index = _relabeled(index, changes)
    notes += _notes(before, index, changes, source)
    if not index.of_split and not len(index.rows("test")):
        notes.append(all_for_training(len(index.rows("train"))))
    problems = list[str]()
    check_parts(index.label, index.splits, [], problems)
    problems = [*too_few_classes(index.label), *problems]
    if training and problems:
        raise InputError(*(f"{index.name} with the labels of {source}: {problem}" for problem in problems))
    return replace(index, notes=(*index.notes, *notes))


def _changes(index: Index, labels: Mapping[Clip, Located], source: str) -> _Changes:
    """Return the changes of an index by labels.

    Raises:
        InputError: a new clip is no video, or empty.
    """
    changes, known, of_file = _Changes(), dict[Clip, list[int]](), dict[tuple[int, int], int]()
    for row, path in enumerate(index.paths):
        if clip := clip_of(path):
            known.setdefault(clip, []).append(row)
            of_file.setdefault(clip[:2], row)
    # Names of folders may have spaces at their ends, which tables have not.
    names = {name.strip(): name for name in index.classes}
    strange = list[str]()
    for clip, (file, part, label) in labels.items():
        label = names.get(label, label)
        if clip in known:
            changes.labels |= dict.fromkeys(known[clip], label)
        elif label and clip[:2] in of_file:
            changes.added[file_of(index.ids[of_file[clip[:2]]]) + part] = label
        elif label and (os.path.isdir(file) or (is_video(file) and os.path.getsize(file))):
            changes.elsewhere[file + part] = label
        elif label:
            strange.append(file)
    if strange:
        raise InputError(f"{source}: {counted(len(strange), 'file')} empty, or no video: {some(strange)}")
    return changes


def _extended(index: Index, changes: _Changes) -> Index:
    """Return an index with the new clips, without a label, which is then among the changes by row."""
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
    place = np.argsort(order).tolist()
    changes.labels = {place[row]: label for row, label in changes.labels.items()} | dict(
        zip(place[len(index) :], new.values(), strict=True)
    )
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


def _groups(index: Index, ids: pa.Array, order: np.ndarray) -> Category | None:
    """Return the source videos with those of further clips: that of their file, of their name, or their own.

    Clips of one file are one source video, so that parts of files need them even where none was known.
    """
    names = ids.to_pylist()
    new = [file_of(name) for name in names[len(index) :]]
    if index.groups is None and new == names[len(index) :]:
        return None
    if index.groups is None:
        return Category.of(text([file_of(name) for name in names]).take(pa.array(order)))
    groups = index.groups.tolist()
    known = set(groups)
    of_file = {file_of(name): group for name, group in zip(names, groups, strict=False)}
    for file in new:
        named = source_by_name(file)
        groups.append(of_file.get(file) or (named if named in known else file))
    return Category.of(text(groups).take(pa.array(order)))


def _relabeled(index: Index, changes: _Changes) -> Index:
    """Return an index with new labels by row; an unlabeled clip that gets one is for training or testing."""
    names, splits, tested = index.label.tolist(), index.splits.codes.copy(), _tested(index)
    for row, label in changes.labels.items():
        names[row] = label
        if label and splits[row] == _UNLABELED:
            splits[row] = _TEST if tested(row) else _TRAIN
        elif not label:
            # A clip without a label cannot be tested.
            splits[row] = {_TRAIN: _UNLABELED, _TEST: _UNUSED}.get(int(splits[row]), splits[row])
    return replace(index, label=classes_of(text(names)), splits=Category(splits, index.splits.names))


def _tested(index: Index) -> Callable[[int], bool]:
    """Return a function that says of a row whether its source video has clips for testing alone.

    The same name stands for different source videos in different classes, so that the file decides first.
    """
    of_file, of_group = dict[str, set[int]](), dict[int, set[int]]()
    for row in index.rows("train", "test").tolist():
        part = int(index.splits.codes[row])
        of_file.setdefault(file_of(index.ids[row]), set()).add(part)
        if index.groups is not None:
            of_group.setdefault(int(index.groups.codes[row]), set()).add(part)

    def tested(row: int) -> bool:
        parts = of_file.get(file_of(index.ids[row]))
        if parts is None and index.groups is not None:
            parts = of_group.get(int(index.groups.codes[row]))
        return parts == {_TEST}

    return tested


def _notes(before: Index, index: Index, changes: _Changes, source: str) -> list[str]:
    """Return a sentence about the labels, and others about parts, and classes that are new or gone."""
    had = dict(zip(before.ids, before.label.tolist(), strict=True))
    pairs = [(had[name], label) for row, label in changes.labels.items() if (name := index.ids[row]) in had]
    counts = (
        (sum(not old and bool(new) for old, new in pairs), "unlabeled clip", "labeled"),
        (sum(bool(old and new) and old != new for old, new in pairs), "label", "changed"),
        (sum(bool(old) and old == new for old, new in pairs), "label", "as before"),
        (sum(bool(old) and not new for old, new in pairs), "label", "taken away"),
        (len(changes.added) + len(changes.elsewhere), "clip", "added"),
    )
    words = [f"{counted(number, noun)} {done}" for number, noun, done in counts if number]
    notes = [f"{source}: {', '.join(words)}"] if words else []
    parts = [int(index.splits.codes[row]) for row, label in changes.labels.items() if label]
    new = [row for row, label in changes.labels.items() if label and not had.get(index.ids[row])]
    if tested := sum(int(index.splits.codes[row]) == _TEST for row in new):
        notes.append(
            f"{counted(tested, 'newly labeled clip', 'are')} for testing, as the other clips of the source "
            "videos are"
        )
    if unused := parts.count(_UNUSED):
        notes.append(f"{counted(unused, 'clip')} with these labels not used: neither train nor test")
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
