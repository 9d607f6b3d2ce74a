"""Quarantine lists: the clips of a data set that no run uses, with the reasons, in a table beside the data.

`ssl-video data doctor` writes the list, and `--skip-broken` adds to it. Every run leaves out its clips and
reports this. It is a CSV file with the columns path (as in the index) and reason, which people can read and
edit.
"""

import csv
import hashlib
import io
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from filelock import FileLock

from ssl_video import csv_cells
from ssl_video.data.paths import cache_dir
from ssl_video.errors import InputError
from ssl_video.files import read_bytes, replace_text

SUFFIX = ".quarantine.csv"
_HEADER = ["path", "reason"]


def place(source: Path | str) -> Path:
    """Return the path of a data set's list: beside the data, or in the cache folder if that is read-only.

    Args:
        source: a folder of videos, a manifest or an index file.
    """
    beside, cached = _places(source)
    if beside.exists() or (not cached.exists() and os.access(beside.parent, os.W_OK)):
        return beside
    return cached


def read(source: Path | str) -> dict[str, str]:
    """Return the reasons by id; empty if there is no list.

    Raises:
        InputError: a list is not a CSV file with the two columns.
    """
    found: dict[str, str] = {}
    # The list beside the data takes precedence, because its folder's owner maintains it.
    for path in reversed(_places(source)):
        if path.exists():
            found |= _parse(path)
    return found


def write(source: Path | str, reasons: Mapping[str, str]) -> Path:
    """Replace the list, or remove it if nothing is broken, and return its path.

    Raises:
        InputError: neither place can be written.
    """
    rows = sorted(reasons.items())
    cells = ((csv_cells.mark_path(name), csv_cells.mark(reason)) for name, reason in rows)
    text = "".join(map(csv_cells.line, [_HEADER, *cells]))
    target, other = place(source), _places(source)[1]
    try:
        if not reasons:
            target.unlink(missing_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            replace_text(target, text)
        if other != target:
            other.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write the quarantine list {target}: {error.strerror or error}; make its folder "
            "writable, or set SSL_VIDEO_CACHE to another folder and remove the file"
        ) from None
    return target


def add(source: Path | str, reasons: Mapping[str, str]) -> Path:
    """Add clips to the list and return its path.

    Raises:
        InputError: the list cannot be read or written.
    """
    # The lock makes the second of two simultaneous processes see the additions of the first.
    with _alone(source):
        return write(source, read(source) | dict(reasons))


def _alone(source: Path | str) -> AbstractContextManager[object]:
    """Return a lock for one process at a time, if the cache folder can be written."""
    lock = _places(source)[1].with_suffix(".lock")
    with suppress(OSError):
        lock.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(lock) if os.access(lock.parent, os.W_OK) else nullcontext()


def _places(source: Path | str) -> tuple[Path, Path]:
    path = Path(os.path.abspath(os.path.expanduser(source)))
    key = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    # The whole name, so that a folder and a manifest of the same name have separate lists.
    return path.with_name(path.name + SUFFIX), cache_dir() / "quarantine" / (key + ".csv")


def _parse(path: Path) -> dict[str, str]:
    try:
        rows = [
            row for row in csv.reader(io.StringIO(read_bytes(path).decode("utf-8-sig"), newline="")) if row
        ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"cannot read the quarantine list {path}: {error}") from None
    if rows[:1] != [_HEADER] or any(len(row) != len(_HEADER) for row in rows):
        raise InputError(
            f"{path} is not a quarantine list: expected columns path,reason; fix it, or remove it and run "
            "ssl-video data doctor"
        )
    return {csv_cells.unmark_path(name): csv_cells.unmark(reason) for name, reason in rows[1:]}
