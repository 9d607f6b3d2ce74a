"""Frames of a data set by row, from the cache or decoded.

A video that is not stored yet is decoded completely and stored when it is first read, so a run need not wait
until the cache is filled. Of a long video only the frames that are used are decoded and stored, in blocks. If
there is no room, only the requested frames are decoded. The pixels are the same in all cases.
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
from ssl_video.data.frames.timeline import Timelines, long_video
from ssl_video.data.paths import cache_dir
from ssl_video.data.progress import CountProgress
from ssl_video.data.segments import Segment, file_of, parse
from ssl_video.data.video import decode
from ssl_video.data.video.container import DecodeError, stated_seconds

GIB = 2**30
# Pixels may change with the decoder, so its kind and version are part of a stored clip's path.
_DECODER = f"ffmpeg{av.library_versions['libavcodec'][0]}"

_REMEMBERED = 2**16  # files whose facts a process keeps in memory
_BLOCK = 64  # frames of a long video that are stored together
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


class Timing(NamedTuple):
    """Settings of time.

    Attributes:
        rate: frames per second at which videos are read, by time stamps; 0: every frame of the file.
        picture_rate: frames per second of folders of pictures.
        long: seconds above which a video is not decoded and stored as a whole.
    """

    rate: float = 0.0
    picture_rate: float = 25.0
    long: float = 60.0


_AS_STORED = Timing()


class FrameStore:
    """Frames by row of an index.

    Args:
        paths: the video files, folders of pictures, or segments of them, see `ssl_video.data.segments`.
        short_side: the shorter side of frames, in pixels; smaller videos keep their size.
        limit: largest size of the whole cache in bytes; 0 stores no frames, and works without a folder.
        folder: the cache folder; default: the user's cache folder.
        frame_format: storage format: "raw" (as decoded) or "jpeg" (a tenth of the size). With "jpeg" all
            frames are encoded and decoded, stored or not: pixels never depend on the cache's content.
        timing: the rate at which frames are read, and the length of a long video.
    """

    def __init__(
        self,
        paths: Sequence[str],
        short_side: int,
        limit: int = 20 * GIB,
        folder: Path | None = None,
        frame_format: str = "raw",
        timing: Timing = _AS_STORED,
    ) -> None:
        self.paths, self.short_side, self.limit, self.timing = paths, short_side, limit, timing
        self.folder, self.frame_format = folder or cache_dir() / "frames", frame_format
        self._cache = FrameCache(self.folder, frame_format, f"{short_side}-{_DECODER}", limit)
        self._statistics, self._process = Statistics(), os.getpid()
        self._lock = threading.Lock()
        # A caller that asks for the length of an unknown video usually asks for its frames next.
        self._recent: tuple[str, np.ndarray] | None = None
        self._videos: dict[str, Video] = {}
        self._timelines = Timelines(self.folder)

    def __reduce__(self) -> tuple[Any, ...]:
        settings = (self.short_side, self.limit, self.folder, self.frame_format, self.timing)
        return FrameStore, (self.paths, *settings)

    @property
    def setting(self) -> str:
        """Name of the settings that determine the pixels, for example "raw-128-ffmpeg62"."""
        return self._cache.setting

    def prepare(
        self, rows: Sequence[int], progress: CountProgress | None = None, jobs: int | None = None
    ) -> dict[int, str]:
        """Determine the length of every clip, and find videos that cannot be decoded.

        Files whose length is known cost only a look at them. Others are decoded, and stored if there is room.
        Of a long video the packets are read and the first frames decoded. Stored clips are protected from
        removal as long as this process lives.

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
        return self._faults(rows, self._fill(_without(self._firsts(rows), self._seen), progress, jobs))

    def fill(
        self, rows: Sequence[int], progress: CountProgress | None = None, jobs: int | None = None
    ) -> dict[int, str]:
        """Prepare clips as `prepare` does, and store every video that is not long, while there is room."""
        self._cache.claim()
        return self._faults(rows, self._fill(_without(self._firsts(rows), self.stored), progress, jobs))

    def stored(self, row: int) -> bool:
        """Return True if a clip's video is in the cache, or long, so that it is not stored as a whole."""
        video = known.find(self.folder, file_of(self.paths[row]))
        return video is not None and (self.is_long(video) or self._cache.touch(video.content))

    def is_long(self, video: Video) -> bool:
        """Return True if a video is not decoded and stored as a whole."""
        return (video.seconds or video.frames / self.timing.picture_rate) > self.timing.long

    def count(self, row: int) -> int:
        """Return the number of frames of a clip, at the rate of the timing.

        Raises:
            DecodeError: the number is not known, and the video cannot be decoded; or the clip is a segment
                that begins after the end of its file.
        """
        path, segment = parse(self.paths[row])
        video = self._video(path)
        chosen = self._chosen(path, video, segment)
        return video.frames if chosen is None else len(chosen)

    def read(self, row: int, indices: np.ndarray) -> np.ndarray:
        """Return frames of one clip by index, in the order of the indices: uint8 (len(indices), H, W, 3).

        Raises:
            DecodeError: the video is neither stored nor decodable.
        """
        path, segment = parse(self.paths[row])
        video = self._video(path)
        chosen = self._chosen(path, video, segment)
        if chosen is not None:
            indices = chosen[indices]
        recent, self._recent = self._recent, None
        if recent and recent[0] == path:
            frames, hits, misses = self._settled(recent[1][indices]), 0, 1
        elif self.is_long(video):
            frames, hits, misses = self._of_long(path, video, indices)
        else:
            cached = self._cached(video.content, indices)
            frames = self._settled(self._fresh(path, video, indices)) if cached is None else cached
            hits, misses = int(cached is not None), int(cached is None)
        self.add(Statistics(hits, misses, frames.nbytes))
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
        video = known.find(self.folder, file_of(self.paths[row]))
        if video and not self.is_long(video):
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
        """Identify a clip's video and store it if there is room; return the reason if it is broken."""
        path = file_of(self.paths[row])
        try:
            # If there is no room, the frames are not needed now.
            length = decode.count if self._cache.full else None
            video = self._identify(path, length)
            if not self.is_long(video) and not self._cache.full and not self._cache.touch(video.content):
                self._decode(path, video.content)
        except DecodeError as error:
            return str(error)
        return None

    def _firsts(self, rows: Sequence[int]) -> list[int]:
        """Return the first row of each file; the segments of a file follow each other."""
        found, before = list[int](), ""
        for row in rows:
            path, segment = parse(self.paths[row])
            if segment is None or path != before:
                found.append(row)
            before = path
        return found

    def _faults(self, rows: Sequence[int], broken: dict[int, str]) -> dict[int, str]:
        """Return the reason for every row that cannot be read, given those of the first rows of files."""
        reasons = {file_of(self.paths[row]): reason for row, reason in broken.items()}
        for row in rows:
            path, segment = parse(self.paths[row])
            if segment is None:
                continue
            if path in reasons:
                broken[row] = reasons[path]
            else:
                try:
                    self.count(row)
                except DecodeError as error:
                    broken[row] = str(error)
        return broken

    def _video(self, path: str) -> Video:
        """Return a file's facts, looked up once, because shared file systems may be slow to answer."""
        if path not in self._videos:
            if len(self._videos) >= _REMEMBERED:
                self._videos.clear()
            self._videos[path] = self._identify(path)
        return self._videos[path]

    def _identify(self, path: str, length: Callable[[str], int] | None = None) -> Video:
        """Return a file's facts.

        The frames of an unknown video are counted by `length`, or decoded, unless the same content is stored.
        Those of a long video are counted by its packets.
        """
        video = known.find(self.folder, path)
        if video is not None:
            return video
        try:
            content = known.digest(path)
        except OSError as error:
            raise DecodeError((error.strerror or str(error)).lower()) from None
        pictures = os.path.isdir(path)
        seconds = 0.0 if pictures else stated_seconds(path)
        video = Video(content, decode.count(path) if pictures else 0, seconds)
        if self.is_long(video):
            packets = None if pictures else long_video(path)
            frames = len(packets.stamps) if packets else video.frames or decode.count(path)
            if packets:
                self._timelines.add(content, packets)
        else:
            frames = self._length(path, content, length)
        video = video._replace(frames=frames)
        known.note(self.folder, path, video)
        return video

    def _length(self, path: str, content: str, length: Callable[[str], int] | None) -> int:
        clip = self._cache.open(content)
        if clip:
            with clip:
                return len(clip)
        if length:
            return length(path)
        decoded = self._decode(path, content)
        self._recent = (path, decoded)
        return len(decoded)

    def _chosen(self, path: str, video: Video, segment: Segment | None) -> np.ndarray | None:
        """Return the frames of the file that a clip consists of, (F,) indices; None: all, one by one."""
        if segment is None and not self.timing.rate:
            return None
        times = self._times(path, video)
        first, last = 0, video.frames
        if segment:
            scale = np.arange(video.frames) if segment.in_frames else times
            # Containers round time stamps, to milliseconds at worst.
            first, last = np.searchsorted(scale, np.array([segment.start, segment.end]) - 1e-3).tolist()
            if first >= min(last, video.frames):
                raise DecodeError(
                    f"the clip begins at {segment.words}, and the video has {video.frames} frames in "
                    f"{times[-1]:.1f} s"
                )
        chosen = np.arange(first, last)
        if not self.timing.rate:
            return chosen
        return first + at_rate(times[first:last] - times[first], self.timing.rate)

    def _times(self, path: str, video: Video) -> np.ndarray:
        """Return the time of each frame of a file in seconds, (F,)."""
        if os.path.isdir(path):
            return np.arange(video.frames) / self.timing.picture_rate
        return self._timelines.packets(path, video).times

    def _cached(self, name: str, indices: np.ndarray) -> np.ndarray | None:
        """Return frames from the cache. A corrupt file is removed and counts as a cache miss."""
        clip = self._cache.open(name)
        if clip is None:
            return None
        try:
            with clip:
                return clip.read(indices)
        except DamagedError:
            self._cache.remove(name)
        return None

    def _fresh(self, path: str, video: Video, indices: np.ndarray) -> np.ndarray:
        """Return decoded frames: from a whole video if there is room for it, otherwise only those needed."""
        if not self._cache.full:
            return self._decode(path, video.content)[indices]
        return decode.read(path, indices, self.short_side, frames=video.frames)

    def _of_long(self, path: str, video: Video, indices: np.ndarray) -> tuple[np.ndarray, int, int]:
        """Return frames of a long video, and the numbers of its blocks that were stored and that were not."""
        blocks = np.unique(indices // _BLOCK)
        if self.limit == 0:
            return self._settled(self._at(path, video, indices)), 0, len(blocks)
        parts, hits = list[np.ndarray](), 0
        for block in blocks.tolist():
            name, first = f"{video.content}-{block}", block * _BLOCK
            wanted = np.unique(indices[indices // _BLOCK == block])
            frames = self._cached(name, wanted - first)
            hits += frames is not None
            if frames is None and self._cache.full:
                frames = self._settled(self._at(path, video, wanted))
            elif frames is None:
                whole = self._at(path, video, np.arange(first, min(first + _BLOCK, video.frames)))
                self._cache.put(name, whole)
                frames = self._settled(whole[wanted - first])
            parts.append(frames)
        places = np.unique(indices, return_inverse=True)[1]
        return np.concatenate(parts)[places], hits, len(blocks) - hits

    def _at(self, path: str, video: Video, indices: np.ndarray) -> np.ndarray:
        """Return decoded frames of a long video, found by its packets."""
        packets = None if os.path.isdir(path) else self._timelines.packets(path, video)
        return decode.read(path, indices, self.short_side, frames=video.frames, packets=packets)

    def _settled(self, frames: np.ndarray) -> np.ndarray:
        return FORMATS[self.frame_format].settle(frames)

    def _decode(self, path: str, content: str) -> np.ndarray:
        """Decode a whole video, and store it if there is room."""
        frames = decode.decode(path, self.short_side)
        self._cache.put(content, frames)
        return frames


def at_rate(times: np.ndarray, rate: float) -> np.ndarray:
    """Return the frames nearest to evenly spaced times, (n,) indices.

    Args:
        times: (F,) the time of each frame in seconds, from 0, ascending.
        rate: number of times per second.
    """
    even = np.arange(int(times[-1] * rate + 1e-6) + 1) / rate
    between = (times[1:] + times[:-1]) / 2
    return np.searchsorted(between, even - 1e-6)


def _without(rows: Sequence[int], holds: Callable[[int], bool]) -> list[int]:
    """Return the rows for which `holds` is false. Many are checked at once: shared file systems are slow."""
    parts = [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]
    with ThreadPoolExecutor(8) as pool:
        return list(chain.from_iterable(pool.map(lambda part: [r for r in part if not holds(r)], parts)))
