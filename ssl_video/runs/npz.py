"""Read and write a run's arrays in one compressed file, without pickled objects."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ssl_video.errors import InputError
from ssl_video.files import replacing


def save(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays atomically: a reader sees the old file or the new one, never a part."""
    with replacing(path) as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def load(path: Path, absent: str) -> dict[str, np.ndarray]:
    """Read named arrays.

    Args:
        path: the file.
        absent: explanation of a missing file, for the error.

    Raises:
        InputError: there is none, or it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise InputError(f"there is no {path}: {absent}") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is damaged: {error}") from None


def named(arrays: Mapping[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """Select the arrays of a kind: {"labels/primary": a, "steps": b} -> {"primary": a} for "labels"."""
    prefix = f"{kind}/"
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
