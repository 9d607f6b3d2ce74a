"""Frames from video files and from folders of pictures.

Pixels are taken as stored, even if a file declares them as not square: the usual decoders do the same, so
results stay comparable. Rotated and mirrored videos (phones) are turned upright. If the size changes inside a
file, as in joined recordings, all frames are scaled to the size of the first, as the ffmpeg command does.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideData
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from ssl_video.data.video import picture_folder
from ssl_video.data.video.container import DecodeError, decoded, opened, shown
from ssl_video.data.video.packets import Irregular, Packets, of_stream

# Clips are decoded in parallel; threads inside one scaler would only compete with them. Before version 17
# there are none.
_SCALE: dict[str, Any] = {"threads": 1} if int(av.__version__.split(".")[0]) >= 17 else {}
# A seek discards frames that wait for reordering; decoding this many costs less.
_WORTH_A_SEEK = 8
MOST_BYTES = 2**33  # of a file that is decoded at once; longer ones are read in parts if they state how long
_ROOM = 2**22  # bytes for which there is room at first: three seconds of small frames


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
        DecodeError: no video stream, no decodable frame, damaged data, or more than `MOST_BYTES`.
    """
    scaler = Scaler(short_side)
    if os.path.isdir(path):
        files = picture_folder.names(path)
        read = picture_folder.pictures(path, files, range(len(files)), scaler.pixels)
        return _together(pixels for _, pixels in read)
    with opened(path) as (container, stream):
        return _together(map(scaler.pixels, scaler.of_one_size(shown(container, stream))))


def read(
    path: str | Path,
    indices: Sequence[int] | np.ndarray,
    short_side: int | None = None,
    *,
    frames: int = 0,
    packets: Packets | None = None,
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
        packets: the file's packets; None: they are read first.

    Returns:
        uint8, (N, H, W, 3), RGB, in the order of the indices.

    Raises:
        DecodeError: as in `decode`, or the file has fewer frames.
    """
    wanted = [int(index) for index in indices]
    assert wanted, "no frame is asked for"
    assert min(wanted) >= 0, "frames are counted from the first one"
    ranks = sorted(set(wanted))
    scaler = Scaler(short_side)
    if os.path.isdir(path):
        found = picture_folder.read(path, ranks, scaler.pixels)
    else:
        worth = ranks[-1] > _WORTH_A_SEEK and frames
        sought = _sought(path, ranks, frames, scaler, packets) if worth else None
        found = sought or _passed(path, ranks, scaler)
    return np.stack([found[index] for index in wanted])


def count(path: str | Path) -> int:
    """Count the frames that `decode` returns, without scaling or storing them.

    Raises:
        DecodeError: as in `decode`.
    """
    if os.path.isdir(path):
        return len(picture_folder.names(path))
    with opened(path) as (container, stream):
        return sum(1 for _ in shown(container, stream))


def stamps(path: str | Path, first: int | None = None) -> np.ndarray | None:
    """Return the time stamp of each frame in seconds, (F,), by decoding the file.

    Args:
        path: a video file.
        first: decode only so many frames; None: all.

    Returns:
        The time stamps; None: frames have none, or they do not ascend.

    Raises:
        DecodeError: as in `decode`.
    """
    with opened(path) as (container, stream):
        found = [frame.pts for frame in itertools.islice(shown(container, stream), first)]
        unit = float(stream.time_base or 0)
    known = [stamp for stamp in found if stamp is not None]
    if len(known) < len(found):
        return None
    times = np.array(known, np.int64) * unit
    return times if (np.diff(times) > 0).all() else None


def scaled(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """Return height and width after scaling the shorter side down to `short_side`; never up."""
    shorter = min(height, width)
    if short_side is None or shorter <= short_side:
        return height, width
    return round(height * short_side / shorter), round(width * short_side / shorter)


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


class Scaler:
    """Converter of the frames of one file to pixels.

    Setting up a scaler costs several times the scaling of a small frame, so one serves the whole file.
    """

    def __init__(self, short_side: int | None) -> None:
        self.short_side = short_side
        self._first: tuple[int, int] | None = None
        self._scale, self._pack = VideoReformatter(), VideoReformatter()

    def of_one_size(self, frames: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
        """Yield the frames of a file, and convert all of them to pixels of the size of its first frame."""
        for frame in frames:
            self._first = self._first or (frame.height, frame.width)
            yield frame

    def pixels(self, frame: av.VideoFrame) -> np.ndarray:
        """Return a frame upright: uint8 (H, W, 3)."""
        height, width = scaled(*(self._first or (frame.height, frame.width)), self.short_side)
        if (height, width) != (frame.height, frame.width):
            # Scaling to planes takes half the time of scaling to packed pixels. For a factor of two it also
            # avoids FFmpeg's fast path, which is darker by 1 to 2 of 255.
            frame = self._scale.reformat(frame, width=width, height=height, format="gbrp", **_SCALE)
        pixels: np.ndarray = self._pack.reformat(frame, format="rgb24", **_SCALE).to_ndarray()
        swap, rows, columns = turn(frame)
        if swap:
            pixels = pixels.swapaxes(0, 1)
        return pixels[:: -1 if rows else 1, :: -1 if columns else 1]


def _together(frames: Iterator[np.ndarray]) -> np.ndarray:
    """Return frames in one array, into which they are written as they come: no second copy is held."""
    found, number = np.empty(0, np.uint8), 0
    for frame in frames:
        if number == len(found):
            if (number + 1) * frame.nbytes > MOST_BYTES:
                raise DecodeError(
                    f"it states no duration, and its frames take more than {MOST_BYTES / 2**30:g} GiB: copy "
                    "it into another container (ffmpeg -i IN -c copy OUT.mkv), or cut it"
                )
            first = max(_ROOM // max(frame.nbytes, 1), 1)
            room = min(max(number * 3 // 2, number + first), max(MOST_BYTES // frame.nbytes, number + 1))
            found = found if number else np.empty((0, *frame.shape), np.uint8)
            # The system moves large blocks without copying them, and a page takes memory when it is written.
            found.resize((room, *frame.shape), refcheck=False)
        found[number] = frame
        number += 1
    found.resize((number, *found.shape[1:]), refcheck=False)
    return found


def _passed(path: str | Path, ranks: list[int], scaler: Scaler) -> dict[int, np.ndarray]:
    """Return frames by index, in ascending order, decoded from the beginning.

    Raises:
        DecodeError: damage before the last of them, or too few frames.
    """
    found: dict[int, np.ndarray] = {}
    wanted = set(ranks)
    number = 0
    with opened(path) as (container, stream):
        for number, frame in enumerate(scaler.of_one_size(shown(container, stream))):
            if number in wanted:
                found[number] = scaler.pixels(frame)
                if len(found) == len(ranks):
                    return found
    raise DecodeError(f"frame {ranks[-1]} was asked for, but it has {number + 1} frames")


def _sought(
    path: str | Path, ranks: list[int], frames: int, scaler: Scaler, packets: Packets | None
) -> dict[int, np.ndarray] | None:
    """Return frames by index, located by their time stamps; None if these are unreliable."""
    found: dict[int, np.ndarray] = {}
    try:
        with opened(path) as (container, stream):
            packets = packets or of_stream(container, stream)
            if len(packets.stamps) != frames or not len(packets.keys):
                return None
            size = stream.codec_context.height, stream.codec_context.width
            place, source = 0, iter(list[av.VideoFrame]())
            for rank in ranks:
                key = packets.key_before(rank)
                if not place or key - place > _WORTH_A_SEEK:
                    source, place = _from(container, stream, packets, key), key
                frame = next(itertools.islice(source, rank - place, None))
                if (frame.height, frame.width) != size:
                    raise Irregular
                found[rank], place = scaler.pixels(frame), rank + 1
    except (Irregular, DecodeError, StopIteration):
        return None
    return found


def _from(
    container: InputContainer, stream: VideoStream, packets: Packets, key: int
) -> Iterator[av.VideoFrame]:
    """Yield frames from a key frame on, each checked against the next time stamp in the file.

    Frames shown before the key frame but stored after it may depend on data stored before it: they are
    dropped.

    Raises:
        Irregular: an unexpected or a damaged frame: the concealment of damage depends on the frames decoded
            before.
        DecodeError: no frame within the limit of time.
    """
    led = key < packets.keys[0]  # by frames that are not shown
    container.seek(packets.lead if led else int(packets.stamps[key]), stream=stream)
    place = key
    for packet, frames in decoded(container, stream):
        # In a damaged file a packet may have another time stamp after a seek.
        if packet.size and not packet.is_discard:
            rank = -1 if packet.pts is None else packets.rank(packet.pts)
            if rank < 0 or packets.positions[rank] != (-1 if packet.pos is None else packet.pos):
                raise Irregular
        for frame in frames:
            if place == key and (frame.pts is None or frame.pts < packets.stamps[key]):
                continue
            # Some streams refresh gradually, and mark the start of that as a key frame.
            whole = (place > key or led or frame.key_frame) and not frame.is_corrupt
            if not whole or place == len(packets.stamps) or frame.pts != packets.stamps[place]:
                raise Irregular
            place += 1
            yield frame
