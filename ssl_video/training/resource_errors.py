"""Turn errors of memory, disk, GPUs and loading processes into actionable messages."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ssl_video.data import shared_memory
from ssl_video.errors import InputError, counted
from ssl_video.networks.devices import BFLOAT16
from ssl_video.registry import algorithms
from ssl_video.spec import Spec
from ssl_video.training.distributed import ProcessLost
from ssl_video.training.execution import Execution

# Parts of the messages with which libraries run out of memory; these errors have no class of their own.
_NO_MEMORY = re.compile(
    "can't allocate memory"  # torch, main memory
    "|out of memory"  # CUDA, HIP and MPS, also below NCCL
    "|(CUDNN|CUBLAS|CUSOLVER|CUSPARSE)_STATUS_ALLOC_FAILED|miopenStatusAllocFailed",
    re.IGNORECASE,
)
_NCCL = re.compile("NCCL")
_GLOO = re.compile(r"gloo|TCPStore|recvValue|sendBytes")
# Errors of a disk, for any file.
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


@contextmanager
def as_input_errors(folder: Path, spec: Spec, execution: Execution) -> Iterator[None]:
    """Convert errors that a user can do something about into an InputError.

    These are a full disk or memory, an unwritable folder, a dead loading process, and processes or GPUs that
    cannot reach each other. Other errors of the operating system, such as a file that a method cannot find,
    are not converted.

    Checkpoints are replaced atomically, so the last one is valid in all these cases, and the run can resume
    from it.
    """
    try:
        yield
    except MemoryError:
        raise _out_of_memory(spec, execution) from None
    except RuntimeError as error:  # torch's OutOfMemoryError and AcceleratorError are of this class
        if (
            explained := shared_memory.ended(error)
            or _of_gpu(error, spec, execution)
            or _of_others(error, execution)
        ):
            raise explained from None
        raise
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


def _of_gpu(error: RuntimeError, spec: Spec, execution: Execution) -> InputError | None:
    """Return the error for the user if memory is full or GPUs cannot reach each other; else None."""
    if _NO_MEMORY.search(str(error)):
        return _out_of_memory(spec, execution)
    if _NCCL.search(str(error)):
        reason = next(line.strip() for line in str(error).splitlines() if _NCCL.search(line))
        return ProcessLost(
            f"the GPUs of this run cannot reach each other, or one of its processes has ended: {reason}; "
            "NCCL_DEBUG=INFO tells more. The same command resumes from the last checkpoint"
        )
    return None


def _of_others(error: RuntimeError, execution: Execution) -> ProcessLost | None:
    """Return the error for the user if the connection to another process of the run was lost; else None."""
    if execution.processes == 1 or not _GLOO.search(str(error)):
        return None
    return ProcessLost(
        "another process of this run has ended, or cannot be reached: its own message or the run's log says "
        "why. The same command resumes from the last checkpoint"
    )


def _out_of_memory(spec: Spec, execution: Execution) -> InputError:
    """Return the error for the user, without advice that the run follows already."""
    method: Any = algorithms.get(spec.algorithm)
    whole = method.whole_batch or spec.options.get("alignment")
    advice = {
        "a larger --accumulate passes them through the networks in smaller parts": not whole,
        "--activation-checkpointing stores less of each"
        + (", in place of --compile" if execution.compile else ""): not execution.activation_checkpointing,
        "--precision bfloat16 halves most of the memory": spec.precision == "float32" and _has_bfloat16(),
        "fewer or smaller clips (--unlabeled-batch, --frames, --size) are another experiment": True,
    }
    return InputError(
        f"out of memory with {spec.labeled_batch}+{spec.unlabeled_batch} clips per step of "
        f"{spec.frames}x{spec.size}x{spec.size}, in {counted(spec.accumulate, 'part')}{_of_this_gpu()}: "
        f"{', '.join(text for text, possible in advice.items() if possible)}; the last checkpoint is intact"
    )


def _has_bfloat16() -> bool:
    """Return whether this process's GPU computes in bfloat16; gradients on CPUs are refused in it."""
    return torch.cuda.is_initialized() and torch.cuda.get_device_capability() >= BFLOAT16


def _of_this_gpu() -> str:
    """Return the memory of this process's GPU and what the run had of it, as a part of a sentence."""
    if not torch.cuda.is_initialized():
        return ""
    device = torch.cuda.current_device()
    name, total = torch.cuda.get_device_name(device), torch.cuda.get_device_properties(device).total_memory
    peak = torch.cuda.max_memory_reserved(device)
    return f" ({name} has {total / 2**30:.1f} GiB, and the run had reserved {peak / 2**30:.1f} GiB)"
