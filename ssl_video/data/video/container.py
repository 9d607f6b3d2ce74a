"""Video files as PyAV opens them (it includes its own FFmpeg, so a plain pip install works)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

# AVI files hold titles in any character set; up to version 18 PyAV rejects those that are not UTF-8.
_OPEN: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


class DecodeError(Exception):
    """A file that is not a usable video; the message is the reason alone, without the file's name."""


def decoder_name() -> str:
    """Return the decoder's name and versions, for records and for the screen."""
    version = ".".join(map(str, av.library_versions["libavcodec"]))
    return f"PyAV {av.__version__} (libavcodec {version})"


@contextmanager
def opened(path: str | Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and its first video stream, set up for decoding in one thread.

    Raises:
        DecodeError: the file cannot be opened, or has no video that FFmpeg can decode. FFmpeg's errors inside
            the block are converted to it, too.
    """
    try:
        # FFmpeg would interpret a relative name with a colon as a URL.
        with av.open(str(Path(path).absolute()), **_OPEN) as container:
            # Music files store their cover as a video of one frame.
            streams = [stream for stream in container.streams.video if not _is_cover(stream)]
            if not streams:
                raise DecodeError("no video stream" + (", only sound" if container.streams.audio else ""))
            stream = streams[0]
            if stream.codec_context is None:
                raise DecodeError("FFmpeg has no decoder for its video stream")
            # Clips are decoded in parallel; threads inside one decoder would only compete with them.
            stream.codec_context.thread_count = 1
            yield container, stream
    except (av.FFmpegError, OSError) as error:
        raise DecodeError(reason(error)) from None


def shown(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Yield all frames from the file's current position, as FFmpeg delivers them; their size may change.

    Raises:
        DecodeError: damaged data, or no frame at all.
    """
    number = 0
    try:
        for frame in container.decode(stream):
            number += 1
            yield frame
    except (av.FFmpegError, OSError) as error:
        raise DecodeError(reason(error) + (f", after {number} frames" if number else "")) from None
    if not number:
        raise DecodeError("no frame can be decoded")


def stated_seconds(path: str | Path) -> float:
    """Return the duration that a file states, rounded to milliseconds; 0 if it states none.

    Nothing is decoded, and little is read.

    Raises:
        DecodeError: the file cannot be opened, or has no video.
    """
    with opened(path) as (container, stream):
        if stream.duration:
            return round(float(stream.duration * (stream.time_base or 0)), 3)
        return round((container.duration or 0) / av.time_base, 3)


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def reason(error: Exception) -> str:
    """Return FFmpeg's or the system's message, without its number and the path."""
    return str(getattr(error, "strerror", None) or error).split("\n")[0].strip().lower()
