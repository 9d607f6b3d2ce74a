"""A per-run lock file, released when the process exits for any reason.

Never imports torch.
"""

import fcntl
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from ssl_video.files import open_regular, read_bytes, replace_text

_LOCK, _MACHINE = ".lock", ".machine"


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock a run's folder.

    Raises:
        filelock.Timeout: another process holds it.
    """
    with FileLock(folder / _LOCK).acquire(timeout=0):
        replace_text(folder / _MACHINE, _this_machine())
        yield


def is_locked(folder: Path) -> bool | None:
    """Return whether a process of this machine holds a run's lock; None if another machine held it last.

    Locks of another machine may be invisible on a shared disk, so they are inconclusive.
    """
    try:
        if read_bytes(folder / _MACHINE, 4096).decode(errors="replace") != _this_machine():
            return None
        with open_regular(folder / _LOCK) as file:
            # Shared, so that several readers can check. A run that starts at the same moment tries again.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def _this_machine() -> str:
    """Return an id of this machine: on Linux that of the system's boot, which containers share like locks."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return platform.node()
