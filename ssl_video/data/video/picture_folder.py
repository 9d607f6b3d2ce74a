"""Clips that are folders of pictures, one for each frame, as other code bases extract them (raw frames)."""

import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageOps

from ssl_video.data.names import is_picture
from ssl_video.data.video.container import MOST_PIXELS, DecodeError
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
    if not sequences:
        raise DecodeError("no pictures in this folder; give videos by their names: FOLDER/*.mp4")
    # Pictures that are named without numbers are each alone, and one sequence in the order of the alphabet.
    if len(sequences) > 1 and any(len(of) > 1 for of in sequences.values()):
        raise DecodeError(f"pictures of several sequences: {some(sorted(sequences))}")
    return sorted(itertools.chain(*sequences.values()), key=_order)


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
    files = names(folder)
    return dict(pictures(folder, files, range(len(files)) if ranks is None else ranks, pixels))


def pictures(
    folder: str | Path,
    files: Sequence[str],
    ranks: Iterable[int],
    pixels: Callable[[av.VideoFrame], np.ndarray],
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield frames with their indices; see `read`.

    Args:
        folder: the folder.
        files: the names of its pictures, see `names`.
        ranks: indices of the frames.
        pixels: function from a frame to uint8 (H, W, 3).

    Raises:
        DecodeError: see `read`.
    """
    first: tuple[int, ...] | None = None
    for rank in ranks:
        if rank >= len(files):
            raise DecodeError(f"frame {rank} was asked for, but it has {len(files)} pictures")
        try:
            with Image.open(os.path.join(folder, files[rank])) as picture:
                if picture.width * picture.height > MOST_PIXELS:
                    raise DecodeError(
                        f"{files[rank]}: {picture.width} x {picture.height} pixels are too many"
                    )
                levels = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DecodeError(f"{files[rank]}: {getattr(error, 'strerror', None) or error}") from None
        frame = pixels(av.VideoFrame.from_ndarray(levels, format="rgb24"))
        first = first or frame.shape
        if frame.shape != first:
            sides = sorted(f"{width} x {height}" for height, width, _ in (first, frame.shape))
            raise DecodeError(f"the pictures have several sizes: {', '.join(sides)}")
        yield rank, frame


def _order(name: str) -> tuple[int, str]:
    """Return the key by which pictures are sorted: the last number in a name, then the name."""
    number = _NUMBER.search(os.path.splitext(name)[0])
    return (int(number[1]) if number else -1, name)
