"""The frames of a clip by time, worked by hand, and those that a store reads."""

from pathlib import Path

import numpy as np
import pytest
from helpers.videos import KINDS, encode

from ssl_video.data.frames.extent import Clock, Extent, Times, extent
from ssl_video.data.frames.store import GIB, FrameStore
from ssl_video.data.frames.video_facts import VideoFacts
from ssl_video.data.segments import Segment
from ssl_video.data.video.container import DecodeError
from ssl_video.data.video.decode import decode, stamps


def times(*milliseconds: int) -> Times:
    return Times(np.array(milliseconds, np.int64), 0.001)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        (25, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (5, [0, 5]),
        (12.5, [0, 2, 4, 6, 8]),
        # At 40, 80 and 120 ms of 100: between two frames the earlier one.
        (50, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9]),
        (10, [0, 2, 5, 7]),  # 0, 100, 200, 300 ms; 100 lies between 80 and 120
        (1, [0]),
    ],
)
def test_an_even_file(rate: float, expected: list[int]) -> None:
    even = Extent(0, 10, rate, times(*range(1000, 1400, 40)))
    assert len(even) == len(expected)
    assert even.at(np.arange(len(even))).tolist() == expected


def test_rounded_time_stamps_are_even() -> None:
    rounded = Extent(0, 300, 30, times(*(round(n * 1000 / 30) for n in range(300))))
    assert rounded.at(np.arange(len(rounded))).tolist() == list(range(300))


def test_an_uneven_file() -> None:
    # A second at ten frames, then two at one each.
    uneven = Extent(0, 12, 2, times(*range(0, 1000, 100), 1000, 2000))
    # Its last frame lasts 2000 / 11 ms: 2.18 seconds are four frames.
    assert len(uneven) == 4
    assert uneven.at(np.arange(4)).tolist() == [0, 5, 10, 10]


def test_a_segment_by_time() -> None:
    video, stamps_ = VideoFacts("", 12, 2.2), times(*range(0, 1000, 100), 1000, 2000)
    part = extent(video, Segment(0.5, 2.0, False), 4, stamps_)
    assert (part.first, part.end, len(part)) == (5, 11, 6)
    assert part.at(np.arange(6)).tolist() == [5, 7, 10, 10, 10, 10]
    assert extent(video, Segment(3, 5, True), None, None) == Extent(3, 5)
    with pytest.raises(
        DecodeError, match=r"begins at 2.1 s and has no frame; the video has 12 frames in 2.2 s"
    ):
        extent(video, Segment(2.1, 9, False), None, stamps_)


@pytest.mark.parametrize("kind", ["h264, uneven rate", "mpeg4", "h264, transport stream"])
@pytest.mark.parametrize("long", [60, 0.5])
def test_a_store_reads_the_nearest_frames(tmp_path: Path, kind: str, long: float) -> None:
    file = encode(tmp_path / KINDS[kind].name, KINDS[kind])
    whole, seconds = decode(file), stamps(file)
    assert seconds is not None
    store = FrameStore([str(file)], 48, GIB, tmp_path / "cache", long=long, clock=Clock(6.0))
    assert store.prepare([0]) == {}
    wanted = np.arange(store.count(0))
    assert abs(len(wanted) / 6 - (seconds[-1] - seconds[0])) < 0.3
    nearest = np.abs(seconds[:, None] - seconds[0] - wanted / 6).argmin(0)
    assert np.array_equal(store.read(0, wanted[::-1]), whole[nearest[::-1]])
