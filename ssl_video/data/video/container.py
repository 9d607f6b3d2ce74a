"""Video files as PyAV opens them (it includes its own FFmpeg, so a plain pip install works).

All readers open files here. A file may come from anybody, so there are limits: of the formats, of the pixels
of a frame, of the number of frames, and of the computing time until the next frame.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from ssl_video.data.video.kinds import FORMATS, not_a_file, real_kind
from ssl_video.errors import InputError

MOST_PIXELS = 2**26  # pixels of a frame: 8192 x 8192, twice an 8K frame
MOST_FRAMES = 2**24  # frames of a file: six days at 30 per second
# Seconds of computing until the next frame, as damaged data yield none for a while. The time of the disk and
# of other programs does not count: it says nothing about the file.
MOST_SECONDS = 120.0
_DISK_SECONDS = 120.0  # seconds of waiting for the disk
_REFUSED = "only containers of videos are opened"

# AVI files hold titles in any character set; up to version 18 PyAV rejects those that are not UTF-8.
_OPEN: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
_OPEN |= {
    # No network, and no file that another one names.
    "container_options": {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "file"},
    "timeout": _DISK_SECONDS,
}
_thread = threading.local()


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
        DecodeError: the file cannot be opened, is of a kind that is not (a playlist, a picture, a pipe), or
            has no video that FFmpeg can decode. FFmpeg's errors inside the block are converted to it, too.
        InputError: the disk does not answer.
    """
    if unusable := not_a_file(path):
        raise DecodeError(unusable)
    try:
        # FFmpeg would interpret a relative name with a colon as a URL.
        with _container(path) as container:
            # Music files store their cover as a video of one frame.
            streams = [stream for stream in container.streams.video if not _is_cover(stream)]
            if not streams:
                raise DecodeError("no video stream" + (", only sound" if container.streams.audio else ""))
            stream = streams[0]
            if stream.codec_context is None:
                raise DecodeError("FFmpeg has no decoder for its video stream")
            context = stream.codec_context
            if context.width * context.height > MOST_PIXELS:
                raise DecodeError(_too_large(context.width, context.height))
            context.options = {**context.options, "max_pixels": str(MOST_PIXELS)}
            # Clips are decoded in parallel; threads inside one decoder would only compete with them.
            context.thread_count = 1
            yield container, stream
    except (av.FFmpegError, OSError) as error:
        raise _failure(error, path) from None


def _failure(error: Exception, path: str | Path, place: str = "") -> DecodeError | InputError:
    """Return the error for a file that cannot be read; it is not the file's if the disk does not answer."""
    if isinstance(error, av.ExitError):
        return InputError(
            f"{path} could not be read: the disk did not answer within {_DISK_SECONDS:g} seconds; repeat "
            "the command when it answers again, which continues from here"
        )
    return DecodeError(reason(error) + place)


def _container(path: str | Path) -> InputContainer:
    """Open a file of one of the formats."""
    try:
        return av.open(str(Path(path).absolute()), **_OPEN)
    except av.ArgumentError:
        raise DecodeError(real_kind(path, _REFUSED)) from None


def _too_large(width: int, height: int) -> str:
    return f"its frames have {width} x {height} pixels, more than the {MOST_PIXELS:,} that are decoded"


def stop_with(stop: threading.Event | None) -> None:
    """End this thread's decoding with a `DecodeError` once `stop` is set; for a pool's new thread.

    A thread cannot be interrupted, so Ctrl-C would wait for the ends of the files that threads decode.
    """
    _thread.stop = stop


def packets(container: InputContainer, stream: VideoStream) -> Iterator[av.Packet]:
    """Yield the packets from the file's current position; the last one is empty.

    Raises:
        DecodeError: this thread's decoding was stopped, see `stop_with`.
    """
    stop: threading.Event | None = getattr(_thread, "stop", None)
    for packet in container.demux(stream):
        if stop and stop.is_set():
            raise DecodeError("stopped")
        yield packet


def decoded(
    container: InputContainer, stream: VideoStream
) -> Iterator[tuple[av.Packet, list[av.VideoFrame]]]:
    """Yield the packets from the file's current position, each with the frames that it completes.

    Raises:
        DecodeError: no frame within `MOST_SECONDS`, or see `packets`.
    """
    spent, began = 0.0, time.thread_time()
    for packet in packets(container, stream):
        frames: list[av.VideoFrame] = packet.decode()
        spent = 0.0 if frames else spent + time.thread_time() - began
        if spent > MOST_SECONDS:
            raise DecodeError(f"no frame within {MOST_SECONDS:g} seconds of computing")
        yield packet, frames
        began = time.thread_time()  # the reader's own time does not count


def shown(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Yield all frames from the file's current position, as FFmpeg delivers them; their size may change.

    Raises:
        DecodeError: damaged data, no frame at all, or a limit is exceeded: frames, pixels or time.
        InputError: the disk does not answer.
    """
    number = 0
    try:
        for _, frames in decoded(container, stream):
            for frame in frames:
                if frame.width * frame.height > MOST_PIXELS:
                    raise DecodeError(_too_large(frame.width, frame.height))
                number += 1
                if number > MOST_FRAMES:
                    raise DecodeError(f"it has more than {MOST_FRAMES:,} frames: cut it into several files")
                yield frame
    except (av.FFmpegError, OSError) as error:
        raise _failure(error, container.name, f", after {number} frames" if number else "") from None
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
