"""Room for the batches of loading processes in shared memory, and clear words for their errors."""

import errno
import os
import re
from pathlib import Path

from ssl_video.errors import InputError, counted

# torch keeps tensors that processes share in files here. Docker limits the folder to 64 MiB by default.
FOLDER = Path("/dev/shm")
# Batches that a loading process prepares ahead.
_AHEAD = 4
# For semaphores, and for the labels and indices of the batches, which take whole pages.
_RESERVE = 512 * 1024
_FEWER = "use fewer --workers (0 loads clips in the run's own process)"
_OWN = ", which loads clips in the run's own process"
_MORE_ROOM = "give the container more (docker run --shm-size 8g, or --ipc=host)"
# Parts of torch's messages; these errors have no class of their own.
_ENDED = re.compile(r"DataLoader worker \(pid(?:\(s\))? [\d, ]+\) (?:is )?(.+?)(?:\. |\.?$)")
_NO_ROOM = ("shared memory(shm)", "No space left on device")
_TOO_MANY_FILES = ("Too many open files", "items of ancdata")


def free() -> int | None:
    """Return the free bytes of shared memory; None if this system has no folder for it."""
    try:
        found = os.statvfs(FOLDER)
    except (AttributeError, OSError):
        return None
    return found.f_bavail * found.f_frsize


def prefetch(workers: int, size: int, held: int = 1, processes: int = 1) -> int:
    """Return how many batches each loading process prepares ahead: 4, or fewer if memory is short.

    Args:
        workers: loading processes of each process of the run.
        size: bytes of one batch.
        held: batches that a process of the run holds at a time.
        processes: processes of the run on this machine.

    Raises:
        InputError: there is no room for one batch of each loading process.
    """
    room = free()
    if room is None or not size:
        return _AHEAD
    # The next batch arrives before the last one is given up.
    batches = max(0, room - _RESERVE) // processes // size - held - 1
    if batches >= workers:
        return min(_AHEAD, batches // workers)
    need = (workers + held + 1) * size * processes + _RESERVE
    loading = counted(workers * processes, "loading process", "need")
    raise InputError(
        f"{loading} {_mib(need)} of shared memory for batches of {_mib(size)}, and {FOLDER} has {_mib(room)} "
        f"left: {_MORE_ROOM}, or use --workers {max(batches, 0)}{'' if batches > 0 else _OWN}"
    )


def no_room(error: Exception) -> InputError | None:
    """Return the error for the user if a batch could not be shared for want of memory or files; else None."""
    if any(part in str(error) for part in _TOO_MANY_FILES) or getattr(error, "errno", None) == errno.EMFILE:
        return InputError(
            f"too many open files for the batches of the loading processes: raise ulimit -n, or {_FEWER}"
        )
    if any(part in str(error) for part in _NO_ROOM):
        return InputError(
            f"no room is left in the shared memory {FOLDER} for the batches of the loading processes: "
            f"{_MORE_ROOM}, or {_FEWER}"
        )
    return None


class LoaderLost(InputError):
    """A loading process has ended, as one that the system kills when memory is short; the run may be resumed.

    torch does not always know whether a process was killed or ended by itself.
    """


def ended(error: RuntimeError) -> LoaderLost | None:
    """Return the error for the user if torch reports with this one that a loading process ended; else None.

    torch raises it wherever the run is just then.
    """
    found = _ENDED.match(str(error).splitlines()[0]) if str(error) else None
    return lost(found[1]) if found else None


def lost(how: str) -> LoaderLost:
    """Return the error for a loading process that has ended."""
    return LoaderLost(
        f"a loading process has ended ({how}): the run's log may say why; if memory is short, {_FEWER}. "
        "The same command resumes from the last checkpoint"
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"
