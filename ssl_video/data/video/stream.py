"""The frames of a recording, one after the other with their times: nothing of it is kept."""

import contextlib
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from ssl_video.data.video import picture_folder
from ssl_video.data.video.container import DecodeError, opened, shown
from ssl_video.data.video.decode import Scaler
from ssl_video.data.video.packets import Irregular

_WORTH_A_SEEK = 10.0  # seconds that are decoded rather than skipped by a seek
_USUAL_RATE = 25.0  # frames per second of a file that states none
Timed = tuple[float, np.ndarray]  # seconds, and uint8 (H, W, 3)


def frames(
    path: str | Path, short_side: int | None = None, start: float = 0.0, pictures: float = _USUAL_RATE
) -> Iterator[Timed]:
    """Yield a file's frames from a time on, uint8 (H, W, 3), each with its seconds since the first frame.

    Times never descend: a frame whose time stamp is before that of its predecessor has the time of that one.
    Without time stamps, frames are evenly spaced.

    Args:
        path: a video file or a folder of pictures.
        short_side: see `decode.decode`.
        start: earlier frames are left out. Where time stamps and the container allow it, they are not
            decoded either.
        pictures: pictures per second of a folder of pictures.

    Raises:
        DecodeError: the file cannot be read, or is damaged, or the pictures have several sizes; the frames
            before have been yielded.
    """
    scaler = Scaler(short_side)
    if os.path.isdir(path):
        files = picture_folder.names(path)
        ranks = (rank for rank in range(len(files)) if rank / pictures >= start)
        for rank, pixels in picture_folder.pictures(path, files, ranks, scaler.pixels):
            yield rank / pictures, pixels
        return
    for seconds, frame in _timed(path, scaler, start):
        if seconds >= start:
            yield seconds, scaler.pixels(frame)


def _timed(path: str | Path, scaler: Scaler, start: float) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yield frames with their seconds: those from the last key frame before a time, or all of them."""
    if start > _WORTH_A_SEEK:
        # It is raised before the first frame or not at all.
        with contextlib.suppress(Irregular):
            yield from _sought(path, scaler, start)
            return
    with opened(path) as (container, stream):
        source = scaler.of_one_size(shown(container, stream))
        first = next(source)
        yield from _clocked(itertools.chain([first], source), stream, first.pts)


def _sought(path: str | Path, scaler: Scaler, start: float) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yield frames with their seconds, decoding from the last key frame before a time.

    Raises:
        Irregular: the key frame cannot be found by its time stamp.
    """
    with opened(path) as (container, stream):
        first = next(scaler.of_one_size(shown(container, stream)))
        if first.pts is None or not stream.time_base:
            raise Irregular
        try:
            container.seek(first.pts + int(start / stream.time_base), stream=stream)
            source = shown(container, stream)
            key = next(source)
        except (av.FFmpegError, DecodeError):
            raise Irregular from None
        if key.pts is None or (key.pts - first.pts) * stream.time_base > start:
            raise Irregular
        yield from _clocked(itertools.chain([key], source), stream, first.pts)


def _clocked(
    source: Iterable[av.VideoFrame], stream: VideoStream, origin: int | None
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yield frames with their seconds since a time stamp."""
    unit, rate = float(stream.time_base or 0), float(stream.average_rate or _USUAL_RATE)
    last = 0.0
    for number, frame in enumerate(source):
        if frame.pts is None or origin is None or not unit:
            seconds = number / rate
        else:
            seconds = (frame.pts - origin) * unit
        last = max(last, seconds)
        yield last, frame
