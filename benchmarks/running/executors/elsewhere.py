"""Runs on other machines, as jobs of a scheduler; what they do is read from the folder that all share."""

import contextlib
import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from ssl_video.benchmarks.running import prepare
from ssl_video.benchmarks.running.executors import Conditions, Event, folder
from ssl_video.benchmarks.running.executors.local import Local
from ssl_video.data.paths import CACHE
from ssl_video.engine.record import METRICS, read_result
from ssl_video.engine.run import Plan, Report
from ssl_video.errors import InputError
from ssl_video.spec import build, plain

_POLL_SECONDS = 0.5
_GRACE_SECONDS = 60.0
# How long a network disk may take to show a file that another machine has written.
_SEEN_SECONDS = 60.0
# The end of a run's records that is read: longer than any line.
_LAST_BYTES = 2**16


@dataclass(frozen=True)
class Order:
    """A run in a form that travels.

    Attributes:
        name: the run's identity.
        spec: its resolved specification, as plain values.
        conditions: how it is carried out.
        directory: where relative names of files start from.
        cache: the folder for rendered clips and decoded frames; None: each machine's default.
    """

    name: str
    spec: dict[str, Any]
    conditions: Conditions
    directory: str
    cache: str | None

    def executor(self) -> Local:
        """What carries it out on the machine that it came to."""
        if self.cache:
            os.environ[CACHE] = self.cache
        return Local(self.conditions.results, self.conditions.execution, jobs=1)


class Outcome(NamedTuple):
    """How a run ended elsewhere: kind and reason as of an `Event`, and the name of the machine."""

    kind: str
    reason: str = ""
    machine: str = ""


class Scheduler(Protocol):
    """Whoever decides where and when runs are carried out."""

    def describe(self) -> str:
        """Who it is, as the end of a sentence."""

    def send(self, orders: Sequence[Order]) -> list[Any]:
        """Make a job of each order, which calls `carry_out`."""

    def outcome(self, job: Any) -> Outcome | None:
        """How a job ended, or None while it has not."""

    def cancel(self, jobs: Sequence[Any]) -> None:
        """Make jobs end, with a checkpoint of those under way."""


def carry_out(order: Order, local: Local) -> Outcome:
    """Carry out a run on this machine, in processes of its own under its folder's lock, as `Local` does.

    The data is read anew, from the disk that all machines share; a run that turns out to be another than the
    one that was ordered is not begun.
    """
    machine = platform.node()
    place = order.conditions.results / "runs" / order.name
    if not place.is_dir():
        reason = f"there is no folder {place}: --results has to lie on a disk that all share"
        return Outcome("failed", reason, machine)
    with contextlib.suppress(OSError):
        os.chdir(order.directory)
    try:
        plan = _plan(order)
    except InputError as error:
        return Outcome("failed", str(error), machine)
    if plan.name != order.name:
        reason = f"the same specification is the run {plan.name} here: other data, code, or version"
        return Outcome("failed", reason, machine)
    local.submit([plan])
    try:
        while True:
            for event in local.news():
                if event.is_end:
                    return Outcome(event.kind, event.reason, machine)
    finally:
        local.stop()


def _plan(order: Order) -> Plan:
    """The run, made here."""
    conditions = order.conditions
    with prepare.in_turn():
        (plan,) = prepare.plans(
            [build(order.spec)],
            torch.device(conditions.execution.device),
            skip_broken=conditions.skip_broken,
            cache_gib=conditions.cache_gib,
            execution=conditions.execution,
        )
    return plan


class Elsewhere:
    """An `Executor` that gives runs to a scheduler.

    Whether a run is finished is what its folder says; the scheduler is asked for reasons and the lost.

    Args:
        scheduler: see there.
        conditions: how runs are carried out.
        jobs: how many it may have at a time; None: all.
    """

    def __init__(self, scheduler: Scheduler, conditions: Conditions, jobs: int | None) -> None:
        self.scheduler, self.jobs = scheduler, jobs
        self.conditions = replace(conditions, results=conditions.results.absolute())
        self._sent = list[_Sent]()

    def describe(self) -> str:
        """Where runs will be carried out."""
        return self.scheduler.describe()

    def submit(self, plans: Sequence[Plan]) -> None:
        """Make jobs of runs."""
        orders, folders = list[Order](), [folder(self.conditions.results, plan) for plan in plans]
        for plan, place in zip(plans, folders, strict=True):
            place.mkdir(parents=True, exist_ok=True)
            cache = os.environ.get(CACHE)
            orders.append(Order(plan.name, plain(plan.spec), self.conditions, os.getcwd(), cache))
        jobs = self.scheduler.send(orders)
        self._sent += map(_Sent, plans, folders, jobs)

    def news(self) -> list[Event]:
        """What has happened since last asked."""
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
            # Of a run that never began.
            with contextlib.suppress(OSError):
                sent.folder.rmdir()


class _Sent:
    """A run that is a job now."""

    def __init__(self, plan: Plan, folder: Path, job: Any) -> None:
        self.plan, self.folder, self.job = plan, folder, job
        self._begun, self._seen, self._ended = False, self._stamp(), 0.0

    def progress(self) -> list[Event]:
        """Where it stands, if that has changed: a run that went through its records is under way."""
        stamp = self._stamp()
        if stamp == self._seen:
            return []
        self._seen, events = stamp, list[Event]()
        if not self._begun:
            self._begun, events = True, [Event("started", self.plan)]
        steps = self.plan.spec.steps
        done = _steps_done(self.folder / METRICS)
        report = Report("train", done, steps, 0) if done < steps else Report("test", 0, 1, 0)
        return [*events, Event("moved", self.plan, report=report)]

    def end(self, scheduler: Scheduler) -> Event | None:
        """How it ended, once it has."""
        outcome = scheduler.outcome(self.job)
        if outcome is None:
            return None
        kind, reason, machine = outcome
        where = f" (on {machine})" if machine else ""
        if kind != "finished":
            # One that somebody else stopped is not to stop all: it goes on, once more.
            kind = "lost" if kind == "stopped" else kind
            return Event(kind, self.plan, reason=f"{reason or outcome.kind}{where}")
        result = read_result(self.folder)
        if result:
            return Event("finished", self.plan, result=result)
        self._ended = self._ended or time.monotonic()
        if time.monotonic() - self._ended < _SEEN_SECONDS:
            return None
        reason = f"it is finished{where}, and its result is not in {self.folder}: do all share this disk?"
        return Event("failed", self.plan, reason=reason)

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = (self.folder / METRICS).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size


def _steps_done(metrics: Path) -> int:
    """How many steps a run has recorded, from the end of its records."""
    with contextlib.suppress(OSError, ValueError, IndexError, KeyError), metrics.open("rb") as file:
        file.seek(max(0, metrics.stat().st_size - _LAST_BYTES))
        # Behind the last line break may stand the beginning of a line.
        return int(json.loads(file.read().rpartition(b"\n")[0].splitlines()[-1])["step"]) + 1
    return 0
