"""The frames of a clip in its file: all of them or those of a segment, as they follow or by time."""

import bisect
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ssl_video.data.frames.video_facts import VideoFacts
from ssl_video.data.segments import Segment
from ssl_video.data.video.container import DecodeError

PICTURE_RATE = 25.0  # pictures per second of a folder of pictures, which does not state it
ROUNDED = 1e-3  # seconds by which containers round time stamps, at worst
MICROSECOND = 1e-6  # seconds; the unit of times that are given as numbers
_TIE = 2e-6  # seconds of difference in which the earlier of two frames is taken


class Clock(NamedTuple):
    """The rates at which files are read.

    Attributes:
        rate: frames per second of a clip; None: those of its file.
        pictures: pictures per second of folders of pictures.
    """

    rate: float | None = None
    pictures: float = PICTURE_RATE


FILES_OWN = Clock()


class Times(NamedTuple):
    """The time stamps of a file's frames, in display order.

    Attributes:
        stamps: (F,) int64, ascending.
        unit: seconds per unit.
    """

    stamps: np.ndarray
    unit: float


@dataclass(frozen=True)
class Extent:
    """The frames of a clip.

    Attributes:
        first: index of the first frame in the file.
        end: index after the last one.
        rate: frames per second of the clip; None: every frame of the file is one.
        times: the file's time stamps; used with a rate.
    """

    first: int
    end: int
    rate: float | None = None
    times: Times | None = None

    def __len__(self) -> int:
        if self.rate is None or self.times is None:
            return self.end - self.first
        stamps, unit = self.times
        # The last frame of a file is shown as long as the others are on average.
        after = stamps[self.end] if self.end < len(stamps) else stamps[-1] + _step(stamps, unit, self.rate)
        return max(1, round(float(after - stamps[self.first]) * unit * self.rate))

    def at(self, indices: np.ndarray) -> np.ndarray:
        """Return the indices in the file of frames of the clip, (N,) int64.

        With a rate, frame n of the clip is the frame of the file whose time is nearest to n / rate.
        """
        if self.rate is None or self.times is None:
            return indices + self.first
        stamps, unit = self.times
        stamps = stamps[self.first : self.end]
        wanted = stamps[0] + indices / (self.rate * unit)
        right = np.minimum(np.searchsorted(stamps, wanted), len(stamps) - 1)
        left = np.maximum(right - 1, 0)
        earlier = wanted - stamps[left] <= stamps[right] - wanted + _TIE / unit
        return self.first + np.where(earlier, left, right)


def extent(video: VideoFacts, segment: Segment | None, rate: float | None, times: Times | None) -> Extent:
    """Return the frames of a clip.

    Args:
        video: the file.
        segment: the clip's part of the file; None: all of it.
        rate: see `Clock`.
        times: the file's time stamps; needed with a rate and with a segment in seconds.

    Raises:
        DecodeError: the segment has no frame.
    """
    if segment is None:
        return Extent(0, video.frames, rate, times)
    scale: np.ndarray | range = range(video.frames)
    start, end = segment.start, segment.end
    if not segment.in_frames:
        assert times is not None
        start, end = (times.stamps[0] + (edge - ROUNDED) / times.unit for edge in (start, end))
        scale = times.stamps
    first, last = bisect.bisect_left(scale, start), bisect.bisect_left(scale, end)
    if first >= last:
        raise DecodeError(
            f"the clip begins at {segment.words} and has no frame; the video has {video.frames} frames"
            + (f" in {video.seconds:g} s" if video.seconds else "")
        )
    return Extent(first, last, rate, times)


def _step(stamps: np.ndarray, unit: float, rate: float) -> float:
    """Return the mean distance of time stamps; that of one frame is one of the clip's."""
    return float(stamps[-1] - stamps[0]) / (len(stamps) - 1) if len(stamps) > 1 else 1 / (rate * unit)
