"""Schedule a matrix of runs: submit each to an executor once, and once more if its process is lost.

A run's folder is its identity: finished runs are skipped, and stopped ones resume from their checkpoint. Any
number of processes may work on one results folder: a lock in each run's folder gives it to one of them.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ssl_video.benchmarks.running.executors import Event, Executor, folder
from ssl_video.runs.folder import run_folder
from ssl_video.runs.lock import is_locked
from ssl_video.runs.result import Result
from ssl_video.signals import Preempted
from ssl_video.training.run import Plan

_LONGEST_PAUSE = 600.0


def finished(results: Path, plan: Plan) -> Result | None:
    """Return the result of a planned run; None if it is not finished."""
    return run_folder(results, plan.name).finished(plan.name)


def execute(
    plans: Sequence[Plan], results: Path, executor: Executor, notify: Callable[[Event | None], None]
) -> list[Event]:
    """Carry out runs, and wait for those that another process carries out.

    A run whose process or machine is lost is resumed once from its last checkpoint.

    Args:
        plans: unfinished runs.
        results: the results folder.
        executor: the executor of the runs.
        notify: called with every event, and with None about twice a second.

    Returns:
        The "failed" events.

    Raises:
        KeyboardInterrupt: after every run under way has written its checkpoint; Preempted if the runs
            themselves were asked to stop.
    """
    queue = _Queue(plans, results, executor, notify)
    try:
        while queue.unfinished:
            queue.fill()
            for event in executor.news():
                queue.settle(event)
            notify(None)
    finally:
        # Runs are left to stop only if an interrupt or an error ended the loop early.
        executor.stop()
    return queue.failures


class _Pause(NamedTuple):
    """The time of the next request for a run that another machine holds, and the pause before it."""

    until: float
    seconds: float


class _Queue:
    """The waiting and the submitted runs; for arguments see `execute`."""

    def __init__(
        self,
        plans: Sequence[Plan],
        results: Path,
        executor: Executor,
        notify: Callable[[Event | None], None],
    ) -> None:
        self.results, self.executor, self.notify = results, executor, notify
        self.failures = list[Event]()
        self._waiting, self._submitted = deque(plans), set[str]()
        self._again = set[str]()  # runs that were lost once
        self._elsewhere, self._pauses = dict[str, Plan](), dict[str, _Pause]()

    @property
    def unfinished(self) -> bool:
        """True while there are runs that have not ended."""
        return bool(self._waiting or self._submitted or self._elsewhere)

    def fill(self) -> None:
        """Submit as many runs as the executor has room for."""
        self._ask_again()
        room = (self.executor.jobs or sys.maxsize) - len(self._submitted)
        chosen = list[Plan]()
        while self._waiting and len(chosen) < room:
            plan = self._waiting.popleft()
            if not self._finished(plan):
                chosen.append(plan)
        if chosen:
            self._submitted.update(plan.name for plan in chosen)
            self.executor.submit(chosen)

    def settle(self, event: Event) -> None:
        """Report the event of a run, and reschedule the run if necessary.

        Raises:
            Preempted: the run was asked to stop.
        """
        name = event.plan.name
        if event.kind == "lost":
            event = replace(event, kind="failed" if name in self._again else "crashed")
        self.notify(event)
        if event.is_end:
            self._submitted.discard(name)
        if event.kind == "failed":
            self.failures.append(event)
        elif event.kind == "crashed":
            self._again.add(name)
            self._waiting.append(event.plan)
        elif event.kind == "busy":
            before = self._pauses.get(name, _Pause(0.0, 0.5))
            seconds = min(2 * before.seconds, _LONGEST_PAUSE)
            self._elsewhere[name], self._pauses[name] = (
                event.plan,
                _Pause(time.monotonic() + seconds, seconds),
            )
        elif event.kind == "stopped":
            raise Preempted

    def _ask_again(self) -> None:
        """Check whether runs that other processes hold have ended."""
        for name, plan in list(self._elsewhere.items()):
            done = self._finished(plan)
            if done or self._free(plan):
                del self._elsewhere[name]
                self._waiting.extend([] if done else [plan])

    def _free(self, plan: Plan) -> bool:
        """Return whether to request a run that another process holds."""
        here = is_locked(folder(self.results, plan))
        # A lock of another machine may be invisible from here. Only a request for the run reveals it, and a
        # request may be a job in a queue.
        return time.monotonic() >= self._pauses[plan.name].until if here is None else not here

    def _finished(self, plan: Plan) -> bool:
        """Return whether a run has finished, and report it if so."""
        record = finished(self.results, plan)
        if record:
            self.notify(Event("finished", plan, result=record))
        return bool(record)
