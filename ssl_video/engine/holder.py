"""Who carries out a run: a lock on its folder that ends with its process, however that ends.

Never imports torch.
"""

import fcntl
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from ssl_video.files import replace_text

_LOCK, _MACHINE = ".lock", ".machine"


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Hold a run's folder.

    Raises:
        filelock.Timeout: another process holds it.
    """
    with FileLock(folder / _LOCK).acquire(timeout=0):
        replace_text(folder / _MACHINE, _this_machine())
        yield


def held(folder: Path) -> bool | None:
    """Whether a process of this machine holds a run's folder; None where it was held elsewhere last.

    Locks of another machine may not be seen on a shared disk, so they say nothing.
    """
    try:
        if (folder / _MACHINE).read_text(encoding="utf-8") != _this_machine():
            return None
        with (folder / _LOCK).open("rb") as file:
            # Shared, so that several may look. A run that starts at this very moment tries again.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def _this_machine() -> str:
    """What tells machines apart: on Linux one start of the system, which containers share like locks."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return platform.node()
