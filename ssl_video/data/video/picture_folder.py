"""Clips that are folders of pictures, one for each frame, as other code bases extract them (raw frames)."""

import os
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageOps

from ssl_video.data.names import is_picture
from ssl_video.data.video.container import DecodeError
from ssl_video.errors import some

_NUMBER = re.compile(r"(\d+)(?!.*\d)")
# Optical flow, which other tools store beside the frames.
_FLOW = re.compile(r"flow|^[xy]_?$", re.IGNORECASE)


def names(folder: str | Path) -> list[str]:
    """Return the names of a folder's pictures in the order of their last number: 2 before 10.

    Raises:
        DecodeError: the folder cannot be read, has no pictures, or has those of several sequences.
    """
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in entries if is_picture(entry.name)]
    except OSError as error:
        raise DecodeError((error.strerror or str(error)).lower()) from None
    sequences = dict[str, list[str]]()
    for name in found:
        sequences.setdefault(_NUMBER.sub("", os.path.splitext(name)[0]), []).append(name)
    if len(sequences) > 1:
        sequences = {start: of for start, of in sequences.items() if not _FLOW.search(start)}
    # Names without a number are in the order of the alphabet.
    chosen = found if all(len(of) == 1 for of in sequences.values()) else next(iter(sequences.values()), [])
    if not chosen:
        raise DecodeError("no pictures in this folder")
    if len(chosen) < sum(map(len, sequences.values())):
        raise DecodeError(f"pictures of several sequences: {some(sorted(sequences))}")
    return sorted(chosen, key=_order)


def read(
    folder: str | Path, ranks: Sequence[int] | None, pixels: Callable[[av.VideoFrame], np.ndarray]
) -> dict[int, np.ndarray]:
    """Return frames by index.

    Args:
        folder: the folder.
        ranks: indices of the frames; None: all.
        pixels: function from a frame to uint8 (H, W, 3).

    Raises:
        DecodeError: a picture cannot be read, has another size than the first one, or there are too few.
    """
    files, found = names(folder), dict[int, np.ndarray]()
    for rank in range(len(files)) if ranks is None else ranks:
        if rank >= len(files):
            raise DecodeError(f"frame {rank} was asked for, but it has {len(files)} pictures")
        try:
            with Image.open(os.path.join(folder, files[rank])) as picture:
                levels = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
        except (OSError, ValueError, SyntaxError) as error:
            raise DecodeError(f"{files[rank]}: {getattr(error, 'strerror', None) or error}") from None
        found[rank] = pixels(av.VideoFrame.from_ndarray(levels, format="rgb24"))
    if len(sizes := {frame.shape for frame in found.values()}) > 1:
        raise _uneven(sizes)
    return found


def facts(folder: str | Path) -> dict[str, str | int]:
    """Return container, codec, width, height and frames of a folder; every picture is read.

    Raises:
        DecodeError: as in `read`.
    """
    sizes = {read(folder, [rank], _shape)[rank].shape[:2] for rank in range(len(names(folder)))}
    if len(sizes) > 1:
        raise _uneven(sizes)
    ((height, width),) = sizes
    codec = os.path.splitext(names(folder)[0])[1][1:].lower()
    return {
        "container": "pictures", "codec": codec, "width": width, "height": height,
        "frames": len(names(folder)),
    }  # fmt: skip


def _shape(frame: av.VideoFrame) -> np.ndarray:
    """Return an empty array of a frame's size."""
    return np.broadcast_to(np.uint8(0), (frame.height, frame.width, 3))


def _uneven(sizes: Collection[tuple[int, ...]]) -> DecodeError:
    sides = sorted(f"{width} x {height}" for height, width, *_ in sizes)
    return DecodeError(f"the pictures have several sizes: {', '.join(sides[:5])}")


def _order(name: str) -> tuple[int, str]:
    """Return the key by which pictures are sorted: the last number in a name, then the name."""
    number = _NUMBER.search(os.path.splitext(name)[0])
    return (int(number[1]) if number else -1, name)
