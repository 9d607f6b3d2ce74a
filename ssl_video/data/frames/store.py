"""Frames of a data set by row, from the cache or decoded.

A clip that is not stored yet is decoded completely and stored when it is first read, so a run need not wait
until the cache is filled. If there is no room, only the requested frames are decoded. The pixels are the same
in all cases.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np

from ssl_video.data.frames import known
from ssl_video.data.frames.cache import FrameCache
from ssl_video.data.frames.formats import FORMATS, DamagedError
from ssl_video.data.frames.known import Video
from ssl_video.data.paths import cache_dir
from ssl_video.data.progress import CountProgress
from ssl_video.data.video import decode
from ssl_video.data.video.decode import DecodeError

GIB = 2**30
# Pixels may change with the decoder, so its kind and version are part of a stored clip's path.
_DECODER = f"ffmpeg{av.library_versions['libavcodec'][0]}"

_REMEMBERED = 2**16  # clips whose facts a process keeps in memory
_AT_ONCE = 1000  # files that one thread looks at, one after the other


class Statistics(NamedTuple):
    """Numbers of reads from the cache and by decoding.

    Attributes:
        hits: reads from the cache.
        misses: reads that had to decode.
        bytes: size of all frames read, after decoding, in bytes.
    """

    hits: int = 0
    misses: int = 0
    bytes: int = 0

    @property
    def hit_rate(self) -> float:
        """Fraction of reads from the cache; 0 if nothing was read."""
        return self.hits / max(self.hits + self.misses, 1)


class FrameStore:
    """Frames by row of an index.

    Args:
        paths: the video files.
        short_side: the shorter side of frames, in pixels; smaller videos keep their size.
        limit: largest size of the whole cache in bytes; 0 stores no frames, and works without a folder.
        folder: the cache folder; default: the user's cache folder.
        frame_format: storage format: "raw" (as decoded) or "jpeg" (a tenth of the size). With "jpeg" all
            frames are encoded and decoded, stored or not: pixels never depend on the cache's content.
    """

    def __init__(
        self,
        paths: Sequence[str],
        short_side: int,
        limit: int = 20 * GIB,
        folder: Path | None = None,
        frame_format: str = "raw",
    ) -> None:
        self.paths, self.short_side, self.limit = paths, short_side, limit
        self.folder, self.frame_format = folder or cache_dir() / "frames", frame_format
        self._cache = FrameCache(self.folder, frame_format, f"{short_side}-{_DECODER}", limit)
        self._statistics, self._process = Statistics(), os.getpid()
        self._lock = threading.Lock()
        # A caller that asks for the length of an unknown clip usually asks for its frames next.
        self._recent: tuple[int, np.ndarray] | None = None
        self._videos: dict[int, Video] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return FrameStore, (self.paths, self.short_side, self.limit, self.folder, self.frame_format)

    @property
    def setting(self) -> str:
        """Name of the settings that determine the pixels, for example "raw-128-ffmpeg62"."""
        return self._cache.setting

    def prepare(
        self, rows: Sequence[int], progress: CountProgress | None = None, jobs: int | None = None
    ) -> dict[int, str]:
        """Determine the length of every clip, and find videos that cannot be decoded.

        Clips whose length is known cost only a look at their files. Others are decoded, and stored if there
        is room. Stored clips are protected from removal as long as this process lives.

        Args:
            rows: rows to look at.
            progress: called with the number of clips done and the total.
            jobs: number of videos decoded in parallel; default: the number of cores.

        Returns:
            The reason for every row whose video is broken.

        Raises:
            InputError: the cache folder cannot be written.
        """
        self._cache.claim()
        return self._fill(_without(rows, self._seen), progress, jobs)

    def fill(
        self, rows: Sequence[int], progress: CountProgress | None = None, jobs: int | None = None
    ) -> dict[int, str]:
        """Prepare clips as `prepare` does, and store every clip as long as there is room."""
        self._cache.claim()
        return self._fill(_without(rows, self.stored), progress, jobs)

    def stored(self, row: int) -> bool:
        """Return True if a clip is in the cache."""
        video = known.find(self.folder, self.paths[row])
        return video is not None and self._cache.touch(video.content)

    def count(self, row: int) -> int:
        """Return the number of frames of a clip.

        Raises:
            DecodeError: the number is not known, and the video cannot be decoded.
        """
        return self._video(row).frames

    def read(self, row: int, indices: np.ndarray) -> np.ndarray:
        """Return frames of one clip by index, in the order of the indices: uint8 (len(indices), H, W, 3).

        Raises:
            DecodeError: the video is neither stored nor decodable.
        """
        video = self._video(row)
        recent, self._recent = self._recent, None
        again = recent[1][indices] if recent and recent[0] == row else None
        frames = self._cached(video, indices) if again is None else None
        hit = frames is not None
        if frames is None:
            decoded = self._fresh(row, video, indices) if again is None else again
            frames = FORMATS[self.frame_format].settle(decoded)
        self.add(Statistics(int(hit), int(not hit), frames.nbytes))
        return frames

    def statistics(self) -> Statistics:
        """Return the statistics of this store and of the worker processes whose numbers were added."""
        # Numbers counted before a fork belong to the parent process.
        return self._statistics if self._process == os.getpid() else Statistics()

    def take(self) -> Statistics:
        """Return the statistics so far and reset them; a worker process sends them to its parent."""
        with self._lock:
            taken, self._statistics = self.statistics(), Statistics()
        return taken

    def add(self, more: Statistics) -> None:
        """Add the statistics of reads in this process or in a worker process."""
        with self._lock:
            added = (mine + others for mine, others in zip(self.statistics(), more, strict=True))
            self._statistics, self._process = Statistics(*added), os.getpid()

    def _seen(self, row: int) -> bool:
        """Return True if a clip's length is known, and record the use of a stored clip."""
        video = known.find(self.folder, self.paths[row])
        if video:
            self._cache.touch(video.content)
        return video is not None

    def _fill(self, rows: list[int], progress: CountProgress | None, jobs: int | None) -> dict[int, str]:
        # Processes that fill one cache at the same time start at different rows, and find each other's clips.
        place = os.getpid() * 2654435761 % max(len(rows), 1)
        rows = rows[place:] + rows[:place]
        broken: dict[int, str] = {}
        # PyAV decodes outside Python's global lock: threads were as fast as processes.
        pool = ThreadPoolExecutor(jobs or os.cpu_count())
        try:
            for done, (row, reason) in enumerate(zip(rows, pool.map(self._fill_one, rows), strict=True)):
                if reason:
                    broken[row] = reason
                if progress:
                    progress(done + 1, len(rows))
        finally:
            pool.shutdown(cancel_futures=True)
            self._recent = None
        return broken

    def _fill_one(self, row: int) -> str | None:
        """Identify a clip and store it if there is room; return the reason if it is broken."""
        try:
            # If there is no room, the frames are not needed now.
            length = decode.count if self._cache.full else None
            video = self._identify(row, length)
            if not self._cache.full and not self._cache.touch(video.content):
                self._decode(row, video.content)
        except DecodeError as error:
            return str(error)
        return None

    def _video(self, row: int) -> Video:
        """Return a clip's video. It is looked up once, because shared file systems may be slow to answer."""
        if row not in self._videos:
            if len(self._videos) >= _REMEMBERED:
                self._videos.clear()
            self._videos[row] = self._identify(row)
        return self._videos[row]

    def _identify(self, row: int, length: Callable[[str], int] | None = None) -> Video:
        """Return a clip's video.

        The frames of an unknown video are counted by `length`, or decoded, unless the same content is stored.
        """
        path = self.paths[row]
        video = known.find(self.folder, path)
        if video is None:
            try:
                content = known.digest(path)
            except OSError as error:
                raise DecodeError((error.strerror or str(error)).lower()) from None
            clip = self._cache.open(content)
            if clip:
                with clip:
                    frames = len(clip)
            elif length:
                frames = length(path)
            else:
                decoded = self._decode(row, content)
                self._recent, frames = (row, decoded), len(decoded)
            video = Video(content, frames)
            known.note(self.folder, path, video)
        return video

    def _cached(self, video: Video, indices: np.ndarray) -> np.ndarray | None:
        """Return frames from the cache. A corrupt file is removed and counts as a cache miss."""
        clip = self._cache.open(video.content)
        if clip is None:
            return None
        try:
            with clip:
                return clip.read(indices)
        except DamagedError:
            self._cache.remove(video.content)
        return None

    def _fresh(self, row: int, video: Video, indices: np.ndarray) -> np.ndarray:
        """Return decoded frames: from a whole clip if there is room for it, otherwise only those needed."""
        if not self._cache.full:
            return self._decode(row, video.content)[indices]
        return decode.read(self.paths[row], indices, self.short_side, frames=video.frames)

    def _decode(self, row: int, content: str) -> np.ndarray:
        """Decode a whole clip, and store it if there is room."""
        frames = decode.decode(self.paths[row], self.short_side)
        self._cache.put(content, frames)
        return frames


def _without(rows: Sequence[int], holds: Callable[[int], bool]) -> list[int]:
    """Return the rows for which `holds` is false. Many are checked at once: shared file systems are slow."""
    parts = [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]
    with ThreadPoolExecutor(8) as pool:
        return list(chain.from_iterable(pool.map(lambda part: [r for r in part if not holds(r)], parts)))
