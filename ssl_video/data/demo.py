"""The embedded demo data: 800 small videos, rendered here and encoded to real files at first use.

Each clip shows one bright shape that swings to and fro over a dim background, past two small swinging
dots that carry no information. A class is a shape (appearance) and a direction (motion), so neither is
enough alone. Colour, place, size, speed and phase are random and independent of the class. A horizontal flip
preserves the class.

The difficulty was calibrated on supervised training alone, so that no method was favoured (2026-11: tiny3d,
300 steps of 16 labeled clips, accuracy on the test clips, mean of 3 to 5 draws): 0.52 with 4 labels per class
(standard deviation 0.07), 0.93 with 10, 0.98 with all. With every clip replaced by one of its frames,
repeated, and all labels: 0.47, the shapes right and the directions guessed.

A clip's pixels are a function of its number. They come from the raw output of numpy's Philox generator,
which, unlike the distributions built on it, never changes between versions of numpy (NEP 19). They are
encoded without loss: a file's bytes may differ from one machine to the next, its pixels do not.
"""

import contextlib
import csv
import io
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

from ssl_video.data.paths import cache_dir
from ssl_video.errors import InputError

# Part of the folder's name. Increase it when pixels change, so that old folders are not reused.
VERSION = 2
CLIPS, TRAIN_CLIPS = 800, 500
# 24 frames hold windows of 8 frames at stride 2 with room to start at random. 36 pixels are a crop of 32
# and the margin that stored frames have around it, so these frames are never scaled before the crop.
FRAMES, SIZE, RATE = 24, 36, 12

# Signed distance to the edge, negative inside, for coordinates in units of the shape's radius. All are their
# own mirror images, and stay apart from each other when turned by the strong augmentation's 30 degrees.
_SHAPES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "disk": lambda x, y: np.hypot(x, y) - 1,
    "triangle": lambda x, y: np.maximum(y, abs(x) * 0.866 - y * 0.5) - 0.55,
    "ring": lambda x, y: abs(np.hypot(x, y) - 0.75) - 0.25,
    "cross": lambda x, y: np.maximum(np.minimum(abs(x), abs(y)) - 0.3, np.maximum(abs(x), abs(y)) - 1),
    "stripes": lambda x, y: np.maximum(np.maximum(abs(x), abs(y)) - 1, 0.2 - abs(y % 0.8 - 0.4)),
}
_DIRECTIONS = {"horizontal": 0.0, "vertical": np.pi / 2}
CLASSES = tuple(f"{shape}-{direction}" for shape in _SHAPES for direction in _DIRECTIONS)

_STALE_SECONDS = 3600

# Y, U and V of R, G and B, times 2^16.
_BT601 = np.array([[16829, 33039, 6416], [-9714, -19070, 28784], [28784, -24103, -4681]])


def place() -> Path:
    """Return the folder of the rendered clips in the cache."""
    return cache_dir() / f"demo-{VERSION}"


def prepare(folder: Path | None = None, progress: Callable[[int, int], None] | None = None) -> Path:
    """Render the demo clips, unless they exist.

    The files are written beside `folder`, which is renamed into place once it is complete. So a folder is
    complete or absent, even if several processes build it or one is stopped.

    Args:
        folder: the target; by default `place()`.
        progress: called after each clip with the number of clips done and the total.

    Returns:
        manifest.csv in that folder, with columns path (relative to the folder), label and split.

    Raises:
        InputError: the folder holds something else or cannot be written, or PyAV cannot encode H.264.
    """
    folder = folder or place()
    manifest = folder / "manifest.csv"
    if manifest.is_file():
        return manifest
    try:
        # Check for the manifest again: another process may just have put it there.
        if folder.exists() and any(folder.iterdir()) and not manifest.is_file():
            raise InputError(
                f"{folder} has no manifest.csv, so it is not the demo data, but is not empty either: "
                "remove it or choose another folder"
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{folder.name}-building-"
        _remove_stale(folder.parent, prefix)
        with tempfile.TemporaryDirectory(prefix=prefix, dir=folder.parent) as temporary:
            built = Path(temporary) / "demo"
            _build(built, progress)
            _publish(built, folder)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise InputError(
            f"the demo clips cannot be written to {folder}: {error.strerror or error}{where}; "
            "free space there, or set SSL_VIDEO_CACHE to a writable folder"
        ) from error
    return manifest


def label(index: int) -> str:
    """Return the class of clip `index`; classes alternate, so any ten clips in a row have each class once."""
    return CLASSES[index % len(CLASSES)]


def render(index: int) -> np.ndarray:
    """Return the frames of clip `index`: uint8 (FRAMES, SIZE, SIZE, 3), RGB, the same on every call."""
    draws = _Draws(index)
    shape, direction = label(index).split("-")
    video = np.repeat(_background(draws), FRAMES, axis=0)
    for _ in range(2):
        _paint_dot(video, draws)
    _paint_shape(video, draws, shape, _DIRECTIONS[direction])
    return np.rint(video * 255).astype(np.uint8)


def _build(folder: Path, progress: Callable[[int, int], None] | None) -> None:
    """Write all clips and the manifest into a folder that does not exist."""
    rows = []
    for index in range(CLIPS):
        path = Path(label(index), f"{index:03d}.mp4")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(_encode(render(index)))
        rows.append((path.as_posix(), label(index), "train" if index < TRAIN_CLIPS else "test"))
        if progress:
            progress(index + 1, CLIPS)
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("path", "label", "split"), *rows])


def _publish(built: Path, folder: Path) -> None:
    """Rename a finished folder into place, unless another process was faster."""
    try:
        os.rename(built, folder)
    except OSError:
        # A folder cannot be renamed onto one that is not empty.
        if not (folder / "manifest.csv").is_file():
            raise


def _remove_stale(parent: Path, prefix: str) -> None:
    """Remove the remains of killed builds; a running build is never that old."""
    for path in parent.iterdir():
        # Another process may have finished and removed its folder in the meantime.
        with contextlib.suppress(FileNotFoundError):
            if path.name.startswith(prefix) and time.time() - path.stat().st_mtime > _STALE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def _encode(video: np.ndarray) -> bytes:
    """Encode frames (T, H, W, 3) as an H.264 MP4 file that any player shows."""
    # Encoding to memory leaves every error of the disk to the one place that writes the bytes.
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        try:
            stream = container.add_stream("libx264", rate=RATE)
        except av.codec.codec.UnknownCodecError:
            raise InputError(
                "this PyAV cannot encode H.264 (it has no libx264), which the demo clips need; "
                "install PyAV's own wheel: pip install --force-reinstall --only-binary av av"
            ) from None
        stream.height, stream.width = video.shape[1:3]
        stream.pix_fmt = "yuv420p"
        # x264 is not deterministic: even with one thread, one in ten lossily encoded clips came out in two to
        # four versions, so that every user had a different demo.
        stream.options = {"qp": "0", "preset": "veryfast"}
        for planes in _yuv420(video):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode())
    return file.getvalue()


def _yuv420(video: np.ndarray) -> np.ndarray:
    """Convert frames (T, H, W, 3), RGB, to planes (T, 1.5 H, W): all Y, then U and V at half the size.

    ITU-R BT.601, limited range, which players assume for a small video. The conversion uses integers, because
    FFmpeg's own rounds differently from one processor to another.
    """
    frames, height, width, _ = video.shape
    planes = np.einsum("pc,thwc->pthw", _BT601, video)
    luma = 16 + (planes[0] + (1 << 15) >> 16)
    blocks = planes[1:].reshape(2, frames, height // 2, 2, width // 2, 2).sum((3, 5))
    chroma = 128 + (blocks + (1 << 17) >> 18)
    rows = [plane.reshape(frames, -1) for plane in (luma, *chroma)]
    return np.concatenate(rows, axis=1).astype(np.uint8).reshape(frames, height * 3 // 2, width)


class _Draws:
    """Random numbers of one clip, in the order in which they are requested."""

    def __init__(self, index: int) -> None:
        self.source = np.random.Philox(key=[1, index])

    def between(self, low: float, high: float, *shape: int) -> np.ndarray:
        """Draw uniform numbers in [low, high), of the given shape."""
        # The usual 53 bits of a double.
        unit = (self.source.random_raw(int(np.prod(shape))) >> np.uint64(11)).reshape(shape) * 2.0**-53
        return low + (high - low) * unit

    def colour(self, level: float) -> np.ndarray:
        """Draw a hue, (3,), whose strongest component is `level` and whose weakest is not far from it."""
        channels = self.between(0, 1, 3)
        return level * (0.25 + 0.75 * channels / channels.max())

    def swing(self, angle: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw a swing to and fro along a direction, in pixels: x and y offsets, each (FRAMES, 1, 1)."""
        reach, period, phase = self.between(5, 8), self.between(10, 16), self.between(0, 2 * np.pi)
        offset = reach * np.sin(2 * np.pi * np.arange(FRAMES).reshape(-1, 1, 1) / period + phase)
        return offset * np.cos(angle), offset * np.sin(angle)


# Pixel coordinates from the middle of the frame.
_X = np.arange(SIZE) - (SIZE - 1) / 2
_Y = _X[:, None]


def _background(draws: _Draws) -> np.ndarray:
    """Draw a dim, still, blurry pattern, (1, SIZE, SIZE, 3), in [0, 1]."""
    coarse = draws.between(0, 0.35, 6, 6, 3)
    # Linear interpolation as a matrix, (SIZE, 6).
    weights = np.maximum(0, 1 - abs(np.linspace(0, 5, SIZE)[:, None] - np.arange(6)))
    return np.einsum("yi,xj,ijc->yxc", weights, weights, coarse)[None]


def _paint_dot(video: np.ndarray, draws: _Draws) -> None:
    """Paint a small, darker disk anywhere, swinging in any direction."""
    x, y = draws.between(-14, 14, 2)
    dx, dy = draws.swing(draws.between(0, np.pi))
    distance = np.hypot(_X - x - dx, _Y - y - dy) - draws.between(1.5, 2.5)
    _paint(video, distance, draws.colour(0.85))


def _paint_shape(video: np.ndarray, draws: _Draws, shape: str, angle: float) -> None:
    """Paint the shape that the class is named after, swinging along `angle` and drifting slowly across it."""
    radius = draws.between(6.5, 8)
    dx, dy = draws.swing(angle)
    drift = draws.between(-2, 2) * np.linspace(-1, 1, FRAMES).reshape(-1, 1, 1)
    dx, dy = dx - drift * np.sin(angle), dy + drift * np.cos(angle)
    # Anywhere, as long as the whole shape, including its corners, stays inside the frame.
    room = SIZE / 2 - radius
    x, y = (max(0.0, room - abs(d).max()) * draws.between(-1, 1) for d in (dx, dy))
    u, v = (_X - x - dx) / radius, (_Y - y - dy) / radius
    turn = draws.between(-0.15, 0.15)
    u, v = u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)
    _paint(video, _SHAPES[shape](u, v) * radius, draws.colour(1.0))


def _paint(video: np.ndarray, distance: np.ndarray, colour: np.ndarray) -> None:
    """Colour the inside, blending over one pixel at the edge; distance: (FRAMES, SIZE, SIZE), pixels."""
    inside = np.clip(0.5 - distance, 0, 1)[..., None]
    video += inside * (colour - video)
