"""Time lines: recordings cut into stretches of equal length, and equal neighbours put together again."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from ssl_video.data.frames.extent import MICROSECOND, ROUNDED, Clock, Extent, Times
from ssl_video.data.pool import evenly_spaced
from ssl_video.data.segments import Segment
from ssl_video.data.video.container import DecodeError
from ssl_video.data.video.stream import Timed
from ssl_video.data.views.sampling import ClipShape
from ssl_video.spec import Spec

_LARGEST = 2**30  # bytes of a stretch's frames


@dataclass
class Stretch:
    """A stretch of a recording, with its frames.

    Attributes:
        start: its first second.
        end: the second after it.
        times: seconds of its frames, and of the frame after it, if there is one.
        frames: uint8 (H, W, 3) each.
    """

    start: float
    end: float
    times: list[float] = field(default_factory=list)
    frames: list[np.ndarray] = field(default_factory=list)


def cut(source: Iterable[Timed], every: float, start: float = 0.0, end: float = np.inf) -> Iterator[Stretch]:
    """Yield the stretches of a recording; those without a frame are left out.

    Args:
        source: the frames with their seconds, see `data.video.stream`.
        every: seconds of a stretch.
        start: the second at which the first stretch begins.
        end: the second at which the last stretch ends, at the latest.

    Raises:
        DecodeError: see `source`; or the frames of a stretch do not fit into a gibibyte.
    """
    now: Stretch | None = None
    damage: DecodeError | None = None
    number, begun, seconds = 0, 0.0, 0.0
    source = iter(source)
    while True:
        try:
            seconds, pixels = next(source)
        except StopIteration:
            break
        except DecodeError as error:
            damage = error
            break
        begun = begun if number else seconds
        number += 1
        place = int((seconds - start + ROUNDED) // every)
        after = seconds >= end - ROUNDED
        if now and (after or start + place * every > now.start):
            now.times.append(seconds)
            yield now
            now = None
        if after:
            return
        now = now or Stretch(start + place * every, min(start + (place + 1) * every, end))
        now.times.append(seconds)
        now.frames.append(pixels)
        if len(now.frames) * pixels.nbytes > _LARGEST:
            raise DecodeError(f"the frames of {every:g} s do not fit into a gibibyte: give a shorter --every")
    if now:
        if number > 1:
            # The last frame is shown as long as the others are on average.
            now.end = min(now.end, round(seconds + (seconds - begun) / (number - 1), 3))
        yield now
    if damage:
        raise damage


def in_segment(source: Iterable[Timed], segment: Segment) -> Iterator[Timed]:
    """Yield the frames of a part of a file that is given in frames."""
    for number, timed in enumerate(source):
        if number >= segment.end:
            return
        if number >= segment.start:
            yield timed


def views(stretch: Stretch, clock: Clock, shape: ClipShape, spec: Spec) -> Tensor:
    """Return clips x crops of a stretch as of a test video, see `evenly_spaced`."""
    stamps = np.rint(np.array(stretch.times) / MICROSECOND).astype(np.int64)
    extent = Extent(0, len(stretch.frames), clock.rate, Times(stamps, MICROSECOND))

    def read(indices: np.ndarray) -> np.ndarray:
        return np.stack([stretch.frames[place] for place in extent.at(indices).tolist()])

    return evenly_spaced(len(extent), read, shape, spec)


@dataclass
class Labeled:
    """Class probabilities of a clip, or of a stretch of it.

    Attributes:
        start: its first second; None: that of the file, or not given in seconds.
        end: the second after it; None likewise.
        probabilities: (classes,).
        windows: number of windows of frames that the network saw, at all their crops.
    """

    start: float | None
    end: float | None
    probabilities: np.ndarray
    windows: int


class Merged:
    """Puts neighbours of equal label together: their probabilities are the mean, weighted by length."""

    def __init__(self) -> None:
        self._label = -1
        self._now: Labeled | None = None

    def add(self, stretch: Labeled, label: int) -> Labeled | None:
        """Add the next stretch with its label, and return the one before it if that is complete."""
        now = self._now
        if now is None or label != self._label or stretch.start != now.end:
            self._now, self._label = stretch, label
            return now
        before, more = _seconds(now), _seconds(stretch)
        mean = (before * now.probabilities + more * stretch.probabilities) / (before + more)
        self._now = Labeled(now.start, stretch.end, mean, now.windows + stretch.windows)
        return None

    def rest(self) -> Labeled | None:
        """Return the last stretch; None: there is none."""
        now, self._now = self._now, None
        return now


def _seconds(stretch: Labeled) -> float:
    assert stretch.start is not None
    assert stretch.end is not None
    return stretch.end - stretch.start
