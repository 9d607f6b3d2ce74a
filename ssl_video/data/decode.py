"""Frames from video files, by PyAV (which brings its own FFmpeg, so a plain pip install works)."""

from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter


class DecodeError(Exception):
    """A file that is not a usable video; the message is the reason alone, without the file's name."""


def decode(path: str | Path, short_side: int | None = None) -> np.ndarray:
    """Every frame of a file, in the order shown.

    A file that is cut off or damaged so that FFmpeg stops with an error is broken, even where some frames
    came before (H.264 in MP4 does that). Where FFmpeg conceals the damage or sees an ordinary end (AVI and
    WebM do that), the frames that it delivers are the video.

    Args:
        path: a video file.
        short_side: the shorter side is scaled down to this many pixels; a smaller video is left as it is.

    Returns:
        uint8, (F, H, W, 3), RGB.

    Raises:
        DecodeError: no video stream, no decodable frame, or damaged data.
    """
    frames: list[np.ndarray] = []
    try:
        # FFmpeg would take a relative name with a colon for an address. AVI files hold titles in any
        # character set, and PyAV refuses those that are not UTF-8 unless told otherwise.
        with av.open(str(Path(path).absolute()), metadata_errors="replace") as container:
            if not container.streams.video:
                raise DecodeError("no video stream")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise DecodeError("FFmpeg has no decoder for its video stream")
            # Clips are decoded side by side; threads inside one decoder would only compete with them.
            stream.codec_context.thread_count = 1
            # One scaler for the file: setting one up costs several times a small frame's scaling.
            scaler = VideoReformatter()
            for frame in container.decode(stream):
                frames.append(_pixels(scaler, frame, short_side))
    except (av.FFmpegError, OSError) as error:
        raise DecodeError(_reason(error) + (f", after {len(frames)} frames" if frames else "")) from None
    if not frames:
        raise DecodeError("no frame can be decoded")
    if any(frame.shape != frames[0].shape for frame in frames):
        raise DecodeError("the frame size changes inside the file")
    return np.stack(frames)


def scaled(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """Height and width after scaling the shorter side down to `short_side`; never up."""
    shorter = min(height, width)
    if short_side is None or shorter <= short_side:
        return height, width
    return round(height * short_side / shorter), round(width * short_side / shorter)


def _pixels(scaler: VideoReformatter, frame: av.VideoFrame, short_side: int | None) -> np.ndarray:
    height, width = scaled(frame.height, frame.width, short_side)
    pixels: np.ndarray = scaler.reformat(frame, width=width, height=height, format="rgb24").to_ndarray()
    return pixels


def _reason(error: Exception) -> str:
    """What FFmpeg or the system says, without its number and the path."""
    return str(getattr(error, "strerror", None) or error).split("\n")[0].strip().lower()
