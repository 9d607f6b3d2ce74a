"""Columns of an index: strings and categories as Arrow arrays, without a Python object per row.

A column of an index file is a memory-mapped view of that file, so processes share its pages. Sending a column
to a worker sends only the file's name. Ten million rows therefore cost a worker nothing.
"""

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from ssl_video.errors import InputError

# Arrow's own threads may still run when the program ends, which then aborts ("terminate called without an
# active exception"): so did 4 of 250 programs that read three small tables, and none with one thread.
ONE_THREAD = arrow_csv.ReadOptions(use_threads=False)


class Hasher(Protocol):
    """The part of a `hashlib` object's interface that is used here."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Add bytes."""


@dataclass(frozen=True)
class Origin:
    """A column of an index file. Size and modification time detect a file that was rewritten."""

    file: str
    size: int
    changed: int
    column: str

    def array(self) -> pa.Array:
        """Return the column, memory-mapped.

        Raises:
            InputError: the file is gone or has changed.
        """
        return mapped(self.file, self.size, self.changed).column(self.column)


@functools.lru_cache(maxsize=8)
def mapped(file: str, size: int, changed: int) -> pa.RecordBatch:
    """Return the rows of an index file, memory-mapped.

    Raises:
        InputError: the file is gone, or its size or modification time differs.
    """
    try:
        status = os.stat(file)
    except OSError as error:
        raise InputError(f"cannot read the index file {file}: {error.strerror}") from None
    if (status.st_size, status.st_mtime_ns) != (size, changed):
        raise InputError(f"the index file {file} was changed while it was in use: start again")
    with pa.memory_map(file) as source:
        return pa.ipc.open_file(source).get_batch(0)


class Strings(Sequence[str]):
    """(N,) strings in one Arrow array.

    Args:
        values: the strings.
        origin: the file and column that they come from, if they are a column of an index file.
    """

    def __init__(self, values: pa.Array | pa.ChunkedArray, origin: Origin | None = None) -> None:
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        self.values = values.cast(pa.large_string())
        self._origin = origin

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice | np.ndarray) -> "Strings": ...
    def __getitem__(self, row: Any) -> "str | Strings":
        if isinstance(row, slice):
            return Strings(self.values[row])
        if isinstance(row, np.ndarray):
            return Strings(self.values.filter(pa.array(row)) if row.dtype == bool else self.values.take(row))
        text: str = self.values[int(row)].as_py()
        return text

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), 65536):
            yield from self.values[start : start + 65536].to_pylist()

    def __repr__(self) -> str:
        return f"Strings({', '.join(map(repr, self[:3]))}{', ...' if len(self) > 3 else ''}: {len(self)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (_strings, (self._origin,)) if self._origin else (Strings, (self.values,))

    def tolist(self) -> list[str]:
        """Return the strings as Python objects."""
        texts: list[str] = self.values.to_pylist()
        return texts

    def order(self) -> np.ndarray:
        """Return the rows in code point order, (N,) int64: the order of Python's `sorted`."""
        rows: np.ndarray = pc.array_sort_indices(self.values).to_numpy().astype(np.int64)
        return rows

    def hash_into(self, hasher: Hasher) -> None:
        """Add the number, lengths and bytes of the strings to a hash."""
        values = self.values
        if values.offset:
            values = pa.concat_arrays([values, pa.array([], values.type)])
        _, offsets, text = values.buffers()
        ends = np.frombuffer(offsets, np.int64, len(values) + 1) if len(values) else np.zeros(1, np.int64)
        hasher.update(len(values).to_bytes(8, "little"))
        hasher.update(np.diff(ends).tobytes())
        if text is not None:
            hasher.update(memoryview(text)[ends[0] : ends[-1]])


def _strings(origin: Origin) -> Strings:
    return Strings(origin.array(), origin)


@dataclass(frozen=True, eq=False)
class Category:
    """(N,) strings with many repetitions, stored as codes into a list of names.

    Attributes:
        codes: (N,) integers, indices into `names`; -1: no value, which reads as "".
        names: the distinct strings; some may not occur.
    """

    codes: np.ndarray
    names: Strings
    origin: Origin | None = None

    @staticmethod
    def of(
        values: "pa.Array | pa.ChunkedArray | Sequence[str]", names: Sequence[str] | None = None
    ) -> "Category":
        """Encode strings; `names` fixes the order of names, which are sorted otherwise."""
        if isinstance(values, pa.ChunkedArray):
            values = values.combine_chunks()
        elif not isinstance(values, pa.Array):
            values = pa.array(values, pa.large_string())
        if not pa.types.is_dictionary(values.type):
            values = values.dictionary_encode()
        found = Strings(values.dictionary)
        if names is None:
            order = found.order()
            names = found[order]
            place = np.empty(len(order), np.int64)
            place[order] = np.arange(len(order))
        else:
            position = {name: number for number, name in enumerate(names)}
            place = np.array([position[name] for name in found], np.int64)
            names = Strings(pa.array(list(names), pa.large_string()))
        codes = values.indices.to_numpy(zero_copy_only=False)
        return Category(place[codes] if len(place) else np.empty(0, np.int64), names)

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> str:
        code = int(self.codes[row])
        return self.names[code] if code >= 0 else ""

    def __reduce__(self) -> tuple[Any, ...]:
        return (_category, (self.origin,)) if self.origin else (Category, (self.codes, self.names))

    def array(self) -> pa.DictionaryArray:
        """Return the column as an Arrow array; all rows have a value."""
        return pa.DictionaryArray.from_arrays(pa.array(self.codes), self.names.values)

    def rows(self, *names: str) -> np.ndarray:
        """Return the sorted rows that hold one of the names: (n,) int64."""
        # The last one is for rows without a value.
        wanted = np.array([*(name in names for name in self.names), False], bool)
        return np.flatnonzero(wanted[self.codes])

    def tolist(self) -> list[str]:
        """Return the strings as Python objects."""
        names = [*self.names.tolist(), ""]
        return [names[code] for code in self.codes.tolist()]


def _category(origin: Origin) -> Category:
    values = origin.array()
    return Category(values.indices.to_numpy(), Strings(values.dictionary), origin)


class Paths(Sequence[str]):
    """Absolute file names: a folder and the names below it, joined on access.

    Args:
        root: the folder.
        ids: (N,) the names.
        elsewhere: other folders, by the first part of the names that are below them instead.

    Raises:
        InputError: a name leads out of the folder, as in an index file from an untrusted source.
    """

    def __init__(self, root: str, ids: Strings, elsewhere: Mapping[str, str] = MappingProxyType({})) -> None:
        self.root, self.ids, self.elsewhere = root, ids, dict(elsewhere)

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> "Paths": ...
    def __getitem__(self, row: int | slice) -> "str | Paths":
        if isinstance(row, slice):
            return Paths(self.root, self.ids[row], self.elsewhere)
        return self._path(self.ids[row])

    def __iter__(self) -> Iterator[str]:
        return map(self._path, self.ids)

    def _path(self, name: str) -> str:
        if name.startswith("/") or "/../" in f"/{name}/" or "\0" in name:
            raise InputError(
                f"{name!r} does not lie in {self.root}: rebuild the index with ssl-video data index"
            )
        first, _, rest = name.partition("/")
        if rest and first in self.elsewhere:
            return os.path.join(self.elsewhere[first], rest)
        return os.path.join(self.root, name)
