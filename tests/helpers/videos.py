"""Videos of every kind that decoding has to cope with, made on the spot."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

LENGTH = 50


class Kind(NamedTuple):
    """A way to encode; `sought`: whether frames can be found by time stamps."""

    name: str
    codec: str
    sought: bool
    options: dict[str, str] = {}  # noqa: RUF012
    gop: int = 12
    size: tuple[int, int] = (48, 64)
    stamps: Sequence[int] = ()


X264 = "keyint=12:min-keyint=12:scenecut=0:bframes=3"
X265 = "log-level=none:keyint=12:min-keyint=12:scenecut=0:bframes=3"
KINDS = {
    "h264": Kind("a.mp4", "libx264", True, {"bf": "3"}),
    "h264, odd size": Kind("a.mkv", "libx264", True, {"bf": "2", "pix_fmt": "yuv444p"}, size=(37, 53)),
    "h264, open groups": Kind("a.mp4", "libx264", True, {"x264-params": X264 + ":open-gop=1"}),
    "h264, no key frames": Kind("a.mp4", "libx264", False, {"x264-params": X264 + ":intra-refresh=1"}),
    "h264, transport stream": Kind("a.ts", "libx264", False, {"bf": "2"}),
    "h264, no time stamps": Kind("a.h264", "libx264", False, {"bf": "2"}),
    "h264, uneven rate": Kind(
        "a.mkv", "libx264", True, {"bf": "2"}, stamps=np.cumsum(np.arange(LENGTH) % 7 + 1).tolist()
    ),
    "hevc, open groups": Kind("a.mp4", "libx265", True, {"x265-params": X265 + ":open-gop=1"}),
    "mpeg4": Kind("a.avi", "mpeg4", True),
    "mpeg4, B-frames": Kind("a.avi", "mpeg4", True, {"bf": "2"}),
    "mpeg2": Kind("a.mpg", "mpeg2video", False, {"bf": "2"}),
    "mjpeg": Kind("a.avi", "mjpeg", True, {"pix_fmt": "yuvj420p"}, gop=1),
    "vp8": Kind("a.webm", "libvpx", True, {"lag-in-frames": "10"}),
    "vp9": Kind("a.webm", "libvpx-vp9", True, {"cpu-used": "8", "lag-in-frames": "10"}),
    "one group": Kind("a.mp4", "libx264", True, {"bf": "3"}, gop=100),
}


def pictures(frames: int, height: int, width: int) -> np.ndarray:
    """A texture that moves and slowly changes, so that no two frames are alike: uint8 (F, H, W, 3)."""
    generator = np.random.default_rng(0)
    texture = generator.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3)).repeat(4, 0).repeat(4, 1)
    moved = [np.roll(texture, (number, 3 * number), (0, 1))[:height, :width] for number in range(frames)]
    return np.stack(moved).astype(np.uint8) // 2 + np.arange(frames, dtype=np.uint8)[:, None, None, None]


def encode(path: Path, kind: Kind, frames: int = LENGTH) -> Path:
    """Write the moving texture to a file and return its path."""
    options = dict(kind.options)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(kind.codec, rate=25)
        stream.pix_fmt = options.pop("pix_fmt", "yuv420p")
        stream.options, stream.codec_context.gop_size = options, kind.gop
        stream.height, stream.width = kind.size
        for number, image in enumerate(pictures(frames, *kind.size)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = kind.stamps[number] if kind.stamps else number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def cut(whole: Path, path: Path, key: int, first: int) -> Path:
    """Cut a file without encoding it again, from a key frame that stands before its first shown frame.

    Args:
        whole: a file at 25 frames a second, in MP4.
        path: the cut file, in MP4: an edit list hides the frames before the first.
        key: number of the key frame from which data is copied.
        first: number of the first frame that is shown.
    """
    options = {"use_editlist": "1", "avoid_negative_ts": "disabled"}
    with av.open(str(whole)) as source, av.open(str(path), "w", options=options) as target:
        stream = source.streams.video[0]
        copied = target.add_stream_from_template(stream)
        frame = round(1 / 25 / float(stream.time_base))
        for packet in source.demux(stream):
            if packet.size and packet.pts >= key * frame:
                packet.stream = copied
                packet.pts, packet.dts = packet.pts - first * frame, packet.dts - first * frame
                target.mux(packet)
    return path


def trim(whole: Path, path: Path, first: int, frames: int) -> Path:
    """Copy an MP4 file at 25 frames a second with another edit list, as phones trim: all data stays."""
    content = bytearray(whole.read_bytes())
    # After the name: version and flags, number of entries; duration in milliseconds, first time stamp.
    entry = content.index(b"elst") + 12
    with av.open(str(whole)) as container:
        frame = round(1 / 25 / float(container.streams.video[0].time_base))
    delay = int.from_bytes(content[entry + 4 : entry + 8], "big")
    content[entry : entry + 8] = struct.pack(">II", 40 * frames, delay + first * frame)
    path.write_bytes(content)
    return path
