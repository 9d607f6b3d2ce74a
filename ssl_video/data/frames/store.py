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

from ssl_video.data.frames import blocks, video_facts
from ssl_video.data.frames.cache import FrameCache
from ssl_video.data.frames.extent import FILES_OWN, Clock, Extent, Times, extent
from ssl_video.data.frames.formats import FORMATS
from ssl_video.data.frames.timeline import Timelines, duration, long_video
from ssl_video.data.frames.video_facts import VideoFacts
from ssl_video.data.paths import cache_dir
from ssl_video.data.progress import CountProgress
from ssl_video.data.segments import file_of, parse
from ssl_video.data.video import decode
from ssl_video.data.video.container import DecodeError, stop_with

GIB = 2**30
# Pixels may change with the decoder, so its kind and version are part of a stored clip's path.
_DECODER = f"ffmpeg{av.library_versions['libavcodec'][0]}"

_REMEMBERED = 2**16  # files whose facts a process keeps in memory
LONG = 60.0  # seconds above which a video is long
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
        paths: the video files, folders of pictures, or segments of them, see `ssl_video.data.segments`.
        short_side: the shorter side of frames, in pixels; smaller videos keep their size.
        limit: largest size of the whole cache in bytes; 0 stores no frames, and works without a folder.
        folder: the cache folder; default: the user's cache folder.
        frame_format: storage format: "raw" (as decoded) or "jpeg" (a tenth of the size). With "jpeg" all
            frames are encoded and decoded, stored or not: pixels never depend on the cache's content.
        long: seconds above which a video is not decoded and stored as a whole.
        clock: the rate at which frames are counted.
    """

    def __init__(
        self,
        paths: Sequence[str],
        short_side: int,
        limit: int = 20 * GIB,
        folder: Path | None = None,
        frame_format: str = "raw",
        long: float = LONG,
        clock: Clock = FILES_OWN,
    ) -> None:
        self.paths, self.short_side, self.limit, self.long, self.clock = paths, short_side, limit, long, clock
        self.folder, self.frame_format = folder or cache_dir() / "frames", frame_format
        self._cache = FrameCache(self.folder, frame_format, f"{short_side}-{_DECODER}", limit)
        self._statistics, self._process = Statistics(), os.getpid()
        self._lock = threading.Lock()
        # A caller that asks for the length of an unknown video usually asks for its frames next.
        self._recent: tuple[str, np.ndarray] | None = None
        self._videos: dict[str, VideoFacts] = {}
        self._timelines = Timelines(self.folder)

    def __reduce__(self) -> tuple[Any, ...]:
        settings = (self.short_side, self.limit, self.folder, self.frame_format, self.long, self.clock)
        return FrameStore, (self.paths, *settings)

    @property
    def setting(self) -> str:
        """Name of the settings that determine the pixels, for example "raw-128-ffmpeg62"."""
        return self._cache.setting

    def prepare(
        self, rows: Sequence[int], progress: CountProgress | None = None, decoders: int | None = None
    ) -> dict[int, str]:
        """Determine the length of every clip, and find videos that cannot be decoded.

        Files whose length is known cost only a look at them. Others are decoded, and stored if there is room.
        Of a long video the packets are read and the first frames decoded. Stored clips are protected from
        removal as long as this process lives.

        Args:
            rows: rows to look at.
            progress: called with the number of clips done and the total.
            decoders: number of videos decoded in parallel; default: the number of cores.

        Returns:
            The reason for every row whose video is broken.

        Raises:
            InputError: the cache folder cannot be written.
        """
        return self._look(rows, self._seen, progress, decoders)

    def fill(
        self, rows: Sequence[int], progress: CountProgress | None = None, decoders: int | None = None
    ) -> dict[int, str]:
        """Prepare clips as `prepare` does, and store every video that is not long, while there is room."""
        return self._look(rows, self.stored, progress, decoders)

    def stored(self, row: int) -> bool:
        """Return True if a clip's video is in the cache, or long, so that it is not stored as a whole."""
        video = video_facts.find(self.folder, file_of(self.paths[row]))
        return video is not None and (self.is_long(video) or self._cache.touch(video.content))

    def is_long(self, video: VideoFacts) -> bool:
        """Return True if a video is not decoded and stored as a whole."""
        return (video.seconds or video.frames / self.clock.pictures) > self.long

    def count(self, row: int) -> int:
        """Return the number of frames of a clip.

        Raises:
            DecodeError: the number is not known, and the video cannot be decoded; or the clip is a segment
                that begins after the end of its file.
        """
        return len(self._extent(row))

    def content(self, row: int) -> str:
        """Return a digest of a clip's video, with the clip's part of it.

        Raises:
            DecodeError: the video is not known and cannot be decoded.
        """
        path, segment = parse(self.paths[row])
        return self._video(path).content + (f"#{segment}" if segment else "")

    def read(self, row: int, indices: np.ndarray) -> np.ndarray:
        """Return frames of one clip by index, in the order of the indices: uint8 (len(indices), H, W, 3).

        Raises:
            DecodeError: the video is neither stored nor decodable.
        """
        path, of_clip = file_of(self.paths[row]), self._extent(row)
        video = self._video(path)
        assert not len(indices) or indices.max() < len(of_clip), "the clip has fewer frames"
        indices = of_clip.at(indices)
        recent, self._recent = self._recent, None
        if recent and recent[0] == path:
            frames, hits, misses = self._settled(recent[1][indices]), 0, 1
        elif self.is_long(video):
            frames, hits, misses = self._of_long(path, video, indices)
        else:
            cached = self._cache.read(video.content, indices)
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
        video = video_facts.find(self.folder, file_of(self.paths[row]))
        if video and not self.is_long(video):
            self._cache.touch(video.content)
        return video is not None

    def _fill(self, rows: list[int], progress: CountProgress | None, decoders: int | None) -> dict[int, str]:
        # Processes that fill one cache at the same time start at different rows, and find each other's clips.
        place = os.getpid() * 2654435761 % max(len(rows), 1)
        rows = rows[place:] + rows[:place]
        broken: dict[int, str] = {}
        # PyAV decodes outside Python's global lock: threads were as fast as processes.
        stop = threading.Event()
        pool = ThreadPoolExecutor(decoders or os.cpu_count(), initializer=stop_with, initargs=(stop,))
        try:
            for done, (row, reason) in enumerate(zip(rows, pool.map(self._fill_one, rows), strict=True)):
                if reason:
                    broken[row] = reason
                if progress:
                    progress(done + 1, len(rows))
        finally:
            stop.set()
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

    def _look(
        self,
        rows: Sequence[int],
        done: Callable[[int], bool],
        progress: CountProgress | None,
        decoders: int | None,
    ) -> dict[int, str]:
        """Fill in the clips that are not done; return the reason for every row that cannot be read."""
        self._cache.claim()
        # The segments of a file follow each other, and the file is looked at once.
        firsts, segments, before = list[int](), list[int](), ""
        for row in rows:
            path, segment = parse(self.paths[row])
            if segment is None or path != before:
                firsts.append(row)
            if segment is not None:
                segments.append(row)
            before = path
        broken = self._fill(_without(firsts, done), progress, decoders)
        reasons = {file_of(self.paths[row]): reason for row, reason in broken.items()}
        for row in segments:
            reason = reasons.get(file_of(self.paths[row])) or self._fault(row)
            if reason:
                broken[row] = reason
        return broken

    def _fault(self, row: int) -> str | None:
        """Return the reason why a clip of a file that can be read has no frames."""
        try:
            self.count(row)
        except DecodeError as error:
            return str(error)
        return None

    def _video(self, path: str) -> VideoFacts:
        """Return a file's facts, looked up once, because shared file systems may be slow to answer."""
        if path not in self._videos:
            if len(self._videos) >= _REMEMBERED:
                self._videos.clear()
            self._videos[path] = self._identify(path)
        return self._videos[path]

    def _identify(self, path: str, length: Callable[[str], int] | None = None) -> VideoFacts:
        """Return a file's facts.

        The frames of an unknown video are counted by `length`, or decoded, unless the same content is stored.
        Those of a long video are counted by its packets.
        """
        video = video_facts.find(self.folder, path)
        if video is not None:
            return video
        try:
            content = video_facts.digest(path)
        except OSError as error:
            raise DecodeError((error.strerror or str(error)).lower()) from None
        pictures = os.path.isdir(path)
        seconds = 0.0 if pictures else duration(path)
        video = VideoFacts(content, decode.count(path) if pictures else 0, seconds)
        if self.is_long(video):
            packets = None if pictures else long_video(path)
            frames = len(packets.stamps) if packets else video.frames or decode.count(path)
            if packets:
                self._timelines.store(content, packets)
        else:
            frames = self._length(path, content, length)
        video = video._replace(frames=frames)
        video_facts.note(self.folder, path, video)
        return video

    def _length(self, path: str, content: str, length: Callable[[str], int] | None) -> int:
        """Return the number of frames of a video that is not long, see `_identify`."""
        clip = self._cache.open(content)
        if clip:
            with clip:
                return len(clip)
        if length:
            return length(path)
        decoded = self._decode(path, content)
        self._recent = (path, decoded)
        return len(decoded)

    def _extent(self, row: int) -> Extent:
        """Return the frames of a clip in its file."""
        path, segment = parse(self.paths[row])
        video, rate, times = self._video(path), self.clock.rate, None
        if rate is not None or (segment is not None and not segment.in_frames):
            times = self._times(path, video)
        return extent(video, segment, rate, times)

    def _times(self, path: str, video: VideoFacts) -> Times:
        """Return the time stamps of a file's frames."""
        if os.path.isdir(path):
            return Times(np.arange(video.frames), 1 / self.clock.pictures)
        packets = self._timelines.packets(path, video)
        return Times(packets.stamps, packets.unit)

    def _fresh(self, path: str, video: VideoFacts, indices: np.ndarray) -> np.ndarray:
        """Return decoded frames: from a whole video if there is room for it, otherwise only those needed."""
        if not self._cache.full:
            frames = self._decode(path, video.content)
            if len(frames) < video.frames:
                raise DecodeError(
                    f"it has {len(frames)} frames, and the frame cache {self.folder} says {video.frames}: "
                    "clear it with ssl-video data cache --clear"
                )
            return frames[indices]
        return decode.read(path, indices, self.short_side, frames=video.frames)

    def _of_long(self, path: str, video: VideoFacts, indices: np.ndarray) -> tuple[np.ndarray, int, int]:
        """Return frames of a long video, and the numbers of its blocks that were stored and that were not."""
        packets = None if os.path.isdir(path) else self._timelines.packets(path, video)

        def decoded(some: np.ndarray) -> np.ndarray:
            try:
                return decode.read(path, some, self.short_side, frames=video.frames, packets=packets)
            except DecodeError as error:
                raise DecodeError(
                    f"{error} (of a long video, only the first frames are decoded before a run; "
                    "ssl-video data doctor decodes all)"
                ) from None

        format_ = FORMATS[self.frame_format]
        return blocks.read(self._cache, format_, (video.content, video.frames), indices, decoded)

    def _settled(self, frames: np.ndarray) -> np.ndarray:
        return FORMATS[self.frame_format].settle(frames)

    def _decode(self, path: str, content: str) -> np.ndarray:
        """Decode a whole video, and store it if there is room."""
        frames = decode.decode(path, self.short_side)
        self._cache.put(content, frames)
        return frames


def _without(rows: Sequence[int], holds: Callable[[int], bool]) -> list[int]:
    """Return the rows for which `holds` is false. Many are checked at once: shared file systems are slow."""
    parts = [rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE)]
    with ThreadPoolExecutor(8) as pool:
        return list(chain.from_iterable(pool.map(lambda part: [r for r in part if not holds(r)], parts)))
