"""Frames of a dataset by row: decoded once into a memory-mapped cache, or decoded again each time.

One file per clip holds its frames, scaled to the short side that the run needs. It is named by the video's
path, size and time of change and by the settings, written to a temporary name and renamed, so any number of
processes may fill and read the cache, and one that is killed leaves nothing half. The whole cache is bounded;
clips beyond the bound are decoded whenever they are needed.
"""

import contextlib
import functools
import hashlib
import os
import threading
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


class FrameStore:
    """Frames by row of an index.

    Args:
        paths: the video files.
        short_side: the shorter side of stored frames, in pixels; smaller videos keep their size.
        limit: largest size of the whole cache in bytes; 0 stores nothing.
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
        self._stored = functools.lru_cache(maxsize=8192)(self._load)
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
        missing = [row for row in rows if not self._seen(row)]
        broken: dict[int, str] = {}
        if missing:
            self._used = _bytes_below(self.folder)
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
            frames = decode(self.paths[row], self.short_side)
        return np.ascontiguousarray(frames[indices])

    def _count(self, row: int) -> int:
        """Number of frames of a clip."""
        frames = self._stored(row)
        if frames is not None:
            return len(frames)
        with contextlib.suppress(OSError, ValueError):
            return int(self._file(row, ".count").read_text())
        return len(decode(self.paths[row], self.short_side))

    def _fill(self, row: int) -> str | None:
        """Decode one clip and store it, or where the cache is full its length; the reason if broken."""
        try:
            frames = decode(self.paths[row], self.short_side)
        except DecodeError as error:
            return str(error)
        with self._lock:
            fits = self._used + frames.nbytes <= self.limit
            self._used += frames.nbytes if fits else 0
        if fits:
            self._write(row, ".npy", lambda file: np.save(file, frames))
        else:
            self._write(row, ".count", lambda file: file.write(str(len(frames)).encode()))
        return None

    def _seen(self, row: int) -> bool:
        # Only a file that opens counts: a machine that lost power may have left a torn one.
        return self._load(row) is not None or self._file(row, ".count").exists()

    def _load(self, row: int) -> np.ndarray | None:
        with contextlib.suppress(OSError, ValueError):
            stored: np.ndarray = np.load(self._file(row, ".npy"), mmap_mode="r")
            return stored
        return None

    def _file(self, row: int, suffix: str) -> Path:
        path = self.paths[row]
        try:
            status = os.stat(path)
        except OSError as error:
            raise DecodeError((error.strerror or str(error)).lower()) from None
        identity = f"{_FORMAT}|{path}|{status.st_size}|{status.st_mtime_ns}|{self.short_side}"
        name = hashlib.sha256(identity.encode()).hexdigest()[:32]
        return self.folder / name[:2] / (name + suffix)

    def _write(self, row: int, suffix: str, write: Callable[[Any], Any]) -> None:
        target = self._file(row, suffix)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with replacing(target, durable=False) as file:
                write(file)
        except OSError as error:
            raise InputError(
                f"cannot write the frame cache {self.folder}: {error.strerror}; set SSL_VIDEO_CACHE to "
                "another folder, or use --cache-gib 0 to decode without a cache"
            ) from None


def _bytes_below(folder: Path) -> int:
    """Size of all files below a folder, in bytes."""
    return sum(
        os.path.getsize(os.path.join(parent, name)) for parent, _, names in os.walk(folder) for name in names
    )
