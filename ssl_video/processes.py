"""Start processes from any program, also from scripts and notebooks, and end them with it."""

import contextlib
import multiprocessing
import os
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from multiprocessing import connection

_LOCK = threading.RLock()
_POLL_SECONDS = 0.5


@contextlib.contextmanager
def without_main() -> Iterator[None]:
    """Start processes that do not run the caller's script again.

    multiprocessing would run it, and a script without a `__main__` guard would start itself forever. Send by
    value everything that a process needs from the script. Threads wait for each other.
    """
    with _LOCK:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def end_with_parent(first: Callable[[], None] = lambda: None, grace: float = 0.0) -> None:
    """End this process when the one that started it has died, even by SIGKILL. Returns at once.

    Every process that this project starts calls it first. A server of multiprocessing ends with the last of
    its processes. A signal cannot replace this: the kernel sends one for the server, not for the process
    that asked it for this one, and signals may be blocked here. Does nothing in a process that
    multiprocessing did not start.

    Args:
        first: called when the parent has died, in a thread.
        grace: seconds from then to the end of this process, which it may use to end by itself.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        arguments = (parent.sentinel, os.getppid(), first, grace)
        threading.Thread(target=_end_after, args=arguments, daemon=True, name="end_with_parent").start()


def _end_after(sentinel: int, starter: int, first: Callable[[], None], grace: float) -> None:
    """Wait for the end of the parent, or of the server that forked this process, then end this process."""
    # The sentinel is a pipe. Processes that the parent forked later hold its other end, too, and may outlive
    # the parent, so the number of the parent process is looked at as well.
    while os.getppid() == starter and not connection.wait([sentinel], _POLL_SECONDS):
        pass
    first()
    time.sleep(grace)
    os._exit(1)
