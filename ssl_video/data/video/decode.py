"""Frames from video files, by PyAV (which includes its own FFmpeg, so a plain pip install works).

Pixels are taken as stored, even if a file declares them as not square: the usual decoders do the same, so
results stay comparable. Rotated and mirrored videos (phones) are turned upright.
"""

import bisect
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideData
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

_VERSION = int(av.__version__.split(".")[0])
# AVI files hold titles in any character set; up to version 18 PyAV rejects those that are not UTF-8.
_OPEN: dict[str, Any] = {"metadata_errors": "replace"} if _VERSION < 19 else {}
# Clips are decoded in parallel; threads inside one scaler would only compete with them. Before version 17
# there are none.
_SCALE: dict[str, Any] = {"threads": 1} if _VERSION >= 17 else {}
# A seek discards frames that wait for reordering; decoding this many costs less.
_WORTH_A_SEEK = 8


class DecodeError(Exception):
    """A file that is not a usable video; the message is the reason alone, without the file's name."""


class _Irregular(Exception):
    """Time stamps that do not identify frames uniquely."""


def decode(path: str | Path, short_side: int | None = None) -> np.ndarray:
    """Decode every frame of a file, in display order.

    A file is broken if it is truncated or damaged so that FFmpeg stops with an error, even if it delivered
    some frames before (as for H.264 in MP4). If FFmpeg conceals the damage or sees an ordinary end (as for
    AVI and WebM), the delivered frames are the video.

    Args:
        path: a video file.
        short_side: the shorter side is scaled down to this many pixels; a smaller video is left as it is.

    Returns:
        uint8, (F, H, W, 3), RGB.

    Raises:
        DecodeError: no video stream, no decodable frame, or damaged data.
    """
    scaler = _Scaler(short_side)
    with opened(path) as (container, stream):
        return np.stack([scaler.pixels(frame) for frame in shown(container, stream)])


def read(
    path: str | Path, indices: Sequence[int] | np.ndarray, short_side: int | None = None, *, frames: int = 0
) -> np.ndarray:
    """Return some frames of a file: `decode(path, short_side)[indices]`, decoding only as much as needed.

    Nothing after the last requested frame is looked at, so later damage goes unnoticed. Decoding starts at
    the last key frame before a wanted frame if the number of frames is known and the file has as many
    packets, each with a unique time stamp. Every packet and frame is then checked. If one is unexpected or
    damaged, and in all other files, decoding starts at the beginning.

    Args:
        path: a video file.
        indices: (N,) positions in display order, from 0, in any order and with repetitions.
        short_side: as in `decode`.
        frames: number of frames that `decode` or `count` found; 0: not known.

    Returns:
        uint8, (N, H, W, 3), RGB, in the order of the indices.

    Raises:
        DecodeError: as in `decode`, or the file has fewer frames.
    """
    wanted = [int(index) for index in indices]
    assert wanted, "no frame is asked for"
    assert min(wanted) >= 0, "frames are counted from the first one"
    ranks = sorted(set(wanted))
    scaler = _Scaler(short_side)
    found = _sought(path, ranks, frames, scaler) if ranks[-1] > _WORTH_A_SEEK and frames else None
    found = found or _passed(path, ranks, scaler)
    return np.stack([found[index] for index in wanted])


def count(path: str | Path) -> int:
    """Count the frames that `decode` returns, without scaling or storing them.

    Raises:
        DecodeError: as in `decode`.
    """
    with opened(path) as (container, stream):
        return sum(1 for _ in shown(container, stream))


def scaled(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """Return height and width after scaling the shorter side down to `short_side`; never up."""
    shorter = min(height, width)
    if short_side is None or shorter <= short_side:
        return height, width
    return round(height * short_side / shorter), round(width * short_side / shorter)


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
        raise DecodeError(_reason(error)) from None


def shown(container: InputContainer, stream: VideoStream) -> Iterator[av.VideoFrame]:
    """Yield all frames from the file's current position, as FFmpeg delivers them, of one size.

    Raises:
        DecodeError: damaged data, a change of frame size, or no frame at all.
    """
    size, number = None, 0
    try:
        for frame in container.decode(stream):
            size = size or (frame.height, frame.width)
            if size != (frame.height, frame.width):
                raise DecodeError("the frame size changes inside the file")
            number += 1
            yield frame
    except (av.FFmpegError, OSError) as error:
        raise DecodeError(_reason(error) + (f", after {number} frames" if number else "")) from None
    if not number:
        raise DecodeError("no frame can be decoded")


def turn(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Return the turns that make a frame upright: (swap rows and columns, then flip rows, flip columns).

    The display matrix of MP4 maps (x, y) to (a x + c y, b x + d y). Quarter turns and mirrors are applied
    exactly; other angles are rounded to the nearest of them.
    """
    side_data: Any = frame.side_data
    data = side_data.get(SideData.DISPLAYMATRIX)
    if data is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    swap = abs(c) > abs(a)
    return swap, (b if swap else d) < 0, (c if swap else a) < 0


class _Scaler:
    """Converter of the frames of one file to pixels.

    Setting up a scaler costs several times the scaling of a small frame, so one serves the whole file.
    """

    def __init__(self, short_side: int | None) -> None:
        self.short_side = short_side
        self._scale, self._pack = VideoReformatter(), VideoReformatter()

    def pixels(self, frame: av.VideoFrame) -> np.ndarray:
        """Return a frame upright: uint8 (H, W, 3)."""
        height, width = scaled(frame.height, frame.width, self.short_side)
        if (height, width) != (frame.height, frame.width):
            # Scaling to planes takes half the time of scaling to packed pixels. For a factor of two it also
            # avoids FFmpeg's fast path, which is darker by 1 to 2 of 255.
            frame = self._scale.reformat(frame, width=width, height=height, format="gbrp", **_SCALE)
        pixels: np.ndarray = self._pack.reformat(frame, format="rgb24", **_SCALE).to_ndarray()
        swap, rows, columns = turn(frame)
        if swap:
            pixels = pixels.swapaxes(0, 1)
        return pixels[:: -1 if rows else 1, :: -1 if columns else 1]


def _passed(path: str | Path, ranks: list[int], scaler: _Scaler) -> dict[int, np.ndarray]:
    """Return frames by index, in ascending order, decoded from the beginning.

    Raises:
        DecodeError: damage before the last of them, or too few frames.
    """
    found: dict[int, np.ndarray] = {}
    wanted = set(ranks)
    number = 0
    with opened(path) as (container, stream):
        for number, frame in enumerate(shown(container, stream)):
            if number in wanted:
                found[number] = scaler.pixels(frame)
                if len(found) == len(ranks):
                    return found
    raise DecodeError(f"frame {ranks[-1]} was asked for, but it has {number + 1} frames")


def _sought(path: str | Path, ranks: list[int], frames: int, scaler: _Scaler) -> dict[int, np.ndarray] | None:
    """Return frames by index, located by their time stamps; None if these are unreliable."""
    found: dict[int, np.ndarray] = {}
    try:
        with opened(path) as (container, stream):
            packets = _packets(container, stream)
            if len(packets.stamps) != frames or packets.keys[0] > ranks[0]:
                return None
            place, source = 0, iter(list[av.VideoFrame]())
            for rank in ranks:
                key = packets.keys[bisect.bisect_right(packets.keys, rank) - 1]
                if not place or key - place > _WORTH_A_SEEK:
                    source, place = _from(container, stream, packets, key), key
                frame = next(itertools.islice(source, rank - place, None))
                found[rank], place = scaler.pixels(frame), rank + 1
    except (_Irregular, DecodeError, StopIteration):
        return None
    return found


class _Packets(NamedTuple):
    """All packets of a stream: time stamps in ascending order, and the indices of those of key frames."""

    stamps: list[int]
    keys: list[int]
    positions: dict[int, int | None]  # time stamp -> byte in the file


def _packets(container: InputContainer, stream: VideoStream) -> _Packets:
    """Read a file's packets without decoding them.

    Raises:
        _Irregular: packets without a unique time stamp, or no key frames.
    """
    positions, keys, number = dict[int, int | None](), [], 0
    for packet in container.demux(stream):
        if not packet.size:  # the end-of-file signal for the decoder
            continue
        if packet.pts is None or packet.is_corrupt or packet.is_discard:
            raise _Irregular
        positions[packet.pts] = packet.pos
        number += 1
        if packet.is_keyframe:
            keys.append(packet.pts)
    if not keys or len(positions) < number:
        raise _Irregular
    stamps = sorted(positions)
    return _Packets(stamps, [bisect.bisect_left(stamps, key) for key in sorted(keys)], positions)


def _from(
    container: InputContainer, stream: VideoStream, packets: _Packets, key: int
) -> Iterator[av.VideoFrame]:
    """Yield frames from a key frame on, each checked against the next time stamp in the file.

    Frames shown before the key frame but stored after it may depend on data stored before it: they are
    dropped.

    Raises:
        _Irregular: an unexpected or a damaged frame: the concealment of damage depends on the frames decoded
            before.
    """
    container.seek(packets.stamps[key], stream=stream)
    place = key
    for packet in container.demux(stream):
        # In a damaged file a packet may have another time stamp after a seek.
        if packet.size and (packet.pts is None or packets.positions.get(packet.pts) != packet.pos):
            raise _Irregular
        for frame in packet.decode():
            if place == key and (frame.pts is None or frame.pts < packets.stamps[key]):
                continue
            # Some streams refresh gradually, and mark the start of that as a key frame.
            whole = (place > key or frame.key_frame) and not frame.is_corrupt
            if not whole or place == len(packets.stamps) or frame.pts != packets.stamps[place]:
                raise _Irregular
            place += 1
            yield frame


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _reason(error: Exception) -> str:
    """Return FFmpeg's or the system's message, without its number and the path."""
    return str(getattr(error, "strerror", None) or error).split("\n")[0].strip().lower()
