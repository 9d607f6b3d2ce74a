"""Runs side by side, each in a process of its own: one that crashes or is killed takes no other with it.

A run's folder is its identity, so finished runs are skipped, stopped ones go on from their checkpoint, and
any number of processes may work on one results folder: a lock in the folder gives each run to one of them.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
from filelock import Timeout

from ssl_video.engine import launch
from ssl_video.engine.holder import holding
from ssl_video.engine.record import read_result
from ssl_video.engine.run import Execution, Plan, Report, Stopped, run
from ssl_video.errors import InputError
from ssl_video.signals import STOPPING, Preempted

LOG = "log.txt"
_POLL_SECONDS = 0.5
_GRACE_SECONDS = 30.0
_LAST_SECONDS = 3.0


@dataclass(frozen=True)
class Event:
    """Something that happened to a run.

    Attributes:
        kind: "started", "moved", or how its process ended: "finished", "failed", "crashed" (it will be tried
            once more), "busy" (another process holds the run) or "stopped".
        plan: the run.
        report: where it stands, if it moved.
        result: its record, if it finished.
        reason: why it failed.
        said: whether its process said so itself.
    """

    kind: str
    plan: Plan
    report: Report | None = None
    result: dict[str, Any] | None = None
    reason: str = ""
    said: bool = True


def folder(results: Path, plan: Plan) -> Path:
    """A run's folder."""
    return results / "runs" / plan.name


def finished(results: Path, plan: Plan) -> dict[str, Any] | None:
    """A finished run's record, if it is finished."""
    return read_result(folder(results, plan))


def execute(
    plans: Sequence[Plan],
    results: Path,
    execution: Execution,
    jobs: int,
    notify: Callable[[Event | None], None],
) -> list[Event]:
    """Carry out runs, `jobs` at a time, and wait for those that another process carries out.

    A run whose process is killed goes on from its last checkpoint once more.

    Args:
        plans: runs that are not finished.
        results: the results folder.
        execution: device, threads, workers of each run.
        jobs: how many at a time.
        notify: called with every event, and with None about twice a second.

    Returns:
        The "failed" events.

    Raises:
        KeyboardInterrupt: after every run under way has written its checkpoint; Preempted, where the runs
            themselves were told to.
    """
    start_server()
    queue = _Queue(plans, results, execution, jobs, notify)
    try:
        while queue.waiting or queue.workers:
            queue.fill()
            _sleep_until_news(queue.workers)
            notify(None)
            queue.collect()
    finally:
        # Nothing is left to stop but where an interrupt or an error ends the loop early.
        _stop(queue.workers)
    return queue.failures


class _Queue:
    """The runs that wait and those under way; for arguments see `execute`."""

    def __init__(
        self,
        plans: Sequence[Plan],
        results: Path,
        execution: Execution,
        jobs: int,
        notify: Callable[[Event | None], None],
    ) -> None:
        self.results, self.execution, self.jobs, self.notify = results, execution, jobs, notify
        self.waiting, self.workers, self.failures = deque(plans), list[_Worker](), list[Event]()
        self._devices, self._again, self._rest_until = deque(_devices(execution, jobs)), set[str](), 0.0

    def fill(self) -> None:
        """Start as many runs as there is room for."""
        while self.waiting and len(self.workers) < self.jobs and time.monotonic() >= self._rest_until:
            plan = self.waiting.popleft()
            record = finished(self.results, plan)
            if record:
                self.notify(Event("finished", plan, result=record))
            else:
                own = replace(self.execution, device=self._devices.popleft())
                self.workers.append(_Worker(plan, folder(self.results, plan), own))
                self.notify(Event("started", plan))

    def collect(self) -> None:
        """Tell what has happened, and take out the runs that have ended.

        Raises:
            Preempted: a run was told to stop.
        """
        for worker in list(self.workers):
            for event in worker.news():
                if _lost(event) and event.plan.name not in self._again:
                    event = worker.ended = replace(event, kind="crashed")
                self.notify(event)
            if worker.ended:
                self.workers.remove(worker)
                self._devices.append(worker.execution.device)
                self._settle(worker.ended)

    def _settle(self, end: Event) -> None:
        """What becomes of a run that has ended."""
        if end.kind == "failed":
            self.failures.append(end)
        elif end.kind == "crashed":
            self._again.add(end.plan.name)
            self.waiting.append(end.plan)
        elif end.kind == "busy":
            self.waiting.append(end.plan)
            self._rest_until = time.monotonic() + _POLL_SECONDS
        elif end.kind == "stopped":
            raise Preempted


def _devices(execution: Execution, jobs: int) -> list[str]:
    """The device of each job: with several GPUs, one after the other."""
    count = torch.cuda.device_count() if execution.device == "cuda" and execution.processes == 1 else 0
    return [f"cuda:{job % count}" if count > 1 else execution.device for job in range(jobs)]


class _Worker:
    """A run in processes of its own, one a device; `ended` is its last event, once it has ended."""

    def __init__(self, plan: Plan, folder: Path, execution: Execution) -> None:
        self.plan, self.execution = plan, execution
        self.ended: Event | None = None
        self.members = [_Member(plan, folder, execution, place) for place in launch.places(execution)]

    def news(self) -> list[Event]:
        """Its events since last asked."""
        events = [event for member in self.members for event in member.news()]
        if any(event.kind in ("failed", "busy") for event in events):
            self._end_the_others()
        ends = [member.ended for member in self.members if member.ended]
        if len(ends) == len(self.members) and not self.ended:
            # What one process said explains why the others lost it.
            self.ended = min(ends, key=_telling)
            events = [event for event in events if event.kind == "moved"] + [self.ended]
        return [event for event in events if event.kind == "moved" or event is self.ended]

    def _end_the_others(self) -> None:
        """A run that has lost a process cannot go on: the others may say what they know, and end."""
        deadline = time.monotonic() + _LAST_SECONDS
        for member in self.members:
            member.process.join(max(0.0, deadline - time.monotonic()))
        for member in self.members:
            member.process.kill()
            member.news()


class _Member:
    """One process of a run; `ended` is its last event, once it has ended."""

    def __init__(self, plan: Plan, folder: Path, execution: Execution, place: dict[str, str]) -> None:
        self.plan, self.folder = plan, folder
        self.ended: Event | None = None
        self.pipe, theirs = _CONTEXT.Pipe(duplex=False)
        self.process = _CONTEXT.Process(target=_work, args=(plan, folder, execution, place, theirs))
        self.process.start()
        theirs.close()

    def news(self) -> list[Event]:
        """Its events since last asked."""
        events: list[Event] = []
        if self.ended:
            return events
        try:
            while self.pipe.poll():
                kind, content = self.pipe.recv()
                events.append(Event(kind, self.plan, **content))
        except EOFError:
            # The other end is closed: it has said its last word, or was killed before it could.
            self.process.join()
            if not any(event.kind != "moved" for event in events):
                events.append(Event("failed", self.plan, reason=self._last_words(), said=False))
        for event in events:
            if event.kind != "moved":
                self.ended = event
        if self.ended:
            self.process.join()
        return events

    def _last_words(self) -> str:
        code = self.process.exitcode or 0
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        with contextlib.suppress(OSError, IndexError):
            how += ": " + (self.folder / LOG).read_text(encoding="utf-8", errors="replace").splitlines()[-1]
        return f"{how} (see {self.folder / LOG})"


def _lost(event: Event) -> bool:
    """Whether a run ended for no reason of its own, as far as one can see: by a signal."""
    return event.kind == "failed" and not event.said and event.reason.startswith("killed by")


def _telling(event: Event) -> tuple[bool, bool, bool]:
    """Sorts how the processes of a run ended: first what explains most."""
    return event.kind != "busy", event.kind != "failed", not event.said and not _lost(event)


def _work(plan: Plan, folder: Path, execution: Execution, place: dict[str, str], pipe: Connection) -> None:
    """One process of a run."""
    os.environ.update(place)
    main = launch.rank(execution) == 0
    asked = threading.Event()
    for number in STOPPING:
        signal.signal(number, lambda *_: asked.set())

    def say(kind: str, **content: Any) -> None:
        # A reader that is gone will not want the rest: finish the step, write a checkpoint, end.
        try:
            pipe.send((kind, content))
        except OSError:
            asked.set()

    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The first process holds the run for all.
        with holding(folder) if main else contextlib.nullcontext():
            with (folder / LOG).open("a", encoding="utf-8") as log:
                # What libraries print, a crash's traceback included, belongs to the run.
                os.dup2(log.fileno(), sys.stdout.fileno())
                os.dup2(log.fileno(), sys.stderr.fileno())
            result = run(
                plan,
                folder,
                execution,
                report=lambda report: say("moved", report=report) if main else None,
                stopping=asked.is_set,
                warn=lambda text: print(text, flush=True),
            )
        say("finished", result=result)
    except Timeout:
        say("busy")
    except Stopped:
        say("stopped")
    except InputError as error:
        say("failed", reason=str(error))
    except OSError as error:
        say("failed", reason=f"{error.strerror or error}: {error.filename or folder}")


def _sleep_until_news(workers: Sequence[_Worker]) -> None:
    if workers:
        pipes = [member.pipe for worker in workers for member in worker.members if not member.ended]
        wait(pipes, timeout=_POLL_SECONDS)
    else:
        time.sleep(_POLL_SECONDS)


def _stop(workers: Sequence[_Worker]) -> None:
    """Let every run finish its step and write a checkpoint; end those that do not."""
    deadline = time.monotonic() + _GRACE_SECONDS
    processes = [member.process for worker in workers for member in worker.members]
    try:
        while any(process.is_alive() for process in processes) and time.monotonic() < deadline:
            # More than once, because one that has just been made may not be listening yet.
            for process in processes:
                process.terminate()
            wait([process.sentinel for process in processes if process.is_alive()], _POLL_SECONDS)
    finally:
        # Also when a second Ctrl-C says that it takes too long: their last checkpoints are whole.
        for process in processes:
            process.kill()
            process.join()


def start_server() -> None:
    """Start the server that processes of runs come from, which loads torch while data is prepared.

    It is deaf to signals: schedulers send them to every process of a job, and it has to outlive the runs.
    """
    if _CONTEXT.get_start_method() == "forkserver":
        before = {number: signal.signal(number, signal.SIG_IGN) for number in STOPPING}
        forkserver.ensure_running()
        for number, handler in before.items():
            signal.signal(number, handler)


def _context() -> Any:
    """How processes are made: on Linux from a server that has torch loaded, so that each starts at once."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # The first optimizer imports torch._dynamo, which would cost every process over a second.
    context.set_forkserver_preload(["ssl_video.engine.run", "torch._dynamo", "lightning_fabric"])
    return context


_CONTEXT = _context()
