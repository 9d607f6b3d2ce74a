"""The signals that ask a run to save itself and end."""

import contextlib
import signal
from collections.abc import Iterator

# Sent before a process is killed: SIGTERM by Slurm's pre-emption, by `timeout` and by containers; SIGUSR1
# is what `sbatch --signal` is usually given, and SIGUSR2 what submitit gives it. Not every system has them.
PREEMPTION = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)
)
STOPPING = (signal.SIGINT, *PREEMPTION)


def stopping() -> tuple[signal.Signals, ...]:
    """Return the signals that stop this program.

    Ctrl-C is not among them where it was ignored at the start, as for a background job of a script (`nohup
    ssl-video bench &`): a Ctrl-C at the terminal is then meant for the program in the foreground. Python
    itself and other programs keep to this convention.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return PREEMPTION if ignored else STOPPING


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Block the signals that stop a program while it starts processes.

    A process inherits the block, so that no signal ends it before it has said how it takes them; signals that
    came meanwhile reach it when it unblocks them. This process gets its own at the end.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def release() -> None:
    """Unblock the signals that `held_back` blocked, in a process that was started there."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


class Preempted(KeyboardInterrupt):
    """Somebody other than the person at the keyboard asked this program to end."""
