"""The packets and times of video files, stored in times/ of the frame cache: a file is scanned once."""

import contextlib
import os
from pathlib import Path

import numpy as np

from ssl_video.data.frames.extent import MICROSECOND
from ssl_video.data.frames.video_facts import VideoFacts
from ssl_video.data.video import decode
from ssl_video.data.video.container import stated_seconds
from ssl_video.data.video.packets import Irregular, Packets, scan
from ssl_video.errors import DAMAGED_ARRAYS
from ssl_video.files import open_regular, replacing

_REMEMBERED = 2**21  # frames whose packets a process keeps in memory
_CHECKED = 8  # frames at the start of a long file that are decoded


class Timelines:
    """The packets of files, by content.

    Args:
        folder: the cache folder; where it cannot be written, files are scanned again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._recent, self._frames = dict[str, Packets](), 0

    def packets(self, path: str, video: VideoFacts) -> Packets:
        """Return the packets of a file; those without keys cannot be used to find frames.

        Where packets have no unique time stamps, the times are those of the decoded frames. If these have
        none, frames are evenly spaced over the stated duration.

        Raises:
            DecodeError: the file cannot be read.
        """
        if video.content not in self._recent:
            found = self._load(video)
            if found is None:
                found = _scanned(path, video)
                self.store(video.content, found)
            kept = self._frames + len(found.stamps)
            while self._recent and kept > _REMEMBERED:
                kept -= len(self._recent.pop(next(iter(self._recent))).stamps)
            self._recent[video.content], self._frames = found, kept
        return self._recent[video.content]

    def _file(self, content: str) -> Path:
        return self.folder / "times" / content[:2] / f"{content}.npz"

    def _load(self, video: VideoFacts) -> Packets | None:
        found = read(self._file(video.content), video.content)
        return found if found and len(found.stamps) == video.frames else None

    def store(self, content: str, packets: Packets) -> None:
        """Store the packets of a file; if that fails, the file is scanned again next time."""
        file = self._file(content)
        with contextlib.suppress(OSError):
            os.makedirs(file.parent, exist_ok=True)
            with replacing(file) as target:
                np.savez_compressed(
                    target,
                    content=np.array(content),
                    lead=packets.lead,
                    unit=packets.unit,
                    # Differences are mostly equal, so that an hour takes a few hundred kilobytes.
                    stamps=np.diff(packets.stamps, prepend=0),
                    positions=np.diff(packets.positions, prepend=0),
                    keys=packets.keys,
                )


def read(file: Path, content: str) -> Packets | None:
    """Return the stored packets of a video of this content; None: there are none, or they are damaged."""
    with contextlib.suppress(*DAMAGED_ARRAYS), open_regular(file) as opened, np.load(opened) as stored:
        stamps, positions = np.cumsum(stored["stamps"]), np.cumsum(stored["positions"])
        if str(stored["content"]) == content and len(stamps) == len(positions):
            return Packets(stamps, positions, stored["keys"], int(stored["lead"]), float(stored["unit"]))
    return None


def long_video(path: str) -> Packets | None:
    """Return the packets of a long video if its frames can be found by them; its first frames are decoded.

    Raises:
        DecodeError: the file cannot be read, or its first frames cannot be decoded.
    """
    try:
        packets = scan(path)
    except Irregular:
        packets = None
    first = decode.stamps(path, _CHECKED)
    if packets is None or first is None:
        return None
    expected = packets.stamps[: len(first)] * packets.unit
    same = len(first) == len(expected) and (np.abs(first - expected) < MICROSECOND).all()
    return packets if same else None


def duration(path: str) -> float:
    """Return the seconds that a file states, or those between its first and last packet; 0: neither is known.

    Raises:
        DecodeError: the file cannot be read.
    """
    stated = stated_seconds(path)
    if not stated:
        with contextlib.suppress(Irregular):
            packets = scan(path)
            return round(float(packets.stamps[-1] - packets.stamps[0]) * packets.unit, 3)
    return stated


def _scanned(path: str, video: VideoFacts) -> Packets:
    """Return the packets of a file, or its frames' times in their place, see `Timelines.packets`."""
    with contextlib.suppress(Irregular):
        packets = scan(path)
        if len(packets.stamps) == video.frames:
            return packets
    times = decode.stamps(path)
    if times is None or len(times) != video.frames:
        times = np.arange(video.frames) * ((video.seconds or video.frames / 25) / video.frames)
    stamps = np.rint(times / MICROSECOND).astype(np.int64)
    return Packets(stamps, np.full(len(stamps), -1), np.empty(0, np.int64), 0, MICROSECOND)
