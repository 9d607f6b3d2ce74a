"""A matrix of runs: each is handed to an executor once, and once more where its process was lost.

A run's folder is its identity, so finished runs are skipped, stopped ones go on from their checkpoint, and
any number of processes may work on one results folder: a lock in the folder gives each run to one of them.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ssl_video.benchmarks.running.executors import Event, Executor, folder
from ssl_video.engine.holder import held
from ssl_video.engine.record import read_result
from ssl_video.engine.run import Plan
from ssl_video.signals import Preempted

_LONGEST_PAUSE = 600.0


def finished(results: Path, plan: Plan) -> dict[str, Any] | None:
    """A finished run's record, if it is finished."""
    return read_result(folder(results, plan))


def execute(
    plans: Sequence[Plan], results: Path, executor: Executor, notify: Callable[[Event | None], None]
) -> list[Event]:
    """Carry out runs, and wait for those that another process carries out.

    A run whose process or machine is lost goes on from its last checkpoint once more.

    Args:
        plans: runs that are not finished.
        results: the results folder.
        executor: what carries them out.
        notify: called with every event, and with None about twice a second.

    Returns:
        The "failed" events.

    Raises:
        KeyboardInterrupt: after every run under way has written its checkpoint; Preempted, where the runs
            themselves were told to.
    """
    queue = _Queue(plans, results, executor, notify)
    try:
        while queue.unfinished:
            queue.fill()
            for event in executor.news():
                queue.settle(event)
            notify(None)
    finally:
        # Nothing is left to stop but where an interrupt or an error ends the loop early.
        executor.stop()
    return queue.failures


class _Pause(NamedTuple):
    """When to ask again for a run that another machine holds, and how long that was after the last time."""

    until: float
    seconds: float


class _Queue:
    """The runs that wait, and those with the executor; for arguments see `execute`."""

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
        self._again = set[str]()  # those that were lost once
        self._elsewhere, self._pauses = dict[str, Plan](), dict[str, _Pause]()

    @property
    def unfinished(self) -> bool:
        """Whether there are runs that have not ended."""
        return bool(self._waiting or self._submitted or self._elsewhere)

    def fill(self) -> None:
        """Hand over as many runs as there is room for."""
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
        """Tell what has happened to a run, and decide what becomes of it.

        Raises:
            Preempted: it was told to stop.
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
        """Look whether runs that other processes held have ended."""
        for name, plan in list(self._elsewhere.items()):
            done = self._finished(plan)
            if done or self._free(plan):
                del self._elsewhere[name]
                self._waiting.extend([] if done else [plan])

    def _free(self, plan: Plan) -> bool:
        """Whether to ask for a run that another process held."""
        here = held(folder(self.results, plan))
        # A lock of another machine may not be seen from here: only who asks for the run learns of it, and a
        # question may be a job in a queue.
        return time.monotonic() >= self._pauses[plan.name].until if here is None else not here

    def _finished(self, plan: Plan) -> bool:
        """Whether a run is finished by now, which is told."""
        record = finished(self.results, plan)
        if record:
            self.notify(Event("finished", plan, result=record))
        return bool(record)
