"""What a machine runs out of, told as a sentence that says what is kept and what to do."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ssl_video.errors import InputError
from ssl_video.registry import algorithms
from ssl_video.spec import Spec

# How torch's allocator for main memory says that there is none; it has no class of its own.
_NO_MEMORY = "can't allocate memory"
# What a disk says to whoever writes, wherever the file is.
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


@contextmanager
def told(folder: Path, spec: Spec) -> Iterator[None]:
    """Turns a full disk, a folder that cannot be written and exhausted memory into an InputError.

    Other errors of the operating system, such as a file that a method cannot find, are left as they are.

    Checkpoints are replaced as a whole, so in all these cases the last one is there, and the run goes on
    from it.
    """
    try:
        yield
    except (MemoryError, torch.cuda.OutOfMemoryError):
        raise _out_of_memory(spec) from None
    except RuntimeError as error:
        if _NO_MEMORY not in str(error):
            raise
        raise _out_of_memory(spec) from None
    except OSError as error:
        if not of_disk(error, folder):
            raise
        raise InputError(
            f"cannot write to {error.filename or folder}: {error.strerror or error}; the run's "
            "last checkpoint is whole, and it goes on from there once that is mended"
        ) from None


def of_disk(error: OSError, folder: Path) -> bool:
    """Whether an error is that of a disk, or of a file of the run in `folder`."""
    if error.errno in _DISK:
        return True
    if not isinstance(error.filename, str | bytes):
        return False
    file, folder = Path(os.path.abspath(os.fsdecode(error.filename))), Path(os.path.abspath(folder))
    return file.is_relative_to(folder) or folder.is_relative_to(file)


def _out_of_memory(spec: Spec) -> InputError:
    method: Any = algorithms.get(spec.algorithm)
    parts = "more --accumulate passes them through the networks in smaller parts, "
    return InputError(
        f"out of memory with {spec.labeled_batch}+{spec.unlabeled_batch} clips a step of "
        f"{spec.frames}x{spec.size}x{spec.size}, in {spec.accumulate} part(s): "
        f"{'' if method.whole_batch else parts}--activation-checkpointing keeps less of each, --precision "
        "bfloat16 halves most of the rest; the last checkpoint is whole"
    )
