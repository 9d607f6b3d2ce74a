"""What each way to store decoded frames costs: python -m ssl_video.benchmarks.speed.cache_formats FOLDER.

Every format stores the same clips. Reads are what training does: the frames of one window, out of a file of
its own. Times are medians over clips: of the processor alone, and for cold files of the clock. The choice of
the frame cache's formats rests on this table.
"""

import io
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pyarrow
from PIL import Image

from ssl_video.data.video.decode import DecodeError, decode

Frames = np.ndarray  # uint8, (F, H, W, 3)


class Format(NamedTuple):
    """A way to store the frames of a clip.

    Attributes:
        encode: frames -> the content of a file.
        read: content (uint8, mapped), indices (N,), shape (F, H, W, 3) -> frames (N, H, W, 3).
    """

    encode: Callable[[Frames], bytes]
    read: Callable[[np.ndarray, np.ndarray, tuple[int, ...]], Frames]


def _raw_read(content: np.ndarray, indices: np.ndarray, shape: tuple[int, ...]) -> Frames:
    chosen: Frames = content.reshape(shape)[indices]
    return chosen


def _yuv_encode(frames: Frames) -> bytes:
    # Planes of half the size need even sides.
    height, width = frames.shape[1:3]
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), "edge")
    planes = [av.VideoFrame.from_ndarray(f, "rgb24").reformat(format="yuv420p").to_ndarray() for f in even]
    return np.stack(planes).tobytes()


def _yuv_read(content: np.ndarray, indices: np.ndarray, shape: tuple[int, ...]) -> Frames:
    height, width = shape[1:3]
    planes = content.reshape(shape[0], (height + height % 2) * 3 // 2, width + width % 2)[indices]
    scaler = av.video.reformatter.VideoReformatter()
    return np.stack(
        [
            scaler.reformat(av.VideoFrame.from_ndarray(p, "yuv420p"), format="rgb24").to_ndarray()
            for p in planes
        ]
    )[:, :height, :width]


def _pack(parts: list[bytes]) -> bytes:
    """Parts of any length behind a table of where they start, F + 1 numbers."""
    offsets = np.cumsum([0, *map(len, parts)], dtype=np.uint64)
    return offsets.tobytes() + b"".join(parts)


def _parts(content: np.ndarray, indices: np.ndarray, count: int) -> Iterator[np.ndarray]:
    table = (count + 1) * 8
    offsets = content[:table].view(np.uint64).astype(np.int64) + table
    return (content[offsets[i] : offsets[i + 1]] for i in indices)


def _zstd(level: int) -> Format:
    codec = pyarrow.Codec("zstd", level)

    def read(content: np.ndarray, indices: np.ndarray, shape: tuple[int, ...]) -> Frames:
        size = int(np.prod(shape[1:]))
        parts = [
            np.frombuffer(codec.decompress(pyarrow.py_buffer(part), size), np.uint8)
            for part in _parts(content, indices, shape[0])
        ]
        return np.stack(parts).reshape(len(indices), *shape[1:])

    return Format(lambda frames: _pack([codec.compress(f.tobytes(), asbytes=True) for f in frames]), read)


def _jpeg(quality: int) -> Format:
    def encode(frames: Frames) -> bytes:
        images = [io.BytesIO() for _ in frames]
        for frame, image in zip(frames, images, strict=True):
            Image.fromarray(frame).save(image, "JPEG", quality=quality)
        return _pack([image.getvalue() for image in images])

    def read(content: np.ndarray, indices: np.ndarray, shape: tuple[int, ...]) -> Frames:
        parts = _parts(content, indices, shape[0])
        return np.stack([np.asarray(Image.open(io.BytesIO(part.tobytes()))) for part in parts])

    return Format(encode, read)


def _video(codec: str, pixels: str, **options: str) -> Format:
    def encode(frames: Frames) -> bytes:
        height, width = (side + side % 2 for side in frames.shape[1:3])
        even = np.pad(frames, ((0, 0), (0, height - frames.shape[1]), (0, width - frames.shape[2]), (0, 0)))
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="matroska") as container:
            out = container.add_stream(codec, rate=25, options=options)
            out.width, out.height, out.pix_fmt = width, height, pixels
            for frame in even:
                container.mux(out.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
            container.mux(out.encode())
        return buffer.getvalue()

    def read(content: np.ndarray, indices: np.ndarray, shape: tuple[int, ...]) -> Frames:
        wanted, found = set(indices.tolist()), {}
        with av.open(io.BytesIO(content.tobytes())) as container:
            source = container.streams.video[0]
            source.codec_context.thread_count = 1
            container.seek(int(indices[0] * 40), stream=source)  # in ms, as Matroska counts
            for frame in container.decode(source):
                number = round(frame.time * 25)
                if number in wanted:
                    found[number] = frame.to_ndarray(format="rgb24")[: shape[1], : shape[2]]
                if number >= indices[-1]:
                    break
        return np.stack([found[i] for i in indices.tolist()])

    return Format(encode, read)


def formats() -> dict[str, Format]:
    """Every format by name."""
    return {
        "raw": Format(lambda frames: frames.tobytes(), _raw_read),
        "raw YUV 4:2:0": Format(_yuv_encode, _yuv_read),
        "zstd 1": _zstd(1),
        "JPEG 90": _jpeg(90),
        "JPEG 95": _jpeg(95),
        "H.264 lossless, every 8th whole": _video(
            "libx264rgb", "rgb24", qp="0", preset="veryfast", g="8", bf="0"
        ),
        "H.264 crf 18, every frame whole": _video("libx264", "yuv420p", crf="18", preset="veryfast", g="1"),
        "H.264 crf 18, every 8th whole": _video(
            "libx264", "yuv420p", crf="18", preset="veryfast", g="8", bf="0", tune="fastdecode"
        ),
    }  # fmt: skip


def main(folder: str, short_side: int = 128, clips: int = 20) -> None:
    """Print the table for some videos of a folder."""
    videos = _some(folder, short_side, clips)
    print(
        f"{len(videos)} clips, mean {np.mean([len(v) for v in videos]):.0f} frames of {videos[0].shape[1:3]}"
    )
    print(
        f"{'format':34}{'bytes/frame':>12}{'of raw':>8}{'write ms':>10}{'read ms':>9}{'cold':>9}{'PSNR':>7}"
    )
    with tempfile.TemporaryDirectory(dir=os.environ.get("SSL_VIDEO_CACHE")) as scratch:
        for name, format_ in formats().items():
            size, write, warm, cold, error = _measure(format_, videos, Path(scratch))
            raw = sum(v.nbytes for v in videos) / sum(map(len, videos))
            psnr = f"{10 * np.log10(255**2 / error):.1f}" if error else "exact"
            print(f"{name:34}{size:12.0f}{size / raw:8.3f}{write:10.2f}{warm:9.2f}{cold:9.2f}{psnr:>7}")


def _some(folder: str, short_side: int, clips: int) -> list[Frames]:
    files = sorted(p for p in Path(folder).rglob("*") if p.suffix in (".mp4", ".avi", ".mkv", ".webm"))
    found: list[Frames] = []
    for place in np.random.default_rng(0).permutation(len(files)):
        try:
            found.append(decode(files[place], short_side))
        except DecodeError:
            continue
        if len(found) == clips:
            break
    return found


def _measure(format_: Format, videos: list[Frames], folder: Path) -> tuple[float, float, float, float, float]:
    """Bytes per frame, ms to write a clip, ms to read a window warm and cold, mean squared error."""
    write, files = [], []
    for number, frames in enumerate(videos):
        began = time.process_time()
        files.append(folder / str(number))
        files[-1].write_bytes(format_.encode(frames))
        write.append(time.process_time() - began)
    errors: list[float] = []
    warm: list[float] = []
    cold: list[float] = []
    for times, clock in ((cold, time.perf_counter), *[(warm, time.process_time)] * 3):
        generator = np.random.default_rng(0)
        for file, frames in zip(files, videos, strict=True):
            start = generator.integers(0, max(len(frames) - 32, 0) + 1)
            indices = np.arange(start, min(start + 32, len(frames)), 2)
            if times is cold:
                _forget(file)
            began = clock()
            content = np.memmap(file, np.uint8, "r")
            got = format_.read(content, indices, frames.shape)
            times.append(clock() - began)
            errors.append(float(np.mean((got.astype(np.float32) - frames[indices]) ** 2)))
    size = sum(file.stat().st_size for file in files) / sum(map(len, videos))
    written, read, fetched = (1000 * float(np.median(times)) for times in (write, warm, cold))
    return size, written, read, fetched, float(np.mean(errors))


def _forget(file: Path) -> None:
    """Have the system drop a file from memory, so that it comes from the disk."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
