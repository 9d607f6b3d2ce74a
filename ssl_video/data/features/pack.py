"""A pack's file: features of its items, a CRC-32 of each, and the names of set and pack.

First come the features, float16 (items, *shape). The checksums follow, 4 bytes each, little endian. The end
has a magic with the version, the names, and the CRC-32 of the checksums.
"""

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ssl_video.data.damage import DamagedError, OutdatedError
from ssl_video.files import open_regular

TYPE = np.dtype(np.float16)
_END = struct.Struct("<8s16s16sIxxxx")
_MAGIC = b"sslfeat1"


def write(file: BinaryIO, features: Iterable[np.ndarray], names: tuple[str, str]) -> int:
    """Write a pack, and return the number of its items.

    Args:
        file: the file, at its start.
        features: contiguous arrays of type TYPE, one for each item.
        names: of the set and of the pack, 16 characters each.
    """
    checksums = list[int]()
    for item in features:
        content = item.tobytes()
        file.write(content)
        checksums.append(zlib.crc32(content))
    table = np.array(checksums, "<u4").tobytes()
    file.write(table + _END.pack(_MAGIC, *(name.encode() for name in names), zlib.crc32(table)))
    return len(checksums)


class Pack:
    """A stored pack. An item is checked when this process reads it first.

    Args:
        path: the file.
        shape: shape of an item's features.
        count: number of items.
        names: see `write`.

    Raises:
        OutdatedError: it is of an older version.
        DamagedError: it is incomplete, damaged, or another pack.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], count: int, names: tuple[str, str]) -> None:
        size = count * int(np.prod(shape)) * TYPE.itemsize
        with open_regular(path) as file:
            found = file.seek(0, 2)
            if found == size:
                raise OutdatedError("of an older version")
            if found != size + 4 * count + _END.size:
                raise DamagedError("it is not complete")
            file.seek(size)
            table, end = file.read(4 * count), file.read()
        if end != _END.pack(_MAGIC, *(name.encode() for name in names), zlib.crc32(table)):
            raise DamagedError("its end is damaged, or it is another pack")
        self._array = np.memmap(path, TYPE, "r", shape=(count, *shape))
        self._checksums = np.frombuffer(table, "<u4")
        self._checked = np.zeros(count, bool)

    def read(self, slot: int) -> np.ndarray:
        """Return the features of an item, which cannot be written.

        Raises:
            DamagedError: they are not as they were written.
        """
        item: np.ndarray = self._array[slot]
        if not self._checked[slot]:
            if zlib.crc32(item.data) != self._checksums[slot]:
                raise DamagedError("the checksum of an item is wrong")
            self._checked[slot] = True
        return item

    def check(self) -> None:
        """Check all items.

        Raises:
            DamagedError: one is not as it was written.
        """
        for slot in range(len(self._checked)):
            self.read(slot)
