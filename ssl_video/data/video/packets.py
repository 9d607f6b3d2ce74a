"""The packets of a video file, by whose time stamps a frame is found without decoding those before."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from ssl_video.data.video.container import opened
from ssl_video.data.video.container import packets as of_container


class Packets(NamedTuple):
    """The packets of the frames that a file shows, in display order.

    Attributes:
        stamps: (N,) int64 time stamps, ascending.
        positions: (N,) int64 places in the file, in bytes; -1: not stated.
        keys: (K,) int64 indices of the key frames; none if frames cannot be found by time stamps.
        lead: time stamp from which frames before the first key frame are decoded.
        unit: seconds per unit of the time stamps.
    """

    stamps: np.ndarray
    positions: np.ndarray
    keys: np.ndarray
    lead: int
    unit: float

    def rank(self, stamp: int) -> int:
        """Return the index of the frame with a time stamp; -1: there is none."""
        place = int(np.searchsorted(self.stamps, stamp))
        return place if place < len(self.stamps) and self.stamps[place] == stamp else -1

    def key_before(self, rank: int) -> int:
        """Return the index of the last key frame up to a frame; 0 if the first key frame is after it."""
        place = int(np.searchsorted(self.keys, rank, side="right"))
        return int(self.keys[place - 1]) if place else 0


class Irregular(Exception):
    """Time stamps that do not identify frames uniquely."""


def scan(path: str | Path) -> Packets:
    """Read the packets of a file without decoding them.

    Raises:
        Irregular: see `of_stream`.
        DecodeError: the file cannot be read.
    """
    with opened(path) as (container, stream):
        return of_stream(container, stream)


def of_stream(container: InputContainer, stream: VideoStream) -> Packets:
    """Read the packets of an open file from its current position to its end.

    Raises:
        Irregular: packets without a unique time stamp, or no key frames.
    """
    stamps, places, keys, lead = list[int](), list[int](), list[int](), list[int]()
    for packet in of_container(container, stream):
        if not packet.size:  # the end-of-file signal for the decoder
            continue
        if packet.pts is None or packet.is_corrupt:
            raise Irregular
        if packet.is_keyframe:
            lead += [packet.pts] if not lead else []
            keys += [] if packet.is_discard else [packet.pts]
        # The edit list of a file that was cut without encoding it again hides frames at its start.
        if not packet.is_discard:
            stamps.append(packet.pts)
            places.append(-1 if packet.pos is None else packet.pos)
    found, first = np.unique(np.array(stamps, np.int64), return_index=True)
    if not lead or not len(found) or len(found) < len(stamps):
        raise Irregular
    indices = np.searchsorted(found, np.unique(np.array(keys, np.int64)))
    return Packets(found, np.array(places, np.int64)[first], indices, lead[0], float(stream.time_base or 0))
