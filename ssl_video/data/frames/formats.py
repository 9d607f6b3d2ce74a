"""File formats of a clip's frames: raw pixels or JPEG images, behind a common header.

The header has a digest of the clip's name and of the settings that it was made with, and a CRC-32 of itself.
A CRC-32 of every frame follows, as it is stored. It is checked whenever the frame is read.

Files are read with plain reads, not memory-mapped, for three reasons: truncating a mapped file kills the
process that touches it, a process may hold some 65,000 mappings, and from a cold disk reads were three times
as fast.
"""

import hashlib
import io
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
from PIL import Image

from ssl_video.data.damage import DamagedError, OutdatedError
from ssl_video.files import regular_descriptor

# Magic with the version of the file format; frames, height, width, bytes of the whole file, digest of the
# name. The CRC-32 of all this follows.
_HEADER, _SUM = struct.Struct("<8sIIIxxxxQ16s"), struct.Struct("<Q")
_MAGIC, _OLDER = b"sslclip2", b"sslclip1"
_FIXED = _HEADER.size + _SUM.size
_AT_ONCE = 64  # frames that are read at once to check them
# UCF-101 at a short side of 128 then takes 17 GiB; at 95 it takes a third more, for 2 dB.
_QUALITY = 90

# The errors of the system and of Pillow for a table with arbitrary offsets and for invalid images.
_NO_IMAGES = (OSError, LookupError, ValueError, OverflowError, MemoryError, SyntaxError)


class Format(Protocol):
    """A way to store frames."""

    def pack(self, frames: np.ndarray, start: int) -> tuple[list[np.ndarray], list[int]]:
        """Return the parts of the file's body, which begins at byte `start`, and the frames' checksums.

        Args:
            frames: (F, H, W, 3).
            start: the place of the body.
        """
        ...

    def read(
        self, file: int, shape: tuple[int, ...], indices: np.ndarray, start: int, checksums: np.ndarray
    ) -> np.ndarray:
        """Read frames by index, (len(indices), H, W, 3), from an open file of frames (F, H, W, 3).

        Raises:
            DamagedError: the content was changed after it was written.
        """
        ...

    def settle(self, frames: np.ndarray) -> np.ndarray:
        """Return the frames as they would be read back, so that a run's pixels do not depend on the cache."""
        ...


class _Raw:
    """Pixels as they were decoded."""

    def pack(self, frames: np.ndarray, start: int) -> tuple[list[np.ndarray], list[int]]:
        frames = np.ascontiguousarray(frames)
        return [frames], [zlib.crc32(frame.data) for frame in frames]

    def read(
        self, file: int, shape: tuple[int, ...], indices: np.ndarray, start: int, checksums: np.ndarray
    ) -> np.ndarray:
        frames = np.empty((len(indices), *shape[1:]), np.uint8)
        size = frames[0].nbytes if len(frames) else 0
        for frame, index in zip(frames, indices.tolist(), strict=True):
            if os.preadv(file, [frame.data], start + index * size) != size:
                raise DamagedError("a frame is cut off")
            if zlib.crc32(frame.data) != checksums[index]:
                raise DamagedError("the checksum of a frame is wrong")
        return frames

    def settle(self, frames: np.ndarray) -> np.ndarray:
        return frames


class _Jpeg:
    """One JPEG image (4:2:0) per frame, after a table of their offsets: F + 1 numbers, little endian."""

    def pack(self, frames: np.ndarray, start: int) -> tuple[list[np.ndarray], list[int]]:
        images = self._encode(frames)
        table = np.cumsum([start + 8 * (len(images) + 1), *map(len, images)], dtype="<u8")
        parts = [table.view(np.uint8), np.frombuffer(b"".join(images), np.uint8)]
        return parts, [zlib.crc32(image) for image in images]

    def read(
        self, file: int, shape: tuple[int, ...], indices: np.ndarray, start: int, checksums: np.ndarray
    ) -> np.ndarray:
        size = os.fstat(file).st_size
        try:
            table = np.frombuffer(os.pread(file, 8 * (shape[0] + 1), start), "<u8").tolist()
            if any(table[i + 1] - table[i] > size for i in indices.tolist()):
                raise DamagedError("an image is larger than its file")
            images = [os.pread(file, table[i + 1] - table[i], table[i]) for i in indices.tolist()]
            if any(zlib.crc32(image) != checksums[i] for image, i in zip(images, indices, strict=True)):
                raise DamagedError("the checksum of a frame is wrong")
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


def pack(format_: Format, frames: np.ndarray, name: str) -> list[memoryview]:
    """Return the content of a clip's file, in parts.

    Args:
        format_: the format.
        frames: (F, H, W, 3).
        name: name of the clip with its settings; another one cannot read it.
    """
    start = _FIXED + 4 * len(frames)
    body, checksums = format_.pack(frames, start)
    parts = [part.reshape(-1).data for part in body]
    size = start + sum(part.nbytes for part in parts)
    header = _HEADER.pack(_MAGIC, *frames.shape[:3], size, _digest(name))
    sums = _SUM.pack(zlib.crc32(header)) + np.array(checksums, "<u4").tobytes()
    return [memoryview(header + sums), *parts]


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:16]


class StoredClip:
    """An open clip file, which stays readable if another process removes it.

    Args:
        path: the file.
        format_: its format.
        name: name of the clip with its settings, see `pack`.

    Raises:
        FileNotFoundError: no such file.
        OutdatedError: it is of another version.
        DamagedError: it is incomplete, damaged, or of another clip.
    """

    def __init__(self, path: str | Path, format_: Format, name: str) -> None:
        self._format = format_
        self._file = regular_descriptor(path)
        try:
            status, start = os.fstat(self._file), os.pread(self._file, _FIXED, 0)
            if start.startswith(_OLDER):
                raise OutdatedError("of an older version")
            if len(start) < _FIXED:
                raise DamagedError("no header")
            magic, frames, height, width, size, digest = _HEADER.unpack_from(start)
            (checksum,) = _SUM.unpack_from(start, _HEADER.size)
            if magic != _MAGIC or size != status.st_size or not frames:
                raise DamagedError("incomplete, or of another version")
            if checksum != zlib.crc32(start[: _HEADER.size]):
                raise DamagedError("the checksum of its header is wrong")
            if digest != _digest(name):
                raise DamagedError("of another clip")
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

    def check(self) -> None:
        """Read all frames.

        Raises:
            DamagedError: one is not as it was written.
        """
        for start in range(0, len(self), _AT_ONCE):
            self.read(np.arange(start, min(start + _AT_ONCE, len(self))))

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return frames by index, in the order of the indices: uint8 (len(indices), H, W, 3).

        Raises:
            DamagedError: the content was changed after it was written.
            IndexError: the clip has no such frame.
        """
        if len(indices) and not 0 <= indices.min() <= indices.max() < len(self):
            raise IndexError(f"frames {indices.min()} to {indices.max()} of a clip of {len(self)}")
        start = _FIXED + 4 * len(self)
        sums = np.frombuffer(os.pread(self._file, start - _FIXED, _FIXED), "<u4")
        if len(sums) < len(self):
            raise DamagedError("the checksums are cut off")
        return self._format.read(self._file, self.shape, indices, start, sums)
