"""Who carries out runs: processes of this machine, a Ray cluster, or Slurm.

An executor is handed runs and tells what happens to them. Each run is carried out by the same code in the
same place, its folder under the results folder, which all machines share: what it was to do and what came of
it stand there, and the lock in it keeps everybody else out. Who waits and who is tried again is decided in
`ssl_video.benchmarks.running.matrix`; which machine a run goes to, by Ray or Slurm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ssl_video.errors import InputError

if TYPE_CHECKING:
    from ssl_video.engine.processes import Execution
    from ssl_video.engine.run import Plan, Report

NAMES = ("local", "ray", "slurm")


@dataclass(frozen=True)
class Event:
    """Something that happened to a run.

    Attributes:
        kind: "started", "moved", or how it ended: "finished", "failed", "lost" (its process or machine is
            gone), "busy" (another process holds the run) or "stopped" (it was told to stop, with everything).
            The matrix makes "crashed" of the first "lost": it is tried once more.
        plan: the run.
        report: where it stands, if it moved.
        result: its record, if it finished.
        reason: why it failed.
        said: whether its process said so itself.
    """

    kind: str
    plan: "Plan"
    report: "Report | None" = None
    result: dict[str, Any] | None = None
    reason: str = ""
    said: bool = True

    @property
    def is_end(self) -> bool:
        """Whether the run is no longer with its executor."""
        return self.kind not in ("started", "moved")


class Executor(Protocol):
    """What carries out runs."""

    @property
    def jobs(self) -> int | None:
        """How many runs it takes at a time; None: any number."""

    def describe(self) -> str:
        """Where runs will be carried out, as the end of a sentence."""

    def submit(self, plans: Sequence["Plan"]) -> None:
        """Take over runs."""

    def news(self) -> list[Event]:
        """What has happened since last asked; waits up to half a second or so for something to happen."""

    def stop(self) -> None:
        """Make every run that was taken over write a checkpoint and end, and wait for that."""


@dataclass(frozen=True)
class Conditions:
    """What all runs of a matrix share.

    Attributes:
        results: the results folder.
        execution: device, threads and workers of each run.
        skip_broken: leave out videos that cannot be decoded.
        cache_gib: bound of each machine's cache of decoded frames, in GiB.
    """

    results: Path
    execution: "Execution"
    skip_broken: bool = False
    cache_gib: float = 20.0


def make(name: str, conditions: Conditions, jobs: int | None, options: Mapping[str, Any]) -> Executor:
    """An executor by name. Imports torch.

    Args:
        name: one of NAMES.
        conditions: see there.
        jobs: how many runs at a time; None, where others decide: any number.
        options: what Ray's tasks or Slurm's jobs are given beside, see `on_ray.Ray` and `on_slurm.Slurm`.

    Raises:
        InputError: its library is not installed, it cannot be reached, or an option that it does not have.
    """
    if name == "local":
        from ssl_video.benchmarks.running.executors.local import Local

        if options:
            raise InputError(
                f"--executor-option {next(iter(options))}: only --executor ray and slurm have options"
            )
        return Local(conditions.results, conditions.execution, jobs or 1)
    from ssl_video.benchmarks.running.executors.elsewhere import Elsewhere

    if name == "ray":
        from ssl_video.benchmarks.running.executors.on_ray import Ray

        return Elsewhere(Ray(conditions, options), conditions, jobs)
    from ssl_video.benchmarks.running.executors.on_slurm import Slurm

    return Elsewhere(Slurm(conditions, options), conditions, jobs)


def folder(results: Path, plan: "Plan") -> Path:
    """A run's folder."""
    return results / "runs" / plan.name
