"""A raw index: the clips as read from a source, and functions that importers share."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ssl_video.data.segments import PART
from ssl_video.errors import InputError, some

# Values of a split column and names of a folder's parts.
SPLITS = (
    {name: name for name in ("train", "test", "val", "")}
    | dict.fromkeys(("valid", "validate", "validation"), "val")
    | {"training": "train", "testing": "test"}
)


@dataclass
class RawIndex:
    """The clips as read, before the checks and conclusions that all sources share.

    Columns are Arrow arrays of strings with one element per clip; `splits` has "train", "test", "val" or ""
    (not used).

    Attributes:
        source: name of the source, for messages.
        name: the dataset's name.
        root: absolute path of the folder that ids are relative to.
        ids: (N,) paths of files as written; once the files have been located, relative to the root.
        segments: (N,) parts of the files, such as "#t=20,30", "" for whole files; None: all are whole.
        sizes: (N,) int64 bytes of the files; None: they were not looked at.
        groups: (N,) source videos, "" where unknown; None: none is known.
        columns: (N,) strings by name. Those that hold splits are other ways to divide the clips.
        lines: rows -> their line numbers in the source, as long as the order is the source's.
    """

    source: str
    name: str = ""
    root: str = ""
    ids: pa.Array = field(default_factory=lambda: text([]))
    labels: pa.Array = field(default_factory=lambda: text([]))
    segments: pa.Array | None = None
    sizes: np.ndarray | None = None
    groups: pa.Array | None = None
    splits: pa.Array | None = None
    columns: dict[str, pa.Array] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    lines: Callable[[np.ndarray], list[int]] | None = None

    @property
    def clips(self) -> pa.Array:
        """(N,) ids of the clips: the files with their segments."""
        return self.ids if self.segments is None else joined("", self.ids, self.segments)

    def split_off_segments(self) -> None:
        """Move the segments at the end of paths, as in `day1.mp4#t=20,30`, from `ids` to `segments`."""
        if not pc.any(pc.match_substring_regex(self.ids, rf"{PART}$")).as_py():
            return
        found = pc.extract_regex(self.ids, rf"(?s)^(?P<file>.+?)(?P<segment>(?:{PART})?)$")
        self.ids, self.segments = (
            pc.fill_null(pc.struct_field(found, name), "") for name in ("file", "segment")
        )

    def take(self, rows: np.ndarray) -> None:
        """Keep the given rows, (n,) integers, in the given order."""
        self.ids, self.labels = self.ids.take(rows), self.labels.take(rows)
        self.segments = None if self.segments is None else self.segments.take(rows)
        self.sizes = None if self.sizes is None else self.sizes[rows]
        self.groups = None if self.groups is None else self.groups.take(rows)
        self.splits = None if self.splits is None else self.splits.take(rows)
        self.columns = {name: values.take(rows) for name, values in self.columns.items()}
        self.lines = None


@contextmanager
def reading() -> Iterator[None]:
    """Turn the system's errors about files that cannot be read into `InputError`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror or error}") from error


def as_splits(values: pa.Array, name: str, problems: list[str]) -> pa.Array:
    """Return a split column's values as "train", "test", "val" or ""; others are added to the problems."""
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    words = values.dictionary.to_pylist()
    strange = sorted(word for word in words if word.lower() not in SPLITS)
    if strange:
        problems.append(f"column {name!r} has {some(strange)}; expected train, test, val or nothing")
    return text([SPLITS.get(word.lower(), "") for word in words]).take(values.indices)


def rows(mask: pa.Array | np.ndarray) -> np.ndarray:
    """Return the rows at which a mask is true, (n,) int64."""
    return np.flatnonzero(mask if isinstance(mask, np.ndarray) else mask.to_numpy(zero_copy_only=False))


def text(strings: Sequence[str | None]) -> pa.Array:
    """Return strings as a column."""
    return pa.array(strings, pa.large_string())


def joined(separator: str, *columns: pa.Array | str) -> pa.Array:
    """Join the strings of several columns row by row; a string stands for a column of equal ones."""
    parts = [pa.scalar(part, pa.large_string()) if isinstance(part, str) else part for part in columns]
    return pc.binary_join_element_wise(*parts, pa.scalar(separator, pa.large_string()))


def split_column(number: int) -> str:
    """Return the name of the column that holds one of several official splits."""
    return "split" if number == 1 else f"split{number}"


def home(source: Path) -> Path:
    """Return the folder that a source lies in, or the source itself if it is a folder."""
    return source if source.is_dir() else source.parent
