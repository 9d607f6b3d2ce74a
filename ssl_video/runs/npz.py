"""Read and write a run's arrays in one compressed file, without pickled objects.

The file holds the name of its run, and zip keeps a checksum of every array.
"""

import math
import zipfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from ssl_video.errors import DAMAGED_ARRAYS, InputError
from ssl_video.files import open_regular, replacing
from ssl_video.runs.folder import RunFolder
from ssl_video.runs.result import Result

_RUN = "run"
# A byte of deflated data gives at most this many: more is a forged size, which would take all memory.
RATIO = 1032


def save(path: Path, arrays: Mapping[str, np.ndarray], run: str = "") -> None:
    """Write named arrays atomically: a reader sees the old file or the new one, never a part.

    Args:
        path: the file.
        arrays: the arrays.
        run: the run's identity; empty: they are not of a run's folder.
    """
    with replacing(path) as file:
        np.savez_compressed(file, **arrays, **({_RUN: np.array(run)} if run else {}))  # type: ignore[arg-type]


def load(path: Path, absent: str) -> dict[str, np.ndarray]:
    """Read named arrays of a run's folder.

    Args:
        path: the file.
        absent: explanation of a missing file, for the error.

    Raises:
        InputError: there is none, it is damaged, or it is of another run.
    """
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            arrays = {
                info.filename.removesuffix(".npy"): _array(archive, info) for info in archive.infolist()
            }
    except FileNotFoundError:
        RunFolder(path.parent).verify(path.name)
        raise InputError(f"there is no {path}: {absent}") from None
    except DAMAGED_ARRAYS as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path} is damaged: {reason}") from None
    run, folder = str(arrays.pop(_RUN, "")), RunFolder(path.parent)
    result = folder.finished()
    if run and result and run != result.run:
        raise InputError(f"{path} is of another run, {run}: it does not belong to {folder.name}")
    folder.verify(path.name)
    return arrays


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """Return an array of an archive, of which the size is checked before there is memory for it.

    Raises:
        ValueError: it has a forged size, or holds objects.
    """
    if info.file_size > RATIO * (info.compress_size + 1):
        raise ValueError(f"{info.filename} cannot have {info.file_size} bytes")
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"{info.filename} has the unknown version {version}")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype.hasobject or min(shape, default=0) < 0:
            raise ValueError(f"{info.filename} holds objects, or has a negative size")
        content = file.read()
        if len(content) != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{info.filename} has {len(content)} bytes, not those of its shape {shape}")
    if not content:
        return np.empty(shape, dtype)
    return np.frombuffer(bytearray(content), dtype).reshape(shape, order="F" if fortran else "C")


def named(arrays: Mapping[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """Select the arrays of a kind: {"labels/primary": a, "steps": b} -> {"primary": a} for "labels"."""
    prefix = f"{kind}/"
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


class StoredArrays:
    """The arrays of a file, each checked when it is taken.

    Args:
        path: the file, for errors.
        arrays: its arrays.
    """

    def __init__(self, path: Path, arrays: Mapping[str, np.ndarray]) -> None:
        self.path, self.arrays = path, arrays

    def texts(self, name: str, shape: tuple[int | None, ...] = (None,)) -> np.ndarray:
        """Return an array of texts; see `numbers`."""
        return self._taken(name, "U", shape)

    def numbers(
        self, name: str, shape: tuple[int | None, ...], low: float, high: float = math.inf, kind: str = "iu"
    ) -> np.ndarray:
        """Return an array of numbers.

        Args:
            name: its name.
            shape: its shape; None: any size.
            low, high: bounds of its numbers, included.
            kind: kinds of its type, as in numpy: "iu" or "f".

        Raises:
            InputError: there is none, or it has another type or shape, or a number out of bounds.
        """
        array = self._taken(name, kind, shape)
        if array.size and not (low <= array.min() and array.max() <= high):
            raise self.damaged(f"{name} holds numbers that are not from {low:g} to {high:g}")
        return array

    def names(self, *kinds: str) -> list[str]:
        """Return the names that all of some kinds have: those of networks.

        Raises:
            InputError: a kind has others than the first.
        """
        first = list(named(self.arrays, kinds[0]))
        if any(set(named(self.arrays, kind)) != set(first) for kind in kinds):
            raise self.damaged(f"{' and '.join(kinds)} are not of the same networks")
        return first

    def expect(self, what: str, found: int, field: str) -> None:
        """Check a number of clips or classes against the result of the run beside the file, if there is one.

        Raises:
            InputError: the result has another.
        """
        expected = getattr(self._result, field) if self._result else found
        if expected != found:
            raise InputError(
                f"{self.path} is of another run: it has {found} {what}, and this run has {expected}"
            )

    @cached_property
    def _result(self) -> Result | None:
        return RunFolder(self.path.parent).finished()

    def damaged(self, reason: str) -> InputError:
        """Return the error for damaged content."""
        return InputError(f"{self.path} is damaged: {reason}")

    def _taken(self, name: str, kinds: str, shape: tuple[int | None, ...]) -> np.ndarray:
        if name not in self.arrays:
            raise self.damaged(f"it has no {name!r}")
        array = self.arrays[name]
        fits = array.ndim == len(shape) and all(
            size in (None, own) for size, own in zip(shape, array.shape, strict=True)
        )
        if array.dtype.kind not in kinds or not fits:
            raise self.damaged(f"{name} is {array.dtype} of shape {array.shape}")
        return array
