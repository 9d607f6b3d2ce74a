"""Clips as moving pictures that every browser shows: their frames side by side in one still picture.

Browsers play few of the formats of cameras. An animated picture would run for ever, and nobody could stop it
or look at one of its frames; a script that shows one part of a sheet after the other can do both.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ssl_video.data.frames.extent import PICTURE_RATE
from ssl_video.data.segments import parse
from ssl_video.data.video import decode, stream
from ssl_video.data.video.container import DecodeError, reason, stated_seconds
from ssl_video.data.video.stream import Timed

FRAMES, COLUMNS = 24, 6
SIDE, LONGEST = 200, 1200  # pixels of a frame's shorter side, and of its longer one at most
SHEET, STILL = ".webp", ".jpg"
_QUALITY = 70
_KEPT = 4 * FRAMES  # frames of a clip that are held at once
# Seconds between two frames from which on a seek is cheaper than decoding those between, with the 250 frames
# between key frames that x264 has by default: 100 s of 1280 x 720 took 8.0 s without seeking, 6.7 s with.
_APART = 4.0
_ROUNDED = 1e-3  # seconds by which containers round time stamps, at worst


class MovingPicture(NamedTuple):
    """A clip as a sheet of frames, COLUMNS in a row.

    Attributes:
        frames: number of frames; 0: no frame could be decoded, and there is no sheet.
        width: width of a frame in pixels.
        height: height of a frame in pixels.
        seconds: duration of the clip.
        problem: the reason why frames are missing; "": none are.
    """

    frames: int = 0
    width: int = 0
    height: int = 0
    seconds: float = 0.0
    problem: str = ""


def write(
    target: Path, clip: str, start: float | None, end: float | None, pictures: float = PICTURE_RATE
) -> MovingPicture:
    """Write the sheet of a clip, and beside it one frame from its middle for lists.

    Args:
        target: the sheet's file without its ending; SHEET and STILL are appended.
        clip: a video file or a folder of pictures, which may have a part, see `data.segments`.
        start: the second at which the clip begins; None: the file's first.
        end: the second at which the clip ends; None: the file's last.
        pictures: pictures per second of a folder of pictures.

    Raises:
        OSError: the pictures cannot be written.
    """
    taken, seconds, problem = frames(clip, start, end, pictures)
    if not taken:
        return MovingPicture(problem=problem)
    width, height = _size(taken[0])
    rows = -(-len(taken) // COLUMNS)
    sheet = Image.new("RGB", (width * min(len(taken), COLUMNS), height * rows))
    for place, pixels in enumerate(taken):
        one = Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS)
        sheet.paste(one, (place % COLUMNS * width, place // COLUMNS * height))
        if place == len(taken) // 2:
            one.save(target.with_name(target.name + STILL), "JPEG", quality=_QUALITY)
    sheet.save(target.with_name(target.name + SHEET), "WEBP", quality=_QUALITY)
    return MovingPicture(len(taken), width, height, round(seconds, 3), problem)


def frames(
    clip: str, start: float | None, end: float | None, pictures: float = PICTURE_RATE
) -> tuple[list[np.ndarray], float, str]:
    """Return up to FRAMES frames, evenly spaced in time, uint8 (H, W, 3), the duration and a problem.

    Args:
        clip, start, end, pictures: see `write`.
    """
    file, segment = parse(clip)
    within = segment is not None and segment.in_frames
    if segment and not within:
        start, end = segment.start, min(segment.end, np.inf if end is None else end)
    first, last = start or 0.0, np.inf if end is None else end
    found = _Thinned()
    try:
        stated = last if last < np.inf else _stated(file, pictures)
        if not within and stated < np.inf and stated - first > _APART * FRAMES:
            found.add(_sought(file, np.linspace(first, stated, FRAMES, endpoint=False), pictures))
            return found.pictures, stated - first, ""
        source = stream.frames(file, SIDE, 0.0 if within else first - _ROUNDED, pictures)
        if segment and within:
            numbers = int(segment.start), None if segment.end == np.inf else int(segment.end)
            found.add(itertools.islice(source, *numbers))
        else:
            found.add(itertools.takewhile(lambda timed: timed[0] < last - _ROUNDED, source))
    except DecodeError as error:
        return found.pictures, found.seconds, str(error)
    except OSError as error:
        return found.pictures, found.seconds, reason(error)
    begins = segment.words if segment and within else f"{first:g} s"
    return (
        found.pictures,
        found.seconds,
        "" if found.last else f"the clip begins at {begins} and has no frame",
    )


def _stated(file: str, pictures: float) -> float:
    """Return the duration that a file states in seconds, 0 if it states none."""
    return decode.count(file) / pictures if os.path.isdir(file) else stated_seconds(file)


def _sought(file: str, seconds: Sequence[float] | np.ndarray, pictures: float) -> Iterator[Timed]:
    """Yield the first frame from each of some seconds on, as far as there are any."""
    for second in seconds:
        timed = next(stream.frames(file, SIDE, float(second), pictures), None)
        if timed is None:
            return
        yield timed


def _size(pixels: np.ndarray) -> tuple[int, int]:
    """Return the width and the height that a frame is shown with."""
    height, width = pixels.shape[:2]
    factor = min(1.0, SIDE / min(height, width), LONGEST / max(height, width))
    return max(1, round(width * factor)), max(1, round(height * factor))


class _Thinned:
    """Some frames of a clip whose number is not known before its end: every n-th, where n grows.

    Attributes:
        last: number of frames seen.
    """

    def __init__(self) -> None:
        self.last = 0
        self._kept, self._step, self._first, self._now = list[Timed](), 1, 0.0, 0.0

    def add(self, source: Iterator[Timed]) -> None:
        """Take the frames of a clip."""
        for timed in source:
            self._first, self._now = self._first if self.last else timed[0], timed[0]
            if self.last % self._step == 0:
                self._kept.append(timed)
            self.last += 1
            if len(self._kept) == _KEPT:
                self._kept, self._step = self._kept[::2], 2 * self._step

    @property
    def seconds(self) -> float:
        """From the first frame to the end of the last one, which is shown as long as others on average."""
        return (self._now - self._first) * self.last / (self.last - 1) if self.last > 1 else 0.0

    @property
    def pictures(self) -> list[np.ndarray]:
        """Up to FRAMES frames, those nearest to evenly spaced times."""
        if len(self._kept) <= FRAMES:
            return [pixels for _, pixels in self._kept]
        times = np.array([seconds for seconds, _ in self._kept])
        wanted = np.linspace(times[0], times[-1], FRAMES)
        places = sorted({int(np.abs(times - second).argmin()) for second in wanted})
        return [self._kept[place][1] for place in places]
