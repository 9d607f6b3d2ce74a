"""Executors, which carry out runs in processes of this machine, on a Ray cluster, or with Slurm.

An executor accepts runs and reports their events. All executors carry out a run by the same code in its
folder under the results folder, which all machines share. That folder holds the specification, the results
and a lock against other processes. `ssl_video.benchmarks.running.run_queue` decides on waiting and
retries; Ray or Slurm chooses the machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ssl_video.errors import InputError
from ssl_video.runs.folder import run_folder
from ssl_video.runs.result import Result

if TYPE_CHECKING:
    from ssl_video.training.execution import Execution
    from ssl_video.training.run import Plan, RunProgress


@dataclass(frozen=True)
class Event:
    """An event of a run.

    Attributes:
        kind: "started", "moved", "warned", or an end: "finished", "failed", "lost" (its process or machine
            is gone), "busy" (another process holds the run) or "stopped" (all runs were asked to stop). The
            matrix turns the first "lost" of a run into "crashed", and retries the run.
        plan: the run.
        report: the progress of a run that moved.
        result: the record of a run that finished.
        reason: the reason of a failure, or the text of a warning.
        reported: whether the run's process reported the event itself.
    """

    kind: str
    plan: "Plan"
    report: "RunProgress | None" = None
    result: Result | None = None
    reason: str = ""
    reported: bool = True

    @property
    def is_end(self) -> bool:
        """True if the run has left its executor."""
        return self.kind not in ("started", "moved", "warned")


class Executor(Protocol):
    """The interface of an executor of runs."""

    @property
    def jobs(self) -> int | None:
        """Maximum number of concurrent runs; None: any number."""

    def describe(self) -> str:
        """Return a description of the place where runs are carried out, as the end of a sentence."""

    def submit(self, plans: Sequence["Plan"]) -> None:
        """Accept runs to carry out."""

    def news(self) -> list[Event]:
        """Return new events, waiting at most about half a second for one."""

    def stop(self) -> None:
        """Make every accepted run write a checkpoint and end, and wait until all have ended."""


def make(execution: "Execution") -> Executor:
    """Return the executor that an execution names. Imports torch.

    Raises:
        InputError: its library is not installed, it cannot be reached, or an option is unknown.
    """
    if execution.executor == "local":
        from ssl_video.benchmarks.running.executors.local import Local

        if execution.executor_options:
            raise InputError(
                f"--executor-option {next(iter(execution.executor_options))}: only --executor ray and slurm "
                "have options"
            )
        return Local(execution)
    from ssl_video.benchmarks.running.executors.cluster import Cluster

    if execution.executor == "ray":
        from ssl_video.benchmarks.running.executors.on_ray import Ray

        return Cluster(Ray(execution), execution)
    from ssl_video.benchmarks.running.executors.on_slurm import Slurm

    return Cluster(Slurm(execution), execution)


def folder(results: Path, plan: "Plan") -> Path:
    """Return a run's folder."""
    return run_folder(results, plan.name).path
