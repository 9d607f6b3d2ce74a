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
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ssl_video.engine.record import read_result
from ssl_video.engine.run import Execution, Plan, Report, Stopped, run
from ssl_video.errors import InputError

LOG, LOCK = "log.txt", ".lock"
_POLL_SECONDS = 0.5
_GRACE_SECONDS = 30.0


@dataclass(frozen=True)
class Event:
    """Something that happened to a run.

    Attributes:
        kind: "started", "moved", or how its process ended: "finished", "failed", "busy" (another process
            holds the run) or "stopped".
        plan: the run.
        report: where it stands, if it moved.
        result: its record, if it finished.
        reason: why it failed, or a warning.
    """

    kind: str
    plan: Plan
    report: Report | None = None
    result: dict[str, Any] | None = None
    reason: str = ""


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

    Args:
        plans: runs that are not finished.
        results: the results folder.
        execution: device, threads, workers of each run.
        jobs: how many at a time.
        notify: called with every event, and with None about twice a second.

    Returns:
        The "failed" events.

    Raises:
        KeyboardInterrupt: after every run under way has written its checkpoint.
    """
    waiting, workers, failures = deque(plans), list[_Worker](), list[Event]()
    rest_until = 0.0
    try:
        while waiting or workers:
            while waiting and len(workers) < jobs and time.monotonic() >= rest_until:
                plan = waiting.popleft()
                record = finished(results, plan)
                if record:
                    notify(Event("finished", plan, result=record))
                else:
                    workers.append(_Worker(plan, folder(results, plan), execution))
                    notify(Event("started", plan))
            _sleep_until_news(workers)
            notify(None)
            for worker in list(workers):
                for event in worker.news():
                    notify(event)
                if worker.ended:
                    workers.remove(worker)
                    if worker.ended.kind == "failed":
                        failures.append(worker.ended)
                    elif worker.ended.kind == "busy":
                        waiting.append(worker.plan)
                        rest_until = time.monotonic() + _POLL_SECONDS
    finally:
        # Nothing is left to stop but where an interrupt or an error ends the loop early.
        _stop(workers)
    return failures


class _Worker:
    """A run in a process of its own; `ended` is its last event, once it has ended."""

    def __init__(self, plan: Plan, folder: Path, execution: Execution) -> None:
        self.plan, self.folder = plan, folder
        self.ended: Event | None = None
        self.pipe, theirs = _CONTEXT.Pipe(duplex=False)
        self.process = _CONTEXT.Process(target=_work, args=(plan, folder, execution, theirs))
        self.process.start()
        theirs.close()

    def news(self) -> list[Event]:
        """Its events since last asked."""
        events = []
        try:
            while self.pipe.poll():
                kind, content = self.pipe.recv()
                events.append(Event(kind, self.plan, **content))
        except EOFError:
            # The other end is closed: it has said its last word, or was killed before it could.
            self.process.join()
            if not self.ended:
                events.append(Event("failed", self.plan, reason=self._last_words()))
        for event in events:
            if event.kind not in ("started", "moved"):
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


def _work(plan: Plan, folder: Path, execution: Execution, pipe: Connection) -> None:
    """The process of one run."""
    asked = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.set())

    def say(kind: str, **content: Any) -> None:
        # A reader that is gone will not want the rest: finish the step, write a checkpoint, end.
        try:
            pipe.send((kind, content))
        except OSError:
            asked.set()

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        with lock.acquire(timeout=0):
            with (folder / LOG).open("a", encoding="utf-8") as log:
                # What libraries print, a crash's traceback included, belongs to the run.
                os.dup2(log.fileno(), sys.stdout.fileno())
                os.dup2(log.fileno(), sys.stderr.fileno())
            result = run(
                plan,
                folder,
                execution,
                report=lambda report: say("moved", report=report),
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
        wait([w.pipe for w in workers], timeout=_POLL_SECONDS)
    else:
        time.sleep(_POLL_SECONDS)


def _stop(workers: Sequence[_Worker]) -> None:
    """Let every run finish its step and write a checkpoint; end those that do not."""
    deadline = time.monotonic() + _GRACE_SECONDS
    for worker in workers:
        worker.process.terminate()
    try:
        for worker in workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
    finally:
        # Also when a second Ctrl-C says that it takes too long: their last checkpoints are whole.
        for worker in workers:
            worker.process.kill()
            worker.process.join()


def _context() -> Any:
    """How processes are made: on Linux from a server that has torch loaded, so that each starts at once."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # The first optimizer imports torch._dynamo, which would cost every process over a second.
    context.set_forkserver_preload(["ssl_video.engine.run", "torch._dynamo"])
    return context


_CONTEXT = _context()
