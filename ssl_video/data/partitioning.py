"""Make, read and compare partitions: the calls behind `ssl-video data partition`. Never imports torch."""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_video.data.dataset import draw as draw_labels
from ssl_video.data.dataset import read_index
from ssl_video.data.index import Index
from ssl_video.data.partitions import partition_file, published, summary
from ssl_video.data.partitions.partition import Partition
from ssl_video.data.partitions.protocols import Listed, parse
from ssl_video.data.partitions.published import PublishedProtocol
from ssl_video.data.partitions.summary import ClipComparison, Clips
from ssl_video.errors import InputError, unknown
from ssl_video.names import Names, Place, listed
from ssl_video.observer import Observer, observer
from ssl_video.spec import build

if TYPE_CHECKING:
    import pandas as pd

_PARTS = ("labeled", "validation", "unlabeled", "test")


@dataclass(frozen=True)
class DataPartition:
    """A partition of a data set's clips into labeled, validation, unlabeled and test ones.

    Attributes:
        index: the clips.
        partition: the rows of each part, the protocol, the draw, and the fingerprint.
    """

    index: Index
    partition: Partition

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(getattr(self.partition, part))} {part}" for part in _PARTS)
        return f"DataPartition({self.index.name!r}, {self.partition.protocol!r}: {counts})"

    @property
    def parts(self) -> dict[str, Clips]:
        """The clips of each part that has any: training (all of them), labeled, validation, ..., test."""
        rows = {part: getattr(self.partition, part) for part in _PARTS}
        rows = {"training": self.index.rows("train"), **rows}
        return {part: summary.of_rows(self.index, some) for part, some in rows.items() if len(some)}

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on the data set and on the partition that the user should know."""
        return *self.index.notes, *self.partition.notes

    def write(self, path: str | PathLike[str]) -> None:
        """Write the partition to a file, which is a protocol itself: protocol="PATH".

        Raises:
            InputError: the file cannot be written.
        """
        partition_file.write(self.partition, self.index, Path(path))

    def to_frame(self) -> "pd.DataFrame":
        """Return one row per clip and part; columns: id, label and part."""
        import pandas as pd  # takes half a second

        rows = [
            (self.index.ids[row], self.index.label[row], part)
            for part in _PARTS
            for row in getattr(self.partition, part).tolist()
        ]
        return pd.DataFrame(rows, columns=["id", "label", "part"])


@dataclass(frozen=True)
class ListedClips:
    """The clips in a file: a partition, or a list of labeled clips.

    Attributes:
        path: the file.
        facts: the facts that stand above a partition, by name; a list has none.
        parts: the clips of each part: labeled, perhaps validation and unused.
    """

    path: Path
    facts: Mapping[str, str]
    parts: Mapping[str, Clips]


@dataclass(frozen=True)
class PartitionComparison:
    """The labeled clips of two partitions.

    Attributes:
        first: those of the first.
        second: those of the second.
        overlap: how many clips and source videos are in both, by class.
    """

    first: Clips
    second: Clips
    overlap: ClipComparison


def make_partition(
    data: Place,
    output: str | PathLike[str] | None = None,
    *,
    protocol: str | None = None,
    root: Place | None = None,
    split: str | None = None,
    unlabeled: Names = (),
    labels: Names = (),
    segment: float | None = None,
    keep_classes: Names = (),
    draw: int | None = None,
    labeled_in_unlabeled: bool | None = None,
    validation: float | None = None,
    lists: Place | None = None,
    progress: bool | Observer | None = None,
) -> DataPartition:
    """Draw the labeled clips of a data set.

    Args:
        data: "demo", a folder of class folders, a manifest (CSV), or an index file.
        output: a file to write the partition to, which is a protocol itself; None: none.
        protocol: the partition protocol, see `ssl_video.list_protocols`; None: all if the data has unlabeled
            clips, otherwise per-class:10.
        root: the folder that the manifest's paths start from.
        split: the manifest's column that says train or test; None: "split".
        unlabeled: further sources of unlabeled clips: folders, manifests, lists, index files or videos.
        labels: files of corrected and additional labels, with columns path and label.
        segment: seconds per clip of an unlabeled recording; None: 10; 0: recordings stay whole.
        keep_classes: classes that are called unlabeled, unknown, none, -1 or ?.
        draw: number of the draw; None: 0.
        labeled_in_unlabeled: whether the labeled clips are also used as unlabeled ones.
        validation: labeled clips kept for validation: a fraction below 1, or a number per class.
        lists: the folder with the lists that published protocols need.
        progress: True, False, or an observer; None: shown where there is a terminal or a notebook.

    Raises:
        InputError: the data cannot be read, there is no such protocol, or it asks for more than there is.
    """
    given = {
        "data": data, "protocol": protocol, "root": root, "split": split, "draw": draw, "lists": lists,
        "labeled_in_unlabeled": labeled_in_unlabeled, "validation": validation,
        "unlabeled": listed(unlabeled) or None, "labels": listed(labels) or None,
        "keep_classes": listed(keep_classes) or None, "segment": segment,
    }  # fmt: skip
    (made,) = _made(given, [protocol], progress)
    if output is not None:
        made.write(output)
    return made


def read_partition(path: str | PathLike[str], lists: Place | None = None) -> ListedClips:
    """Read the clips in a partition file, a list of labeled clips, or a published list.

    Args:
        path: the file; or the name of a published protocol.
        lists: the folder with the published lists.

    Raises:
        InputError: there is no such file, it was changed, or it does not say the classes of its clips.
    """
    what = str(path)
    rule = parse(what, Path(lists) if lists else None)
    if not isinstance(rule, Listed):
        raise InputError(f"{what} is a rule: to draw clips, give a data set (with --protocol {what})")
    is_partition = partition_file.is_one(rule.path)
    facts = dict(partition_file.read(rule.path).shown) if is_partition else {}
    return ListedClips(rule.path, facts, summary.of_file(rule.path))


def compare_partitions(
    first: str,
    second: str,
    data: Place | None = None,
    *,
    root: Place | None = None,
    split: str | None = None,
    unlabeled: Names = (),
    labels: Names = (),
    segment: float | None = None,
    keep_classes: Names = (),
    draw: int | None = None,
    labeled_in_unlabeled: bool | None = None,
    validation: float | None = None,
    lists: Place | None = None,
    progress: bool | Observer | None = None,
) -> PartitionComparison:
    """Compare two files, published protocols, or (with `data`) any protocols by their labeled clips.

    Args:
        first: a file or a protocol.
        second: another one.
        data: the data set that both are protocols of; not needed for files.
        root: see `make_partition`.
        split: see `make_partition`.
        unlabeled: see `make_partition`.
        labels: see `make_partition`.
        segment: see `make_partition`.
        keep_classes: see `make_partition`.
        draw: see `make_partition`.
        labeled_in_unlabeled: see `make_partition`.
        validation: see `make_partition`.
        lists: see `make_partition`.
        progress: see `make_partition`.

    Raises:
        InputError: a file or the data cannot be read, or there is no such protocol.
    """
    drawing = {
        "root": root, "split": split, "draw": draw, "labeled_in_unlabeled": labeled_in_unlabeled,
        "validation": validation, "unlabeled": listed(unlabeled) or None, "segment": segment,
        "labels": listed(labels) or None, "keep_classes": listed(keep_classes) or None,
    }  # fmt: skip
    if data is None:
        if any(value is not None for value in drawing.values()):
            raise InputError("files are compared as they are: to draw, give the data set with --data")
        clips = [read_partition(what, lists).parts["labeled"] for what in (first, second)]
    else:
        made = _made(drawing | {"data": data, "lists": lists}, [first, second], progress)
        clips = [summary.of_rows(one.index, one.partition.labeled) for one in made]
    return PartitionComparison(clips[0], clips[1], summary.compare(clips[0], clips[1]))


def list_published(pattern: str = "*") -> dict[str, PublishedProtocol]:
    """Return every published protocol whose name fits a pattern: its rule, counts, source and lists.

    Args:
        pattern: as for files: * stands for any characters, ? for one. "ucf101-*" fits those of UCF-101.
    """
    return {name: published.load(name) for name in published.names() if fnmatch.fnmatchcase(name, pattern)}


def find_published(name: str) -> PublishedProtocol:
    """Return a published protocol.

    Args:
        name: its name, for example "ucf101-videossl-10".

    Raises:
        InputError: there is no such protocol.
    """
    if name not in published.names():
        raise InputError(unknown("published protocol", name, published.names()))
    return published.load(name)


def _made(
    given: Mapping[str, Any], protocols: list[str] | list[str | None], progress: bool | Observer | None
) -> list[DataPartition]:
    """Return the partitions of one data set by several protocols."""
    specs = [
        build({key: value for key, value in {**given, "protocol": protocol}.items() if value is not None})
        for protocol in protocols
    ]
    with observer(progress).preparing() as report:
        index = read_index(specs[0], report)
    return [DataPartition(index, draw_labels(spec, index)) for spec in specs]
