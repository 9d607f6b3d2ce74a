"""The signals that ask a run to save itself and end."""

import signal

# Sent before a process is killed: SIGTERM by Slurm's pre-emption, by `timeout` and by containers; SIGUSR1
# is what `sbatch --signal` is usually given, and SIGUSR2 what submitit gives it. Not every system has them.
PREEMPTION = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)
)
STOPPING = (signal.SIGINT, *PREEMPTION)


class Preempted(KeyboardInterrupt):
    """Somebody other than the person at the keyboard asked this program to end."""
