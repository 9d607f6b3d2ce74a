"""Frames of a dataset by row: decoded once into a memory-mapped cache, or decoded again each time.

One file per clip holds its frames, scaled to the short side that the run needs. It is named by the video's
path, size and time of change and by the settings, written to a temporary name and renamed, so any number of
processes may fill and read the cache, and one that is killed leaves nothing half. The whole cache is bounded
(processes that fill it at the same time each count for themselves); clips beyond the bound are decoded
whenever they are needed, and only their length is kept.
"""

import contextlib
import functools
import hashlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ssl_video.data.decode import DecodeError, decode
from ssl_video.data.paths import cache_dir
from ssl_video.errors import InputError
from ssl_video.files import replacing

GIB = 2**30
_FORMAT = 1  # counts changes of what is stored, so that old files are not read
_STALE = 24 * 3600  # seconds after which a file that nobody completed was left by a killed process
_UNREADABLE = (OSError, ValueError, EOFError)  # what numpy raises for files that are absent, torn or empty


class FrameStore:
    """Frames by row of an index.

    Args:
        paths: the video files.
        short_side: the shorter side of stored frames, in pixels; smaller videos keep their size.
        limit: largest size of the whole cache in bytes; 0 stores no frames, and works without a folder.
        folder: where the cache lies; default: the user's cache folder.
    """

    def __init__(
        self, paths: Sequence[str], short_side: int, limit: int = 20 * GIB, folder: Path | None = None
    ) -> None:
        self.paths, self.short_side, self.limit = paths, short_side, limit
        self.folder = folder or cache_dir() / "frames"
        self._used = 0
        self._lock = threading.Lock()
        # A process may hold some 65,000 mappings; the bound leaves room for others.
        self._mapped = functools.lru_cache(maxsize=8192)(self._map)
        # Whoever asks for the length of a clip that is not stored asks for its frames next.
        self._decoded = functools.lru_cache(maxsize=1)(self._decode)
        self.count = functools.lru_cache(maxsize=None)(self._count)

    def __reduce__(self) -> tuple[Any, ...]:
        return FrameStore, (self.paths, self.short_side, self.limit, self.folder)

    def prepare(
        self, rows: Sequence[int], progress: Callable[[int, int], None] | None = None
    ) -> dict[int, str]:
        """Decode every clip once: fills the cache, counts frames, and finds what cannot be decoded.

        Args:
            rows: rows to look at; those seen before cost a look at the cache only.
            progress: called with the number done and the number to do.

        Returns:
            The reason for every row whose video is broken.

        Raises:
            InputError: the cache folder cannot be written.
        """
        self._used = _tidy(self.folder)
        missing = [row for row in rows if not self._seen(row)]
        broken: dict[int, str] = {}
        if missing:
            # PyAV decodes outside Python's global lock, so threads serve.
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                for done, (row, reason) in enumerate(
                    zip(missing, pool.map(self._fill, missing), strict=True)
                ):
                    if reason:
                        broken[row] = reason
                    if progress:
                        progress(done + 1, len(missing))
        return broken

    def read(self, row: int, indices: np.ndarray) -> np.ndarray:
        """Frames of one clip by index, in the order asked: uint8 (len(indices), H, W, 3).

        Raises:
            DecodeError: the video is neither stored nor decodable.
        """
        frames = self._stored(row)
        if frames is None:
            frames = self._decoded(row)
        chosen: np.ndarray = frames[indices]  # a copy in memory, not a part of the map
        return chosen

    def _count(self, row: int) -> int:
        """Number of frames of a clip."""
        frames = self._stored(row)
        if frames is not None:
            return len(frames)
        length = self._length(row)
        return length[0] if length else len(self._decoded(row))

    def _decode(self, row: int) -> np.ndarray:
        return decode(self.paths[row], self.short_side)

    def _seen(self, row: int) -> bool:
        """Whether a clip is stored, or known to be too large for what is left of the cache."""
        if self._stored(row) is not None:
            return True
        length = self._length(row)
        return length is not None and self._used + length[1] > self.limit

    def _fill(self, row: int) -> str | None:
        """Decode one clip and store it, or where the cache is full its length; the reason if broken."""
        try:
            frames = self._decode(row)
        except DecodeError as error:
            return str(error)
        with self._lock:
            fits = self._used + frames.nbytes <= self.limit
            self._used += frames.nbytes if fits else 0
        if fits:
            self._write(row, ".npy", lambda file: np.save(file, frames))
        else:
            text = f"{len(frames)} {frames.nbytes}"
            self._write(row, ".count", lambda file: file.write(text.encode()))
        return None

    def _stored(self, row: int) -> np.ndarray | None:
        """The frames in the cache. One that does not open is missing: a power cut may have torn it."""
        with contextlib.suppress(*_UNREADABLE):
            return self._mapped(row)
        return None

    def _map(self, row: int) -> np.ndarray:
        stored: np.ndarray = np.load(self._file(row, ".npy"), mmap_mode="r")
        return stored

    def _length(self, row: int) -> tuple[int, int] | None:
        """Frames and bytes of a clip that was decoded, but did not fit."""
        with contextlib.suppress(*_UNREADABLE):
            frames, size = self._file(row, ".count").read_text().split()
            return int(frames), int(size)
        return None

    def _file(self, row: int, suffix: str) -> Path:
        path = self.paths[row]
        status = os.stat(path)
        identity = f"{_FORMAT}|{path}|{status.st_size}|{status.st_mtime_ns}|{self.short_side}"
        name = hashlib.sha256(identity.encode()).hexdigest()[:32]
        return self.folder / name[:2] / (name + suffix)

    def _write(self, row: int, suffix: str, write: Callable[[Any], Any]) -> None:
        try:
            target = self._file(row, suffix)
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target, durable=False) as file:
                write(file)
        except OSError as error:
            if self.limit:
                raise InputError(
                    f"cannot write the frame cache {self.folder}: {error.strerror or error}; set "
                    "SSL_VIDEO_CACHE to another folder, or use --cache-gib 0 to decode without a cache"
                ) from None


def _tidy(folder: Path) -> int:
    """Remove what killed processes left half; the size of all other files, in bytes."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            # Another process may have renamed or removed it by now.
            with contextlib.suppress(OSError):
                status = os.stat(path)
                if name.endswith(".part") and time.time() - status.st_mtime > _STALE:
                    os.unlink(path)
                else:
                    total += status.st_size
    return total
