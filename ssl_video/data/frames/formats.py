"""File formats of a clip's frames: raw pixels or JPEG images, behind a common header.

Files are read with plain reads, not memory-mapped, for three reasons: truncating a mapped file kills the
process that touches it, a process may hold some 65,000 mappings, and from a cold disk reads were three times
as fast.
"""

import io
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
from PIL import Image

# Magic with the version of the file format; frames, height, width, bytes of the whole file.
_HEADER = struct.Struct("<8sIIIxxxxQ")
_MAGIC = b"sslclip1"
# UCF-101 at a short side of 128 then takes 17 GiB; at 95 it takes a third more, for 2 dB.
_QUALITY = 90

# The errors of the system and of Pillow for a table with arbitrary offsets and for invalid images.
_NO_IMAGES = (OSError, LookupError, ValueError, OverflowError, MemoryError, SyntaxError)


class DamagedError(Exception):
    """A stored clip with invalid content, which counts as not stored."""


class Format(Protocol):
    """A way to store frames."""

    def pack(self, frames: np.ndarray) -> list[np.ndarray]:
        """Return the parts of the file's body, after the header, for frames (F, H, W, 3)."""
        ...

    def read(self, file: int, shape: tuple[int, ...], indices: np.ndarray) -> np.ndarray:
        """Read frames by index, (len(indices), H, W, 3), from an open file of frames (F, H, W, 3)."""
        ...

    def settle(self, frames: np.ndarray) -> np.ndarray:
        """Return the frames as they would be read back, so that a run's pixels do not depend on the cache."""
        ...


class _Raw:
    """Pixels as they were decoded."""

    def pack(self, frames: np.ndarray) -> list[np.ndarray]:
        return [np.ascontiguousarray(frames)]

    def read(self, file: int, shape: tuple[int, ...], indices: np.ndarray) -> np.ndarray:
        frames = np.empty((len(indices), *shape[1:]), np.uint8)
        size = frames[0].nbytes if len(frames) else 0
        for frame, index in zip(frames, indices.tolist(), strict=True):
            if os.preadv(file, [frame.data], _HEADER.size + index * size) != size:
                raise DamagedError("a frame is cut off")
        return frames

    def settle(self, frames: np.ndarray) -> np.ndarray:
        return frames


class _Jpeg:
    """One JPEG image (4:2:0) per frame, after a table of their offsets: F + 1 numbers, little endian."""

    def pack(self, frames: np.ndarray) -> list[np.ndarray]:
        images = self._encode(frames)
        start = _HEADER.size + 8 * (len(images) + 1)
        table = np.cumsum([start, *map(len, images)], dtype="<u8")
        return [table.view(np.uint8), np.frombuffer(b"".join(images), np.uint8)]

    def read(self, file: int, shape: tuple[int, ...], indices: np.ndarray) -> np.ndarray:
        try:
            table = np.frombuffer(os.pread(file, 8 * (shape[0] + 1), _HEADER.size), "<u8").tolist()
            images = [os.pread(file, table[i + 1] - table[i], table[i]) for i in indices.tolist()]
            frames = self._decode(images)
        except _NO_IMAGES as error:
            raise DamagedError(str(error)) from None
        if frames.shape != (len(indices), *shape[1:]):
            raise DamagedError("an image has another size")
        return frames

    def settle(self, frames: np.ndarray) -> np.ndarray:
        return self._decode(self._encode(frames))

    def _encode(self, frames: np.ndarray) -> list[bytes]:
        images = []
        for frame in frames:
            image = io.BytesIO()
            Image.fromarray(frame).save(image, "JPEG", quality=_QUALITY)
            images.append(image.getvalue())
        return images

    def _decode(self, images: Sequence[bytes]) -> np.ndarray:
        return np.stack([np.asarray(Image.open(io.BytesIO(image))) for image in images])


FORMATS: dict[str, Format] = {"raw": _Raw(), "jpeg": _Jpeg()}


def pack(format_: Format, frames: np.ndarray) -> list[memoryview]:
    """Return the content of a clip's file, in parts, for frames (F, H, W, 3)."""
    parts = [part.reshape(-1).data for part in format_.pack(frames)]
    size = _HEADER.size + sum(part.nbytes for part in parts)
    return [memoryview(_HEADER.pack(_MAGIC, *frames.shape[:3], size)), *parts]


class StoredClip:
    """An open clip file, which stays readable if another process removes it.

    Raises:
        FileNotFoundError: no such file.
        DamagedError: it is incomplete, or of another version.
    """

    def __init__(self, path: str | Path, format_: Format) -> None:
        self._format = format_
        self._file = os.open(path, os.O_RDONLY)
        try:
            status, header = os.fstat(self._file), os.pread(self._file, _HEADER.size, 0)
            if len(header) < _HEADER.size:
                raise DamagedError("no header")
            magic, frames, height, width, size = _HEADER.unpack(header)
            if magic != _MAGIC or size != status.st_size or not frames:
                raise DamagedError("incomplete, or of another version")
        except BaseException:
            os.close(self._file)
            raise
        self.shape, self.size = (frames, height, width, 3), size

    def __enter__(self) -> "StoredClip":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return frames by index, in the order of the indices: uint8 (len(indices), H, W, 3).

        Raises:
            DamagedError: the content is not what was written.
            IndexError: the clip has no such frame.
        """
        if len(indices) and not 0 <= indices.min() <= indices.max() < len(self):
            raise IndexError(f"frames {indices.min()} to {indices.max()} of a clip of {len(self)}")
        return self._format.read(self._file, self.shape, indices)
