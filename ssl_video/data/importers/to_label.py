"""The clips that a user wants labels for: videos, and those in folders, manifests, lists and index files."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from ssl_video.data.importers import absolute, index_file, no_such
from ssl_video.data.importers.locate import is_clip
from ssl_video.data.importers.manifest import read_table, with_known_names, with_segments
from ssl_video.data.importers.raw_index import RawIndex, reading
from ssl_video.data.importers.unlabeled import read_source
from ssl_video.data.names import is_video
from ssl_video.data.segments import Segment, file_of, parse
from ssl_video.errors import InputError

_LISTS = (".csv", ".tsv", ".txt", index_file.SUFFIX)


class Given(NamedTuple):
    """A clip to label.

    Attributes:
        path: its path as given, on the command line or in the list. A part in seconds is left out, because
            the tables of labels have it in columns of their own; a part in frames is not.
        name: absolute path of its file or folder of pictures, with the clip's part of it.
        file: the same without the part.
        segment: the clip's part of the file; None: all of it.
        label: the label that an index file or a manifest has for it; "": none.
    """

    path: str
    name: str
    file: str
    segment: Segment | None
    label: str = ""

    @property
    def start(self) -> float | None:
        """The second at which the clip begins in its file; None: the file's first, or given in frames."""
        return None if self.segment is None or self.segment.in_frames else self.segment.start

    @property
    def end(self) -> float | None:
        """The second at which the clip ends; None: the file's last, or given in frames."""
        end = math.inf if self.segment is None or self.segment.in_frames else self.segment.end
        return end if end < math.inf else None


def clips(sources: Sequence[str | os.PathLike[str]]) -> list[Given]:
    """Return the clips of videos, folders, manifests (.csv, .tsv), lists (.txt) and index files (.arrow).

    Folders are searched at any depth, and the clips are in the order of the sources. A video that cannot be
    found is a clip, too: the reason is found when it is read.

    Raises:
        InputError: a folder or list does not exist or has no clips, or none of a list's files exists.
    """
    found, problems = list[Given](), list[str]()
    for source in [os.fspath(source) for source in sources]:
        try:
            with reading():
                found += _of(source)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    return found


def video(source: str | os.PathLike[str]) -> Given:
    """Return a video, a part of one or a folder of pictures as a clip, whether it exists or not."""
    return _given(os.fspath(source), str(absolute(Path(source))))


def _of(source: str) -> list[Given]:
    """Return the clips of one source."""
    path = absolute(source)
    listed = path.suffix.lower() in _LISTS and not path.is_dir()
    if not listed and (not path.is_dir() or is_clip(path)):
        if not os.path.exists(file_of(str(path))) and not is_video(file_of(source)):
            raise InputError(no_such(path))
        return [video(source)]
    if path.suffix == index_file.SUFFIX:
        if not path.exists():
            raise InputError(no_such(path))
        index = index_file.read(path)
        names = (*index.classes, "")  # of clips without a label, whose number is -1
        return [
            _given(index.ids[row], index.paths[row], names[index.labels[row]]) for row in index.used.tolist()
        ]
    raw = read_source(path, faulty=True)
    if raw.problems:
        raise InputError(*(f"{path}: {problem}" for problem in raw.problems))
    shown = source if path.is_dir() else raw.root if raw.root == "/" else ""
    names = raw.clips.to_pylist()
    labels = _labels(path) if path.suffix.lower() in (".csv", ".tsv") else {}
    return [
        _given(
            os.path.join(shown, name),
            os.path.join(raw.root, name),
            labels.get(os.path.join(shown, name), ""),
        )
        for name in names
    ]


def _labels(path: Path) -> dict[str, str]:
    """Return the labels of a manifest by its clips; none without the columns."""
    columns = with_known_names(read_table(path))
    if not {"path", "label"} <= columns.keys():
        return {}
    names = with_segments(columns["path"].cast(pa.large_string()), columns, RawIndex(str(path)))
    return dict(zip(names.to_pylist(), columns["label"].cast(pa.large_string()).to_pylist(), strict=True))


def _given(shown: str, name: str, label: str = "") -> Given:
    """Return a clip by its path as given, and by its absolute path."""
    file, segment = parse(name)
    in_seconds = segment is not None and not segment.in_frames
    return Given(file_of(shown) if in_seconds else shown, name, file, segment, label)
