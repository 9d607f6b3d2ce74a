"""Runs on other machines, as jobs of a scheduler; their progress is read from the shared results folder."""

import contextlib
import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ssl_video.benchmarks.running import prepare
from ssl_video.benchmarks.running.executors import Event, folder
from ssl_video.benchmarks.running.executors.local import Local
from ssl_video.data.paths import CACHE
from ssl_video.errors import InputError
from ssl_video.files import open_regular
from ssl_video.runs.folder import METRICS, RunFolder, run_folder
from ssl_video.spec import build, plain
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan, RunProgress

_POLL_SECONDS = 0.5
_GRACE_SECONDS = 60.0
# The longest delay until a network disk shows a file that another machine has written.
_SEEN_SECONDS = 60.0
# Bytes that are read from the end of a run's records: more than any line has.
_LAST_BYTES = 2**16


@dataclass(frozen=True)
class RunOrder:
    """A run in a form that can be sent to another machine.

    Attributes:
        name: the run's identity.
        spec: its resolved specification, as plain values.
        execution: its execution settings.
        directory: the directory that relative file names start from.
        cache: the folder for rendered clips and decoded frames; None: each machine's default.
    """

    name: str
    spec: dict[str, Any]
    execution: Execution
    directory: str
    cache: str | None

    def executor(self) -> Local:
        """Return the executor for the machine that the order was sent to."""
        if self.cache:
            os.environ[CACHE] = self.cache
        return Local(replace(self.execution, jobs=1))


class RunEnd(NamedTuple):
    """The end of a run on another machine: kind and reason of an `Event`, and the name of the machine."""

    kind: str
    reason: str = ""
    machine: str = ""


class Scheduler(Protocol):
    """The interface of a scheduler, which decides where and when runs are carried out."""

    def describe(self) -> str:
        """Return a description of the scheduler, as the end of a sentence."""

    def send(self, orders: Sequence[RunOrder]) -> list[Any]:
        """Submit a job that calls `carry_out` for each order."""

    def outcome(self, job: Any) -> RunEnd | None:
        """Return the outcome of a job; None if it has not ended."""

    def cancel(self, jobs: Sequence[Any]) -> None:
        """Cancel jobs; those under way write a checkpoint."""


def carry_out(order: RunOrder, local: Local) -> RunEnd:
    """Carry out a run on this machine by `Local`, in its own processes and under its folder's lock.

    The data is read again, from the shared disk. If that leads to another run than the ordered one, it is not
    started.
    """
    machine = platform.node()
    place = run_folder(order.execution.results, order.name).path
    if not place.is_dir():
        reason = f"there is no folder {place}: --results has to be on a disk that all machines share"
        return RunEnd("failed", reason, machine)
    with contextlib.suppress(OSError):
        os.chdir(order.directory)
    try:
        plan = _plan(order)
    except InputError as error:
        return RunEnd("failed", str(error), machine)
    if plan.name != order.name:
        reason = (
            f"the specification gives the run {plan.name} on this machine: its data, code or version differs"
        )
        return RunEnd("failed", reason, machine)
    local.submit([plan])
    try:
        while True:
            for event in local.news():
                if event.is_end:
                    return RunEnd(event.kind, event.reason, machine)
    finally:
        local.stop()


def _plan(order: RunOrder) -> Plan:
    """Plan the run on this machine."""
    with prepare.in_turn():
        (plan,) = prepare.plans([build(order.spec)], order.execution)
    return plan


class Cluster:
    """An `Executor` that submits runs to a scheduler.

    A run's folder shows whether it is finished. The scheduler reports lost runs and the reasons of failures.

    Args:
        scheduler: the scheduler.
        execution: execution settings; `jobs` limits the number of concurrent runs, None: no limit.
    """

    def __init__(self, scheduler: Scheduler, execution: Execution) -> None:
        self.scheduler, self.jobs = scheduler, execution.jobs
        self.execution = replace(execution, results=execution.results.absolute())
        self._sent = list[_Sent]()

    def describe(self) -> str:
        """Return the description of the scheduler."""
        return self.scheduler.describe()

    def submit(self, plans: Sequence[Plan]) -> None:
        """Submit runs as jobs."""
        orders, folders = list[RunOrder](), [folder(self.execution.results, plan) for plan in plans]
        for plan, place in zip(plans, folders, strict=True):
            place.mkdir(parents=True, exist_ok=True)
            cache = os.environ.get(CACHE)
            orders.append(RunOrder(plan.name, plain(plan.spec), self.execution, os.getcwd(), cache))
        jobs = self.scheduler.send(orders)
        self._sent += map(_Sent, plans, folders, jobs)

    def news(self) -> list[Event]:
        """Return new events, after a pause of half a second."""
        time.sleep(_POLL_SECONDS)
        events = list[Event]()
        for sent in list(self._sent):
            events += sent.progress()
            end = sent.end(self.scheduler)
            if end:
                self._sent.remove(sent)
                events.append(end)
        return events

    def stop(self) -> None:
        """Cancel all jobs and wait until they have ended."""
        jobs = [sent.job for sent in self._sent]
        self.scheduler.cancel(jobs)
        deadline = time.monotonic() + _GRACE_SECONDS
        while jobs and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            jobs = [job for job in jobs if self.scheduler.outcome(job) is None]
        for sent in self._sent:
            # Removes the folder of a run that never began, which is empty.
            with contextlib.suppress(OSError):
                sent.folder.rmdir()


class _Sent:
    """A run that was submitted as a job."""

    def __init__(self, plan: Plan, folder: Path, job: Any) -> None:
        self.plan, self.folder, self.job = plan, folder, job
        self._begun, self._seen, self._ended = False, self._stamp(), 0.0

    def progress(self) -> list[Event]:
        """Return events if the run's records have changed, which shows that it is under way."""
        stamp = self._stamp()
        if stamp == self._seen:
            return []
        self._seen, events = stamp, list[Event]()
        if not self._begun:
            self._begun, events = True, [Event("started", self.plan)]
        steps = self.plan.spec.steps
        done = _steps_done(self.folder / METRICS)
        report = RunProgress("train", done, steps, 0) if done < steps else RunProgress("test", 0, 1, 0)
        return [*events, Event("moved", self.plan, report=report)]

    def end(self, scheduler: Scheduler) -> Event | None:
        """Return the event of the run's end; None if it has not ended."""
        outcome = scheduler.outcome(self.job)
        if outcome is None:
            return None
        kind, reason, machine = outcome
        where = f" (on {machine})" if machine else ""
        if kind != "finished":
            # A run that somebody else stopped must not stop all others: it is resumed once.
            kind = "lost" if kind == "stopped" else kind
            return Event(kind, self.plan, reason=f"{reason or outcome.kind}{where}")
        result = RunFolder(self.folder).finished(self.plan.name)
        if result:
            return Event("finished", self.plan, result=result)
        self._ended = self._ended or time.monotonic()
        if time.monotonic() - self._ended < _SEEN_SECONDS:
            return None
        reason = (
            f"it finished{where}, but its result is not in {self.folder}: do all machines share this disk?"
        )
        return Event("failed", self.plan, reason=reason)

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = (self.folder / METRICS).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size


def _steps_done(metrics: Path) -> int:
    """Return the number of steps that a run has recorded, from the end of its records."""
    with contextlib.suppress(OSError, ValueError, IndexError, KeyError), open_regular(metrics) as file:
        file.seek(max(0, metrics.stat().st_size - _LAST_BYTES))
        # An incomplete line may follow the last line break.
        return int(json.loads(file.read().rpartition(b"\n")[0].splitlines()[-1])["step"]) + 1
    return 0
