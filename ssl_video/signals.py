"""The signals that ask a run to save itself and end."""

import contextlib
import os
import signal
import stat
from collections.abc import Iterator

# Sent before a process is killed: SIGTERM by Slurm's pre-emption, by `timeout` and by containers. The usual
# argument of `sbatch --signal` is SIGUSR1; submitit passes SIGUSR2. SIGHUP says that the terminal is closed.
# Not every system has them.
PREEMPTION = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGUSR2", "SIGHUP") if hasattr(signal, name)
)
STOPPING = (signal.SIGINT, *PREEMPTION)
# Those of the terminal, which are ignored at the start of a program that is to go on without it.
_OF_TERMINAL = tuple(getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name))


def stopping() -> tuple[signal.Signals, ...]:
    """Return the signals that stop this program.

    Ctrl-C is not among them if it was ignored at the start, as for a background job of a script (`nohup
    ssl-video bench &`): a Ctrl-C at the terminal is then meant for the program in the foreground. Nor is
    SIGHUP, which `nohup` ignores. Python itself and other programs follow this convention.
    """
    return tuple(number for number in STOPPING if not _is_ignored(number))


def _is_ignored(number: signal.Signals) -> bool:
    """Return whether a signal of the terminal is ignored."""
    return number in _OF_TERMINAL and signal.getsignal(number) is signal.SIG_IGN


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Block the signals that stop a program while it starts processes.

    A process inherits the block, so no signal ends it before it has installed its handlers. It receives
    pending signals when it unblocks them. This process receives its own at the end.
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
    """Unblock the signals that `held_back` blocked, in a process started in its context."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


class Preempted(KeyboardInterrupt):
    """Raised when a signal other than Ctrl-C asks this program to end."""


def stop_on_signals() -> None:
    """Stop this program's runs after SIGTERM, SIGUSR1, SIGUSR2 and SIGHUP, as Ctrl-C does.

    Schedulers send these signals before they end a program, and a terminal the last one when it is closed; if
    that is ignored (`nohup`), it stays ignored. Runs write a checkpoint, then `Preempted` is
    raised. Call it in a script before `train` or `bench`; `ssl-video` does.
    """
    for number in PREEMPTION:
        if not _is_ignored(number):
            signal.signal(number, _preempt)


def _preempt(number: int, _: object) -> None:
    # Some senders (timeout, schedulers) signal the process and then its group: once is enough.
    signal.signal(number, signal.SIG_IGN)
    if number == getattr(signal, "SIGHUP", None):
        _leave_terminal()
    raise Preempted


def _leave_terminal() -> None:
    """Write no more to a terminal that is closed: each write would be an error."""
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            # A closed terminal is a device that is none any more.
            if stat.S_ISCHR(os.fstat(stream).st_mode) and not os.isatty(stream):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
