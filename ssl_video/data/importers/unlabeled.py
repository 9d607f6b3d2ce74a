"""Unlabeled clips from elsewhere: a folder, a manifest, a list, an index file or a single video.

Their ids begin with "unlabeled/", as if they lay in a folder of this name beside the class folders. Training
is therefore the same whether they are given as a source, or lie there.
"""

import functools
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ssl_video.data.columns import Category, Strings
from ssl_video.data.importers import index_file, list_file, no_such
from ssl_video.data.importers.labels import UNLABELED
from ssl_video.data.importers.locate import at_their_paths, file_size, is_clip, videos_below
from ssl_video.data.importers.manifest import lines_of, read_table, with_known_names, with_segments
from ssl_video.data.importers.raw_index import RawIndex, text
from ssl_video.data.index import PARTS, Index
from ssl_video.data.names import EXTENSIONS, is_video
from ssl_video.data.segments import file_of
from ssl_video.errors import InputError, counted, some


def add(index: Index, sources: Sequence[Path], *, faulty: bool = False) -> Index:
    """Return an index with unlabeled clips of further sources; labels that they have are not read.

    Args:
        index: the clips so far.
        sources: absolute paths of folders, whose videos are taken at any depth, manifests (.csv, .tsv), lists
            (.txt), index files (.arrow) or videos.
        faulty: accept missing and empty files, because the caller handles them.

    Raises:
        InputError: a source does not exist, holds no video, or names files that are missing or empty.
    """
    drafts, problems = list[RawIndex](), list[str]()
    for source in sources:
        try:
            drafts.append(read_source(source, faulty))
        except InputError as error:
            problems += error.problems
        else:
            problems += [f"{source}: {problem}" for problem in drafts[-1].problems]
    if problems:
        raise InputError(*problems)
    for raw in drafts:
        index = _with(index, raw)
    return index


def read_source(source: Path, faulty: bool) -> RawIndex:
    """Return the clips of a source, see `add`: ids relative to its root.

    Raises:
        InputError: it does not exist, or holds no video. Missing and empty files are problems of the index.
    """
    if not source.exists():
        raise InputError(no_such(source))
    raw = RawIndex(str(source), root=str(source if source.is_dir() else source.parent))
    if source.is_dir() and is_clip(source):
        raw.root, raw.ids = str(source.parent), text([source.name])
    elif source.is_dir():
        raw.ids = videos_below(source, raw)
        raw.sizes = np.array([file_size(f"{source}/{name}") for name in raw.ids.to_pylist()], np.int64)
    elif source.suffix == index_file.SUFFIX:
        found = index_file.read(source)
        used = found.used
        raw.root, raw.ids = found.root, found.ids[used].values
        raw.split_off_segments()
        if found.elsewhere:
            raise InputError(f"{source} has clips of several folders: give these as --unlabeled")
    elif is_video(source.name):
        raw.ids, raw.sizes = text([source.name]), np.array([file_size(str(source))], np.int64)
    else:
        raw.ids = _listed(source, raw)
        raw.split_off_segments()
        # The user names this list, so that it may name any file.
        anywhere = pc.all(pc.starts_with(raw.ids, "/")).as_py()
        bases = [Path("/")] if anywhere else [source.parent, source.parent.parent]
        tried = at_their_paths(raw, bases)
        absent = raw.ids.filter(pa.array(raw.sizes == -1)) if raw.sizes is not None else raw.ids[:0]
        if len(absent) and not (faulty and len(absent) < len(raw.ids)):
            raw.problems.append(
                f"{len(absent)} of {len(raw.ids)} files do not exist in {tried}: {some(absent.to_pylist())}"
            )
    if not len(raw.ids):
        raise InputError(f"{source}: no videos found; videos end in {' '.join(sorted(EXTENSIONS))}")
    empty = raw.ids.filter(pa.array(raw.sizes == 0)) if raw.sizes is not None else raw.ids[:0]
    if len(empty) and not faulty:
        raw.problems.append(
            f"{counted(len(empty), 'file', 'are')} empty (0 bytes): {some(empty.to_pylist())}; remove "
            "them, or leave them out by --skip-broken"
        )
    return raw


def _listed(source: Path, raw: RawIndex) -> pa.Array:
    """Return the paths in a manifest or a list, with their segments, each once."""
    if source.suffix.lower() in (".csv", ".tsv"):
        columns = with_known_names(read_table(source))
        if "path" in columns:
            raw.lines = functools.partial(lines_of, source)
            return pc.unique(with_segments(columns["path"].cast(pa.large_string()), columns, raw))
    return pc.unique(text([entry.path + entry.segment for entry in list_file.read(source)]))


def _with(index: Index, raw: RawIndex) -> Index:
    """Return an index with a raw index's clips, without those that it has already.

    Nor are segments of a file that the data set has as a whole. A file of which it has segments is added:
    `recordings.cut` leaves these out.
    """
    names = raw.clips.to_pylist()
    known = set(map(_file, index.paths)) - {None}
    found = {name: _file(os.path.join(raw.root, name)) for name in names}
    new = [name for name, file in found.items() if file is None or not known & {file, (*file[:2], "")}]
    notes = [*index.notes, *raw.notes]
    if len(new) < len(names):
        again = counted(len(names) - len(new), "clip")
        notes.append(f"{again} of {raw.source} not added: the data set has them already")
    notes.append(f"{counted(len(new), 'unlabeled clip')} of {raw.source}")
    prefix = free_name(index, UNLABELED[0])
    ids = pa.concat_arrays([index.ids.values, text([f"{prefix}/{name}" for name in new])])
    order = Strings(ids).order()
    none = np.full(len(new), -1, np.int64)
    return replace(
        index,
        ids=Strings(ids)[order],
        label=more(index.label, none, order),
        splits=more(index.splits, np.full(len(new), PARTS.index("unlabeled")), order),
        groups=_own_groups(index, ids, order),
        columns={name: more(column, none, order) for name, column in index.columns.items()},
        notes=tuple(notes),
        elsewhere={**index.elsewhere, prefix: raw.root},
    )


def _file(path: str) -> tuple[int, int, str] | None:
    """Return the identity of a file and its segment, the same through all links; None: it cannot be found."""
    file = file_of(path)
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_dev, status.st_ino, path[len(file) :]


def free_name(index: Index, name: str) -> str:
    """Return a first part of new ids, which no id of an index has yet: a name, perhaps with a number."""
    taken = {name.partition("/")[0] for name in index.ids}
    number = 1
    while (prefix := name if number == 1 else f"{name}-{number}") in taken:
        number += 1
    return prefix


def more(column: Category, codes: np.ndarray, order: np.ndarray) -> Category:
    """Return a column with the codes of further rows, in a new order."""
    return Category(np.concatenate([column.codes, codes])[order], column.names)


def _own_groups(index: Index, ids: pa.Array, order: np.ndarray) -> Category | None:
    """Return the source videos of an index, with each further clip as one of its own."""
    if index.groups is None:
        return None
    before = text(index.groups.tolist())
    return Category.of(pa.concat_arrays([before, ids[len(before) :]]).take(pa.array(order)))
