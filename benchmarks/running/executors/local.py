"""Runs in processes of this machine: one that crashes or is killed takes no other with it."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
from filelock import Timeout

from ssl_video.benchmarks.running.executors import Event, folder
from ssl_video.data.paths import CACHE
from ssl_video.engine import launch
from ssl_video.engine.failures import of_disk
from ssl_video.engine.holder import holding
from ssl_video.engine.run import Execution, Plan, Stopped, run
from ssl_video.errors import InputError
from ssl_video.signals import STOPPING, stopping

LOG = "log.txt"
_POLL_SECONDS = 0.5
_GRACE_SECONDS = 30.0
_LAST_SECONDS = 3.0
# What multiprocessing says of a process whose server can no longer say how it ended.
_SERVER_LOST = 255
_TRIES = 5
# The server of processes keeps the environment that it began with; these are set later, too: by whoever gives
# each run its GPUs, and by an order from another machine.
_CHANGING = ("CUDA_VISIBLE_DEVICES", CACHE)


class Local:
    """An `Executor`: `jobs` runs side by side, each in a process of its own, or in one a device.

    Args:
        results: the results folder.
        execution: device, threads, workers of each run; with several GPUs, runs take them in turn.
        jobs: how many at a time.
    """

    def __init__(self, results: Path, execution: Execution, jobs: int) -> None:
        self.results, self.execution, self.jobs = results, execution, jobs
        self._workers, self._begun = list[_Worker](), list[Event]()
        self._devices, self._served = deque(_devices(execution, jobs)), False

    def describe(self) -> str:
        """Where runs will be carried out."""
        threads = f"{self.execution.threads or 1} thread{'s' if (self.execution.threads or 1) > 1 else ''}"
        if self.execution.processes > 1:
            threads = f"{self.execution.processes} processes with {threads}"
        return f"{self.jobs} at a time on {self.execution.device}, {threads} each"

    def submit(self, plans: Sequence[Plan]) -> None:
        """Start runs; with those under way at most `jobs`."""
        if not self._served:
            _start_server()
            self._served = True
        for plan in plans:
            own = replace(self.execution, device=self._devices.popleft())
            self._workers.append(_Worker(plan, folder(self.results, plan), own))
            self._begun.append(Event("started", plan))

    def news(self) -> list[Event]:
        """What has happened since last asked."""
        events, self._begun = self._begun, []
        if not events:
            _sleep_until_news(self._workers)
        for worker in list(self._workers):
            events += worker.news()
            if worker.ended:
                self._workers.remove(worker)
                self._devices.append(worker.execution.device)
        return events

    def stop(self) -> None:
        """Let every run finish its step and write a checkpoint; end those that do not."""
        deadline = time.monotonic() + _GRACE_SECONDS
        processes = [member.process for worker in self._workers for member in worker.members]
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
        if any(event.kind in ("failed", "lost", "busy") for event in events):
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
        place = {name: os.environ[name] for name in _CHANGING if name in os.environ} | place
        self.process = _started((plan, folder, execution, place, os.getcwd(), stopping(), theirs))
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
        except (EOFError, OSError):
            # The other end is closed: it has said its last word, or was killed before or while it did.
            self.process.join()
            if not any(event.is_end for event in events):
                events.append(self._end_without_a_word())
        for event in events:
            if event.is_end:
                self.ended = event
        if self.ended:
            self.process.join()
        return events

    def _end_without_a_word(self) -> Event:
        code = self.process.exitcode or 0
        # A process that a signal ended had no reason of its own, as far as one can see.
        kind, how = "failed", f"ended with status {code}"
        if code < 0:
            kind, how = "lost", f"killed by {signal.Signals(-code).name}"
        elif code == _SERVER_LOST:
            kind, how = "lost", "killed, as was the server of its processes"
        with contextlib.suppress(OSError, IndexError):
            how += ": " + (self.folder / LOG).read_text(encoding="utf-8", errors="replace").splitlines()[-1]
        return Event(kind, self.plan, reason=f"{how} (see {self.folder / LOG})", said=False)


def _started(arguments: tuple[Any, ...]) -> Any:
    """A process that does `_work`."""
    for _ in range(_TRIES):
        process = _CONTEXT.Process(target=_work, args=arguments)
        # A server that is gone is started again, but not one that is just ending. Should the last process
        # that it made be alive, it holds the run, and this one finds it busy.
        with contextlib.suppress(EOFError, ConnectionError):
            process.start()
            return process
        time.sleep(_POLL_SECONDS)
    raise InputError("the server that runs come from was killed again and again: see the system's log")


def _telling(event: Event) -> tuple[bool, bool, bool]:
    """Sorts how the processes of a run ended: first what explains most."""
    unexplained = event.kind == "failed" and not event.said
    return event.kind != "busy", event.kind not in ("failed", "lost"), unexplained


def _work(
    plan: Plan,
    folder: Path,
    execution: Execution,
    place: dict[str, str],
    directory: str,
    heard: Sequence[signal.Signals],
    pipe: Connection,
) -> None:
    """Carry out one process of a run.

    Relative file names start from `directory`. The signals `heard` stop the run; its parent sends SIGTERM.
    """
    os.chdir(directory)
    os.environ.update(place)
    main = launch.rank(execution) == 0
    asked = threading.Event()
    for number in heard:
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
        if not of_disk(error, folder):
            raise
        say("failed", reason=f"{error.strerror or error}: {error.filename or folder}")


def _sleep_until_news(workers: Sequence[_Worker]) -> None:
    if workers:
        pipes = [member.pipe for worker in workers for member in worker.members if not member.ended]
        wait(pipes, timeout=_POLL_SECONDS)
    else:
        time.sleep(_POLL_SECONDS)


def _start_server() -> None:
    """Start the server that processes of runs come from, unless it is there.

    It ignores signals: schedulers send them to every process of a job, and it has to outlive the runs.
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
