"""The signals that ask a run to save itself and end."""

import contextlib
import signal
from collections.abc import Iterator

# Sent before a process is killed: SIGTERM by Slurm's pre-emption, by `timeout` and by containers. The usual
# argument of `sbatch --signal` is SIGUSR1; submitit passes SIGUSR2. Not every system has them.
PREEMPTION = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)
)
STOPPING = (signal.SIGINT, *PREEMPTION)


def stopping() -> tuple[signal.Signals, ...]:
    """Return the signals that stop this program.

    Ctrl-C is not among them if it was ignored at the start, as for a background job of a script (`nohup
    ssl-video bench &`): a Ctrl-C at the terminal is then meant for the program in the foreground. Python
    itself and other programs follow this convention.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return PREEMPTION if ignored else STOPPING


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
    """Stop this program's runs after SIGTERM, SIGUSR1 and SIGUSR2, as Ctrl-C does.

    Schedulers send these signals before they end a program. Runs write a checkpoint, then `Preempted` is
    raised. Call it in a script before `train` or `bench`; `ssl-video` does.
    """
    for number in PREEMPTION:
        signal.signal(number, _preempt)


def _preempt(number: int, _: object) -> None:
    # Some senders (timeout, schedulers) signal the process and then its group: once is enough.
    signal.signal(number, signal.SIG_IGN)
    raise Preempted
