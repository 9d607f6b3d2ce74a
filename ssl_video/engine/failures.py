"""What a machine runs out of, told as a sentence that says what is kept and what to do."""

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


@contextmanager
def told(folder: Path, spec: Spec) -> Iterator[None]:
    """Turns a full disk, a folder that cannot be written and exhausted memory into an InputError.

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
        raise InputError(
            f"cannot write to {error.filename or folder}: {error.strerror or error}; the run's "
            "last checkpoint is whole, and it goes on from there once that is mended"
        ) from None


def _out_of_memory(spec: Spec) -> InputError:
    method: Any = algorithms.get(spec.algorithm)
    parts = "more --accumulate passes them through the networks in smaller parts, "
    return InputError(
        f"out of memory with {spec.labeled_batch}+{spec.unlabeled_batch} clips a step of "
        f"{spec.frames}x{spec.size}x{spec.size}, in {spec.accumulate} part(s): "
        f"{'' if method.whole_batch else parts}--activation-checkpointing keeps less of each, --precision "
        "bfloat16 halves most of the rest; the last checkpoint is whole"
    )
