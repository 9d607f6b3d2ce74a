"""Records of a run as JSON lines, with their sizes and checksums in its checkpoints."""

import contextlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ssl_video.errors import InputError
from ssl_video.files import open_regular, read_bytes

_CHANGED = "was changed or removed since the run wrote it"
_KEPT = ".damaged"  # the end of the name of a file that is not used
_BLOCK = 2**20  # bytes that are read at once


class Mark(NamedTuple):
    """The part of a record that a run has written.

    Attributes:
        size: its size in bytes.
        checksum: its CRC-32.
        whole: False if earlier lines are lost.
    """

    size: int = 0
    checksum: int = 0
    whole: bool = True


class Records:
    """Files of JSON lines, each an object with a "step", that a run appends to.

    A checkpoint holds the mark of every file. A resumed run goes on behind its marks, so that files end up as
    in an uninterrupted run. Anything behind a mark is removed. A file that does not begin as it was written
    is not used: it is kept under another name, the record restarts empty, its mark says that lines are lost,
    and `warn` gets a sentence.

    Args:
        folder: the run's folder.
        main: whether this process writes; the others do nothing.
    """

    def __init__(self, folder: Path, main: bool = True) -> None:
        self.folder, self.main = folder, main
        self.warn: Callable[[str], None] = lambda _: None
        self._marks: dict[str, Mark] = {}
        self._cut = set[str]()  # files of which it was said that more stood in them

    def state(self) -> dict[str, tuple[int, int, bool]]:
        """Return the marks, by file, as plain values for a checkpoint."""
        return {name: (mark.size, mark.checksum, mark.whole) for name, mark in self._marks.items()}

    def resume(self, names: Iterable[str], marks: Mapping[str, tuple[int, int, bool]] | None) -> None:
        """Continue files behind the marks of a checkpoint.

        Args:
            names: all files that a run may have.
            marks: see `state`; {}: the run begins; None: the checkpoint is of an older version, without.
        """
        for name in names if self.main else ():
            path = self.folder / name
            self._marks[name] = Mark(*(marks or {}).get(name, ()))
            if marks is None and path.exists():
                self._lose(name, "is not known to be whole, as the checkpoint is of an older version")
            elif not self.is_as_written(name):
                self._lose(name, _CHANGED)
            # Lines of later steps, which are carried out once more.
            if self._marks[name].size:
                os.truncate(path, self._marks[name].size)
            else:
                path.unlink(missing_ok=True)

    def write(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Append rows to a file, and wait until they are on the disk."""
        if not self.main:
            return
        path, text = self.folder / name, "".join(json.dumps(row) + "\n" for row in rows).encode()
        if self._size(path) != self._marks.get(name, Mark()).size:
            self._mend(name)
        mark = self._marks.get(name, Mark())
        with path.open("ab" if mark.size else "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self._marks[name] = Mark(mark.size + len(text), zlib.crc32(text, mark.checksum), mark.whole)

    def is_as_written(self, name: str) -> bool:
        """Return whether a file begins as this run wrote it; of other processes, True."""
        mark = self._marks.get(name, Mark())
        return not self.main or checksum(self.folder / name, mark.size) == (mark.size, mark.checksum)

    def damaged(self) -> list[str]:
        """Return the files of which lines are lost, or that are not as they were written.

        What somebody appended to a file is removed.
        """
        for name, mark in self._marks.items():
            if self.main and self._size(self.folder / name) > mark.size > 0 and self.is_as_written(name):
                self._mend(name)
        return [name for name, mark in self._marks.items() if not (mark.whole and self.is_as_written(name))]

    def _mend(self, name: str) -> None:
        """Remove what stands behind this run's lines; if these are not as they were, restart."""
        path, mark = self.folder / name, self._marks.get(name, Mark())
        if self._size(path) < mark.size or not self.is_as_written(name):
            self._lose(name, _CHANGED)
            return
        os.truncate(path, mark.size)
        if name not in self._cut:
            self._cut.add(name)
            self.warn(f"{path} held more than the run wrote: the rest is removed, and its own lines are kept")

    def _lose(self, name: str, reason: str) -> None:
        """Restart a file, keep the old one, and warn."""
        path = self.folder / name
        self._marks[name] = Mark(whole=False)
        where = ""
        with contextlib.suppress(FileNotFoundError):
            os.replace(path, path.with_name(name + _KEPT))
            where = f", the file is kept as {name}{_KEPT}"
        self.warn(
            f"{path} {reason}: this record restarts here{where}, and lacks the earlier steps; the weights do "
            "not depend on it"
        )

    @staticmethod
    def _size(path: Path) -> int:
        return path.stat().st_size if path.exists() else 0


def checksum(path: Path, size: int | None = None) -> tuple[int, int]:
    """Return size and CRC-32 of the first bytes of a file, or of all; of an absent file (0, 0).

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    done, found = 0, 0
    with contextlib.suppress(FileNotFoundError), open_regular(path) as file:
        while block := file.read(_BLOCK if size is None else min(_BLOCK, size - done)):
            done, found = done + len(block), zlib.crc32(block, found)
    return done, found


def read(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a record; while it is being written, the complete ones.

    Raises:
        InputError: the file is damaged: a line is no record, or its step does not come after the one before.
    """
    rows, before = list[dict[str, Any]](), -1
    try:
        texts = read_bytes(path).decode().split("\n")[:-1]
        for number, text in enumerate(texts, 1):
            row = json.loads(text)
            if not is_record(row) or row["step"] <= before:
                raise ValueError(f"line {number} is no record of a step after step {before}")
            before = row["step"]
            rows.append(row)
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {str(error) or type(error).__name__}") from None
    return rows


def is_record(row: object) -> bool:
    """Return whether a line holds an object with a step, and otherwise numbers or objects of them."""
    if not isinstance(row, dict) or type(row.get("step")) is not int:
        return False
    return all(_is_value(value) for value in row.values())


def _is_value(value: object) -> bool:
    """Return whether a value is a number, none, or an object of these."""
    if isinstance(value, dict):
        return all(_is_number(inner) for inner in value.values())
    return _is_number(value)


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
