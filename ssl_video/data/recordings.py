"""Unlabeled recordings count as several clips: segments of equal length, without cutting a file."""

import math
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ssl_video.data.columns import Category, Strings
from ssl_video.data.frames import video_facts
from ssl_video.data.frames.timeline import duration
from ssl_video.data.importers.raw_index import text
from ssl_video.data.index import Index
from ssl_video.data.progress import CountProgress
from ssl_video.data.segments import PART, Segment, file_of, parse, written
from ssl_video.data.video import decode
from ssl_video.data.video.container import DecodeError, stop_with
from ssl_video.errors import counted

_LOOKED_AT = 1000  # files per report of progress


def cut(
    index: Index, seconds: float, folder: Path, pictures: float, progress: CountProgress | None = None
) -> Index:
    """Return an index in which every long unlabeled file is a clip per segment.

    Files that are shorter than two segments stay whole. The last segment of a file is up to twice as long.
    Segments that overlap a labeled clip of the same file are left out.

    Args:
        index: the clips.
        seconds: length of a segment; 0: files stay whole.
        folder: the cache folder, in which durations of files may be known.
        pictures: pictures per second of folders of pictures.
        progress: called with the number of files looked at and the total.
    """
    rows = index.rows("unlabeled")
    whole = np.array([row for row in rows.tolist() if parse(index.ids[row])[1] is None], np.int64)
    pieces = dict[int, list[str]]()
    if seconds and len(whole):
        lengths = durations([index.paths[row] for row in whole], folder, pictures, progress)
        for row, length in zip(whole.tolist(), lengths, strict=True):
            # A length just below a multiple is one that was rounded.
            if (number := math.floor(length / seconds + 1e-3)) >= 2:
                ends = [*(seconds * k for k in range(1, number)), None]
                pieces[row] = [written(seconds * k, end) for k, end in enumerate(ends)]
    divided = _divided(index, pieces) if pieces else index
    # Without segments given, every clip is a file of its own.
    given = pc.match_substring_regex(index.ids.values, rf"{PART}$")
    return _without_labeled(divided) if pc.any(given).as_py() else divided


def durations(
    paths: list[str], folder: Path, pictures: float, progress: CountProgress | None
) -> Iterator[float]:
    """Yield the duration of each file or folder of pictures in seconds, 0 if it cannot be read.

    Args:
        paths: the files.
        folder, pictures, progress: see `cut`.
    """

    def look(path: str) -> float:
        video = video_facts.find(folder, path)
        try:
            if os.path.isdir(path):
                return (video.frames if video else decode.count(path)) / pictures
            return video.seconds if video else duration(path)
        except DecodeError:
            return 0.0

    stop = threading.Event()
    pool = ThreadPoolExecutor(8, initializer=stop_with, initargs=(stop,))
    try:
        for done, length in enumerate(pool.map(look, paths), 1):
            if progress and (done % _LOOKED_AT == 0 or done == len(paths)):
                progress(done, len(paths))
            yield length
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _divided(index: Index, pieces: dict[int, list[str]]) -> Index:
    """Return an index in which rows are divided into the given segments."""
    repeats = np.ones(len(index), np.int64)
    for row, parts in pieces.items():
        repeats[row] = len(parts)
    rows = np.repeat(np.arange(len(index)), repeats)
    names, start = index.ids.values.take(pa.array(rows)).to_pylist(), np.cumsum(repeats) - repeats
    for row, parts in pieces.items():
        first = int(start[row])
        names[first : first + len(parts)] = [index.ids[row] + part for part in parts]
    ids = Strings(text(names))
    order = ids.order()
    rows = rows[order]

    def taken(column: Category) -> Category:
        return Category(column.codes[rows], column.names)

    number = sum(map(len, pieces.values()))
    note = f"{counted(len(pieces), 'unlabeled recording')} cut into {counted(number, 'segment')} (--segment)"
    return replace(
        index,
        ids=ids[order],
        label=taken(index.label),
        splits=taken(index.splits),
        groups=None if index.groups is None else taken(index.groups),
        columns={name: taken(column) for name, column in index.columns.items()},
        notes=(*index.notes, note),
    )


def _without_labeled(index: Index) -> Index:
    """Return an index without unlabeled clips that overlap a clip with a label in the same file."""
    taken = dict[str, list[tuple[float, float]]]()
    for row in np.flatnonzero(index.labels >= 0).tolist():
        file, segment = parse(index.paths[row])
        taken.setdefault(os.path.realpath(file), []).append(_span(segment))
    overlapping = []
    for row in index.rows("unlabeled").tolist():
        file, segment = parse(index.paths[row])
        first, last = _span(segment)
        if any(first < end and start < last for start, end in taken.get(os.path.realpath(file), ())):
            overlapping.append(row)
    if not overlapping:
        return index
    files = {file_of(index.ids[row]) for row in overlapping}
    note = (
        f"{counted(len(overlapping), 'unlabeled clip')} of {counted(len(files), 'file')} not used: they "
        "overlap clips that have a label"
    )
    left = index.without(np.array(overlapping))
    return replace(left, notes=(*left.notes, note))


def _span(segment: Segment | None) -> tuple[float, float]:
    """Return the seconds of a clip; those of one in frames are not known, and may be all."""
    return (0.0, math.inf) if segment is None or segment.in_frames else (segment.start, segment.end)
