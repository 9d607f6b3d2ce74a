"""Turn errors of memory, disk and loading processes into actionable messages."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ssl_video.data import shared_memory
from ssl_video.errors import InputError, counted
from ssl_video.registry import algorithms
from ssl_video.spec import Spec

# Part of the message of torch's allocator for main memory; the error has no class of its own.
_NO_MEMORY = "can't allocate memory"
# Errors of a disk, for any file.
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


@contextmanager
def as_input_errors(folder: Path, spec: Spec) -> Iterator[None]:
    """Convert a full disk or memory, an unwritable folder and a dead loading process into an InputError.

    Other errors of the operating system, such as a file that a method cannot find, are not converted.

    Checkpoints are replaced atomically, so the last one is valid in all these cases, and the run can resume
    from it.
    """
    try:
        yield
    except (MemoryError, torch.cuda.OutOfMemoryError):
        raise _out_of_memory(spec) from None
    except RuntimeError as error:
        if told := shared_memory.ended(error):
            raise told from None
        if _NO_MEMORY not in str(error):
            raise
        raise _out_of_memory(spec) from None
    except OSError as error:
        if not of_disk(error, folder):
            raise
        raise InputError(
            f"cannot write to {error.filename or folder}: {error.strerror or error}; the run's "
            "last checkpoint is intact, and the run resumes from it once this is fixed"
        ) from None


def of_disk(error: OSError, folder: Path) -> bool:
    """Return whether an error is one of a disk, or concerns a file of the run in `folder`."""
    if error.errno in _DISK:
        return True
    if not isinstance(error.filename, str | bytes):
        return False
    file, folder = Path(os.path.abspath(os.fsdecode(error.filename))), Path(os.path.abspath(folder))
    return file.is_relative_to(folder) or folder.is_relative_to(file)


def _out_of_memory(spec: Spec) -> InputError:
    method: Any = algorithms.get(spec.algorithm)
    whole = method.whole_batch or spec.options.get("alignment")
    parts = "more --accumulate passes them through the networks in smaller parts, "
    return InputError(
        f"out of memory with {spec.labeled_batch}+{spec.unlabeled_batch} clips per step of "
        f"{spec.frames}x{spec.size}x{spec.size}, in {counted(spec.accumulate, 'part')}: "
        f"{'' if whole else parts}--activation-checkpointing stores less of each, --precision "
        "bfloat16 halves most of the rest; the last checkpoint is intact"
    )
