"""Make an index file of a data set: the call behind `ssl-video data index`."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from ssl_video.data.importers import absolute, index_file, no_such
from ssl_video.data.importers.make import IndexRequest, make
from ssl_video.data.importers.source_kinds import KINDS
from ssl_video.data.index import Index
from ssl_video.errors import InputError, unknown
from ssl_video.names import Names, listed
from ssl_video.observer import Observer, observer

Paths = str | PathLike[str] | Sequence[str | PathLike[str]]


@dataclass(frozen=True)
class PartSize:
    """The numbers of clips in one part of a data set.

    Attributes:
        clips: number of clips.
        classes: number of classes with a clip.
        least: clips of the smallest class.
        mean: clips of a class in the mean.
        most: clips of the largest class.
        groups: number of source videos; None: not known.
    """

    clips: int
    classes: int
    least: int
    mean: float
    most: int
    groups: int | None


@dataclass(frozen=True)
class IndexFile:
    """An index file that was written.

    Attributes:
        path: the file.
        index: its content.
        title: the kind of its sources in words, for example "UCF-101's official lists".
        checked: whether the videos were looked for.
    """

    path: Path
    index: Index
    title: str
    checked: bool

    @property
    def parts(self) -> dict[str, PartSize]:
        """The sizes of "train" and "test", and of "unlabeled" and "" (not used) if they have clips."""
        sizes = {part: self._size(part) for part in ("train", "test", "unlabeled", "")}
        return {part: size for part, size in sizes.items() if part in ("train", "test") or size.clips}

    @property
    def splits(self) -> dict[str, dict[str, int]]:
        """For each column that is another way to divide the clips, for `split`, the clips of its parts."""
        return {
            name: {part: len(column.rows(part)) for part in ("train", "val", "test") if part in column.names}
            for name, column in self.index.columns.items()
            if {"train", "test"} <= set(column.names) <= {"train", "test", "val", ""}
        }

    def _size(self, part: str) -> PartSize:
        rows, counts, groups = self.index.rows(part), self.index.counts(part), self.index.groups
        return PartSize(
            clips=len(rows),
            classes=int((counts > 0).sum()),
            least=int(counts.min()),
            mean=float(counts.mean()),
            most=int(counts.max()),
            groups=len(np.unique(groups.codes[rows])) if groups else None,
        )


def make_index(
    *sources: str | PathLike[str],
    output: str | PathLike[str],
    videos: str | PathLike[str] | None = None,
    train: Paths = (),
    val: Paths = (),
    test: Paths = (),
    classes: str | PathLike[str] | None = None,
    kind: str | None = None,
    skip_missing: bool = False,
    check: bool = True,
    unlabeled: Paths = (),
    labels: Paths = (),
    keep_classes: Names = (),
    progress: bool | Observer | None = None,
) -> IndexFile:
    """Write an index file of a data set, which every function takes as `data`.

    Args:
        sources: a folder of class folders, a manifest (CSV or TSV), or the published lists of UCF-101,
            HMDB-51, Kinetics or Something-Something.
        output: the file to write, NAME.arrow.
        videos: the folder that the videos lie in, at any depth; None: that of the source.
        train: lists of training clips of another code base, in place of `sources`.
        val: such lists of validation clips.
        test: such lists of test clips.
        classes: a file with the class names behind the numbers in such lists.
        kind: the kind of the sources; None: recognised.
        skip_missing: leave out clips whose files are missing, in place of stopping.
        check: look for the files.
        unlabeled: further sources of unlabeled clips: folders (their videos at any depth), manifests, lists,
            index files or videos.
        labels: files of corrected and additional labels, with columns path and label.
        keep_classes: classes that are called unlabeled, unknown, none, -1 or ?, which otherwise mean that a
            clip has no label.
        progress: True, False, or an observer; None: shown where there is a terminal or a notebook.

    Raises:
        InputError: every problem with the arguments, or every problem with the sources.
    """
    lists = {part: _listed(files) for part, files in (("train", train), ("val", val), ("test", test))}
    request = IndexRequest(
        sources=[absolute(Path(path)) for path in sources],
        lists={part: [absolute(path) for path in files] for part, files in lists.items() if files},
        classes=absolute(Path(classes)) if classes else None,
        kind=kind,
        videos=absolute(Path(videos)) if videos else None,
        skip_missing=skip_missing,
        check=check,
        unlabeled=[absolute(path) for path in _listed(unlabeled)],
        labels=[absolute(path) for path in _listed(labels)],
        keep_classes=tuple(listed(keep_classes)),
    )
    target, shown = absolute(Path(output)), observer(progress)
    _check(request, target)
    request = request.recognised()
    read = ", ".join(map(str, (*sources, *(path for files in lists.values() for path in files))))
    shown.say(f"reading {read} as {request.title}")
    with shown.preparing() as report:
        index = make(request, target.stem, report)
    index_file.write(index, target)
    return IndexFile(target, index, request.title, check)


def _listed(paths: Paths) -> list[Path]:
    return [Path(paths)] if isinstance(paths, str | PathLike) else [Path(path) for path in paths]


def _check(request: IndexRequest, output: Path) -> None:
    """Check everything that can be wrong before a source is read.

    Raises:
        InputError: every problem.
    """
    files = [file for of_part in request.lists.values() for file in of_part]
    needed = [*request.sources, *files, *([request.classes] if request.classes else [])]
    needed += [request.videos] if request.videos and request.check else []
    needed += [*request.unlabeled, *request.labels]
    problems = [no_such(path) for path in needed if not path.exists()]
    if request.kind is not None and request.kind not in KINDS:
        problems.append(unknown("kind", request.kind, KINDS))
    if not request.sources and not files:
        problems.append("there is nothing to index: give a SOURCE, or lists as --train LIST --test LIST")
    if request.sources and files:
        problems.append("a SOURCE and lists are given: expected only one of them; index them separately")
    if files and "train" not in request.lists:
        given = " and ".join(f"--{part}" for part in request.lists)
        problems.append(f"only {given} is given: expected lists for train, and perhaps for test (or val)")
    if request.classes and not files:
        problems.append("--classes is for lists that are given as --train and --test: leave it out")
    if files and request.kind:
        problems.append("--kind is for a SOURCE, not for lists: leave it out")
    if output.suffix != index_file.SUFFIX:
        problems.append(f"{output}: expected a name that ends in {index_file.SUFFIX}")
    if not output.parent.is_dir():
        problems.append(f"{output.parent} is not a folder: create it, or write to another one")
    if problems:
        raise InputError(*problems)
