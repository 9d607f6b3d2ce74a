"""Facts about a video file, found by decoding all of it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import av
import numpy as np

from ssl_video.data.frames import video_facts
from ssl_video.data.video import picture_folder
from ssl_video.data.video.container import DecodeError, opened, shown
from ssl_video.data.video.kinds import real_kind

# FFmpeg's format names by file name extension.
_FORMATS = {
    ".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".avi": "avi", ".mkv": "matroska", ".webm": "webm",
    ".mpg": "mpeg mpegts mpegvideo", ".mpeg": "mpeg mpegts mpegvideo",
}  # fmt: skip
_WHOLE = 0.9  # fraction of the stated frames that an undamaged file has; headers are wrong by a few


@dataclass(frozen=True)
class Facts:
    """Facts about a file. Unknown numbers are 0, unknown texts empty.

    Attributes:
        reason: why the file cannot be used; empty if it can.
        content: digest of the bytes; equal for copies.
        container: FFmpeg's name of the format, for example "avi".
        codec: FFmpeg's name of the codec, for example "h264".
        width: stored width in pixels.
        height: stored height in pixels.
        frames: frames that can be decoded.
        rate: mean frames per second.
        variable: the distance between frames varies.
        rotation: clockwise rotation in degrees that makes it upright.
        aspect: width of a pixel divided by its height.
        seconds: duration.
        misnamed: the file name's extension is that of another format.
    """

    reason: str = ""
    content: str = ""
    container: str = ""
    codec: str = ""
    width: int = 0
    height: int = 0
    frames: int = 0
    rate: float = 0.0
    variable: bool = False
    rotation: int = 0
    aspect: float = 1.0
    seconds: float = 0.0
    misnamed: bool = False


def probe(path: str) -> Facts:
    """Decode a file from end to end and return facts about it. Faults of the file never raise."""
    try:
        content = video_facts.digest(path)
    except OSError as error:
        return Facts((error.strerror or str(error)).lower())
    if os.path.isdir(path):
        return _pictures(path, content)
    if not os.path.getsize(path):
        return Facts("empty (0 bytes)", content)
    found: dict[str, Any] = {"content": content}
    try:
        _decode(path, found)
        reason = found.pop("cut", "")
    except DecodeError as error:
        found.pop("cut", None)
        reason = str(error)
        if not reason.startswith("no video, but"):
            reason = real_kind(path, reason)
    return Facts(reason, **found)


def _pictures(path: str, content: str) -> Facts:
    """Return facts about a folder of pictures, whose rate and duration are unknown."""
    try:
        ending = os.path.splitext(picture_folder.names(path)[0])[1]
        frames = picture_folder.read(path, None, lambda frame: np.empty((frame.height, frame.width, 0)))
    except DecodeError as error:
        return Facts(str(error), content)
    height, width, _ = frames[0].shape
    return Facts("", content, "pictures", ending[1:].lower(), width, height, len(frames))


def _decode(path: str, found: dict[str, Any]) -> None:
    """Fill in facts as they are found, so that the codec of a damaged file is known as well.

    Raises:
        DecodeError: the file cannot be decoded.
    """
    with opened(path) as (container, stream):
        found["container"] = container.format.name
        found["misnamed"] = _misnamed(path, container.format.name)
        found["codec"] = stream.codec_context.name
        found["width"], found["height"] = stream.codec_context.width, stream.codec_context.height
        found["aspect"] = float(stream.sample_aspect_ratio or 1) or 1.0
        stamps, number = list[int](), 0
        for number, frame in enumerate(shown(container, stream), 1):
            found["frames"] = number
            if number == 1:
                found["rotation"] = -int(frame.rotation) % 360
            if frame.pts is not None:
                stamps.append(frame.pts)
        unit = float(stream.time_base or 0)
        mean, found["variable"] = _steps(stamps, unit)
        stated_rate = float(stream.average_rate or 0)
        # A file that lacks a few frames still plays the others at its stated rate.
        even = stated_rate and abs(mean * stated_rate - 1) < 0.05 and not found["variable"]
        found["rate"] = round(stated_rate if even or not mean else 1 / mean, 3)
        found["seconds"] = round(mean * number if mean else number / (stated_rate or 1), 3)
        stated = _stated(container, stream, found["rate"])
        if number < _WHOLE * stated:
            found["cut"] = f"cut off or damaged: {number} of {stated} frames can be decoded"


def _steps(stamps: Sequence[int], unit: float) -> tuple[float, bool]:
    """Return the mean distance of frames in seconds, and True if single distances differ from it."""
    steps = np.diff(np.unique(np.array(stamps, np.int64))) * unit
    if not len(steps):
        return 0.0, False
    # Containers round time stamps, to milliseconds at worst; a single gap is a lost frame.
    off = np.abs(steps - np.median(steps)) > max(0.0021, 0.1 * float(np.median(steps)))
    return float(steps.mean()), bool(off.sum() > max(2, 0.02 * len(steps)))


def _stated(container: av.container.InputContainer, stream: av.video.stream.VideoStream, rate: float) -> int:
    """Return the frames that a file should show by its header; 0 if this says nothing."""
    seconds = float(stream.duration * (stream.time_base or 0)) if stream.duration else 0.0
    if not seconds and container.duration and len(container.streams) == 1:
        seconds = container.duration / av.time_base
    by_time = round(seconds * rate)
    # In MP4, the number includes frames that an edit list hides, as in files that were cut without encoding
    # them again. The duration does not. Of other files that are cut off, FFmpeg estimates the duration.
    if "mp4" in container.format.name and by_time:
        return min(stream.frames or by_time, by_time)
    return stream.frames or by_time


def _misnamed(path: str, name: str) -> bool:
    expected = _FORMATS.get(os.path.splitext(path)[1].lower())
    return expected is not None and not set(expected.split()) & set(name.split(","))
