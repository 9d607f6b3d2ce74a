"""Start processes from any program, also from scripts and notebooks."""

import contextlib
import sys
import threading
import types
from collections.abc import Iterator

_LOCK = threading.RLock()


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
