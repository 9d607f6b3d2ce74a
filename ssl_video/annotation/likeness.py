"""Clips that are like each other: copies of a file, and neighbours in a recording."""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from ssl_video.data.frames import video_facts
from ssl_video.data.importers.to_label import Given


class Likeness:
    """The clips that show nearly the same as others.

    Two clips are alike if their files have the same content, and both are the whole file, or their parts of
    it overlap, or the gap between them is shorter than the shorter of both. Parts in seconds and parts in
    frames of one file count as alike.

    Args:
        clips: the clips.
    """

    def __init__(self, clips: Sequence[Given]) -> None:
        self._clips = clips
        self.files = contents([clip.file for clip in clips])
        self._rows = defaultdict[int, list[int]](list)
        for row, number in enumerate(self.files):
            self._rows[number].append(row)

    def __call__(self, row: int) -> np.ndarray:
        """Return the rows of the clips that are like one, with its own, sorted."""
        others = self._rows[self.files[row]]
        return np.array([other for other in others if _alike(self._clips[row], self._clips[other])])

    def copies(self, row: int) -> list[int]:
        """Return the rows of the clips that are the same part of the same content, with its own, sorted."""
        own = self._clips[row].segment
        return [other for other in self._rows[self.files[row]] if self._clips[other].segment == own]


def contents(files: Sequence[str]) -> list[int]:
    """Return a number for each file or folder of pictures, equal for those with the same content.

    Only files of the same size are read. One that cannot be read is like no other.
    """
    names, sizes = sorted(set(files)), defaultdict[object, list[str]](list)
    for name in names:
        try:
            sizes[video_facts.stamp(name)[0]].append(name)
        except OSError:
            sizes[name].append(name)
    numbers = dict[str, int]()
    for some in sizes.values():
        of_content = dict[str, int]()
        for name in some:
            key = _digest(name) if len(some) > 1 else name
            numbers[name] = of_content.setdefault(key, len(numbers))
    return [numbers[name] for name in files]


def united(*kinds: Sequence[object]) -> np.ndarray:
    """Return the numbers of sets of clips, (N,): clips with an equal value of some kind are in one set.

    Args:
        kinds: N values of each kind, such as the contents of files and the names of source videos; None is
            equal to no other.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(kinds[0])
    nodes, edges = dict[object, int](), list[tuple[int, int]]()
    for kind, values in enumerate(kinds):
        for row, value in enumerate(values):
            if value is not None:
                edges.append((row, count + nodes.setdefault((kind, value), len(nodes))))
    size = count + len(nodes)
    ends = np.array(edges, np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), bool), (ends[:, 0], ends[:, 1])), shape=(size, size))
    found: np.ndarray = connected_components(graph, directed=False)[1][:count]
    return found


def _digest(name: str) -> str:
    """Return the digest of a file's content; its name, if it cannot be read."""
    try:
        return video_facts.digest(name)
    except OSError:
        return name


def _alike(one: Given, other: Given) -> bool:
    """Return whether two clips of the same content are alike, see `Likeness`."""
    units = [clip.segment.in_frames for clip in (one, other) if clip.segment]
    if len(set(units)) == 2:
        return True
    parts = [
        (clip.segment.start, clip.segment.end) if clip.segment else (0, math.inf) for clip in (one, other)
    ]
    (first, end), (second, last) = sorted(parts)
    gap = second - end
    return gap < 0 or gap < min(end - first, last - second)
