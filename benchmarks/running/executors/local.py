"""Runs in separate processes of this machine, so that a crash of one leaves the others alone."""

import contextlib
import logging
import multiprocessing
import os
import re
import signal
import sys
import sysconfig
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import cloudpickle
import torch
from filelock import Timeout

from ssl_video.benchmarks.running.executors import Event, folder
from ssl_video.data.paths import CACHE
from ssl_video.data.shared_memory import LoaderLost
from ssl_video.errors import InputError
from ssl_video.networks.plugins import entry, named
from ssl_video.processes import end_with_parent, without_main
from ssl_video.registry import algorithms, backbones
from ssl_video.runs.folder import LOG, RunFolder
from ssl_video.runs.lock import lock_folder
from ssl_video.runs.result import Result
from ssl_video.signals import STOPPING, stopping
from ssl_video.training import launch
from ssl_video.training.distributed import ProcessLost
from ssl_video.training.resource_errors import of_disk
from ssl_video.training.run import Execution, Plan, Stopped, run

_POLL_SECONDS = 0.5
_GRACE_SECONDS = 30.0
_LAST_SECONDS = 3.0
# For the last step and a checkpoint of a run whose parent has died.
_ORPHAN_SECONDS = 1.5
# The exit code that multiprocessing reports for a process whose server is gone.
_SERVER_LOST = 255
_TRIES = 5
# A socket's name has at most 107 bytes; multiprocessing adds a folder and a file, of 32 together.
_LONGEST_FOLDER = 75
_FRAME = re.compile(r'  File "(.+)", line (\d+)')
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
# The forkserver keeps the environment that it began with. These variables are also set later: by the
# assignment of GPUs to runs, and by an order from another machine.
_CHANGING = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", CACHE)
# Experiment trackers are set up by variables, in a notebook perhaps after the first run.
_TRACKERS = ("WANDB_", "MLFLOW_")
_POLICY = "OMP_WAIT_POLICY"
_REGISTRIES = (algorithms, backbones)
# The first optimizer imports torch._dynamo, which would cost every process over a second.
_LOADED = ("ssl_video.training.run", "torch._dynamo", "lightning_fabric")
# Backbones that are named like their libraries, which take most of a second.
_SLOW = ("timm", "transformers")


class Local:
    """An `Executor` of `jobs` concurrent runs, each in a process of its own, or in one per device.

    Args:
        execution: execution settings; with several GPUs, runs use them in turn.
    """

    def __init__(self, execution: Execution) -> None:
        self.execution, self.jobs = execution, execution.jobs or 1
        self._workers, self._begun = list[_Worker](), list[Event]()
        self._devices, self._served = deque(_devices(execution, self.jobs)), False

    def describe(self) -> str:
        """Return jobs, device, processes and threads, as the end of a sentence."""
        threads = f"{self.execution.threads or 1} thread{'s' if (self.execution.threads or 1) > 1 else ''}"
        if self.execution.processes > 1:
            threads = f"{self.execution.processes} processes with {threads}"
        return f"{self.jobs} at a time on {self.execution.device}, {threads} each"

    def submit(self, plans: Sequence[Plan]) -> None:
        """Start runs, at most `jobs` including those under way."""
        if not self._served:
            _start_server(_libraries(plans))
            self._served = True
        for plan in plans:
            own = replace(self.execution, device=self._devices.popleft())
            self._workers.append(_Worker(plan, folder(self.execution.results, plan), own))
            self._begun.append(Event("started", plan))

    def news(self) -> list[Event]:
        """Return new events, waiting at most half a second for one."""
        events, self._begun = self._begun, []
        if not events:
            _sleep_until_news(self._workers)
        for worker in list(self._workers):
            events += [self._alone(event) for event in worker.news()]
            if worker.ended:
                self._workers.remove(worker)
                self._devices.append(worker.execution.device)
        return events

    def _alone(self, event: Event) -> Event:
        """Return a lost process as a failure if torchrun or srun started it, which also restarts all."""
        if event.kind == "lost" and self.execution.launcher != "self":
            return replace(event, kind="failed", reason=f"{event.reason}; the same command resumes the run")
        return event

    def stop(self) -> None:
        """Let every run finish its step and write a checkpoint; kill those that take too long."""
        deadline = time.monotonic() + _GRACE_SECONDS
        processes = [member.process for worker in self._workers for member in worker.members]
        try:
            while any(process.is_alive() for process in processes) and time.monotonic() < deadline:
                # Repeated, because a new process may not have installed its signal handlers yet.
                for process in processes:
                    process.terminate()
                wait([process.sentinel for process in processes if process.is_alive()], _POLL_SECONDS)
        finally:
            # Also after a second Ctrl-C, when the last checkpoints are valid.
            for process in processes:
                process.kill()
                process.join()


def _devices(execution: Execution, jobs: int) -> list[str]:
    """Return the device of each job; several GPUs are assigned in turn."""
    count = torch.cuda.device_count() if execution.device == "cuda" and execution.processes == 1 else 0
    return [f"cuda:{job % count}" if count > 1 else execution.device for job in range(jobs)]


class _Worker:
    """A run in its own processes, one per device; `ended` is its last event, once it has ended."""

    def __init__(self, plan: Plan, folder: Path, execution: Execution) -> None:
        self.plan, self.execution = plan, execution
        self.ended: Event | None = None
        self.members = [_Member(plan, folder, execution, place) for place in launch.places(execution)]

    def news(self) -> list[Event]:
        """Return the run's new events."""
        events = [event for member in self.members for event in member.news()]
        if any(event.kind in ("failed", "lost", "busy") for event in events):
            self._end_the_others()
        ends = [member.ended for member in self.members if member.ended]
        if len(ends) == len(self.members) and not self.ended:
            # The report of one process explains the failures of the others, which lost it.
            self.ended = min(ends, key=_telling)
            events = [event for event in events if not event.is_end] + [self.ended]
        return [event for event in events if not event.is_end or event is self.ended]

    def _end_the_others(self) -> None:
        """End the other processes of a run that lost one, after waiting for their last reports."""
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
        place = {name: value for name, value in os.environ.items() if _changes(name)} | place
        own = _session_code(plan)
        self.process = _started((plan, folder, execution, place, os.getcwd(), stopping(), theirs, own))
        theirs.close()

    def news(self) -> list[Event]:
        """Return the process's new events."""
        events: list[Event] = []
        if self.ended:
            return events
        try:
            while self.pipe.poll():
                kind, content = self.pipe.recv()
                events.append(Event(kind, self.plan, **content))
        except (EOFError, OSError):
            # The other end is closed: the process sent its last event, or was killed before or while it did.
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
        # A process that a signal ended is assumed to have no fault of its own.
        kind, how = "failed", f"ended with status {code}"
        if code < 0:
            kind, how = "lost", f"killed by {signal.Signals(-code).name}"
        elif code == _SERVER_LOST:
            kind, how = "lost", "killed, together with the server that starts the processes of runs"
        # A process that SIGKILL ends has no last words.
        if code not in (-signal.SIGKILL, _SERVER_LOST):
            how += _end_of(RunFolder(self.folder).log.splitlines())
        return Event(kind, self.plan, reason=f"{how} (see {self.folder / LOG})", reported=False)


def _changes(name: str) -> bool:
    return name in _CHANGING or name.startswith(_TRACKERS)


def _end_of(log: Sequence[str]) -> str:
    """Return the last line of a log; after a traceback, with the last place outside libraries."""
    beginnings = [number for number, line in enumerate(log) if line.startswith("Traceback (most recent")]
    places = [match for line in log[beginnings[-1] :] if (match := _FRAME.match(line))] if beginnings else []
    own = [place for place in places if not place[1].startswith(_LIBRARIES)]
    where = f" ({own[-1][1]}, line {own[-1][2]})" if own else ""
    return f": {log[-1]}{where}" if log else ""


def _started(arguments: tuple[Any, ...]) -> Any:
    """Start a process that runs `_work`."""
    for _ in range(_TRIES):
        process = _CONTEXT.Process(target=_work, args=arguments)
        # multiprocessing restarts a server that is gone, but not one that is just ending. If the last process
        # of such a server is alive, it holds the run, and this one finds the run busy.
        with contextlib.suppress(EOFError, ConnectionError), without_main():
            process.start()
            return process
        time.sleep(_POLL_SECONDS)
    raise InputError(
        "the server that starts the processes of runs was killed repeatedly: see the system's log"
    )


def _session_code(plan: Plan) -> bytes:
    """Return the classes and functions of this Python session that a run needs, by value."""
    names = [name for _, name in named(plan.spec)]
    return cloudpickle.dumps([registry.of_session(names) for registry in _REGISTRIES])


def _telling(event: Event) -> tuple[bool, bool, bool]:
    """Return a sort key for the ends of a run's processes: the one that explains most comes first."""
    unexplained = event.kind == "failed" and not event.reported
    return event.kind != "busy", event.kind not in ("failed", "lost"), unexplained


def _work(
    plan: Plan,
    folder: Path,
    execution: Execution,
    place: dict[str, str],
    directory: str,
    heard: Sequence[signal.Signals],
    pipe: Connection,
    own: bytes,
) -> None:
    """Carry out one process of a run.

    Relative file names start from `directory`. The signals in `heard` stop the run; its parent sends SIGTERM.
    """
    asked, orphaned = threading.Event(), threading.Event()

    def last() -> None:
        orphaned.set()
        asked.set()

    end_with_parent(last, _ORPHAN_SECONDS)
    # The run's own server starts loading processes. Whatever it imports delays its start and its end.
    _CONTEXT.set_forkserver_preload(["ssl_video.data.loader"])
    os.chdir(directory)
    os.environ.update(place)
    for number in heard:
        signal.signal(number, lambda *_: asked.set())

    def say(kind: str, **content: Any) -> None:
        # The reader is gone: finish the step, write a checkpoint and end.
        try:
            pipe.send((kind, content))
        except OSError:
            asked.set()

    try:
        for registry, entries in zip(_REGISTRIES, cloudpickle.loads(own), strict=True):
            registry.receive(entries)
        say("finished", result=_logged_run(plan, folder, execution, asked.is_set, say))
    except Timeout:
        say("busy")
    except Stopped:
        if orphaned.is_set():  # the reader may be alive, and only the server be gone
            say("lost", reason="stopped, as the server that starts the processes of runs was killed")
        else:
            say("stopped")
    except LoaderLost as error:
        say("lost", reason=f"interrupted: {error}")
    except ProcessLost as error:
        say("failed", reason=str(error), reported=False)
    except InputError as error:
        say("failed", reason=str(error))
    except OSError as error:
        if not of_disk(error, folder):
            raise
        say("failed", reason=f"{error.strerror or error}: {error.filename or folder}")


def _logged_run(
    plan: Plan,
    folder: Path,
    execution: Execution,
    asked: Callable[[], bool],
    say: Callable[..., None],
) -> Result:
    """Carry out a run under its folder's lock, with this process's output in its log."""
    main = launch.rank(execution) == 0

    def warn(text: str) -> None:
        print(text, flush=True)
        say("warned", reason=text)

    folder.mkdir(parents=True, exist_ok=True)
    # The first process locks the run for all.
    with lock_folder(folder) if main else contextlib.nullcontext():
        with (folder / LOG).open("a", encoding="utf-8") as log:
            # The run's log also gets the output of libraries and the traceback of a crash.
            os.dup2(log.fileno(), sys.stdout.fileno())
            os.dup2(log.fileno(), sys.stderr.fileno())
        _log_notes()
        return run(
            plan,
            folder,
            execution,
            report=lambda report: say("moved", report=report) if main else None,
            stopping=asked,
            warn=warn,
        )


def _log_notes() -> None:
    """Write the project's own notes to this process's output, such as the tensors of initial weights."""
    notes = logging.getLogger("ssl_video")
    notes.setLevel(logging.INFO)
    notes.addHandler(logging.StreamHandler())
    notes.propagate = False


def _sleep_until_news(workers: Sequence[_Worker]) -> None:
    if workers:
        pipes = [member.pipe for worker in workers for member in worker.members if not member.ended]
        wait(pipes, timeout=_POLL_SECONDS)
    else:
        time.sleep(_POLL_SECONDS)


def _libraries(plans: Sequence[Plan]) -> list[str]:
    """Return the libraries of the runs' backbones whose import takes long."""
    networks = [network for plan in plans for network in plan.spec.networks.values()]
    return [name for name in dict.fromkeys(entry(str(n.backbone)) for n in networks) if name in _SLOW]


def _start_server(libraries: Sequence[str]) -> None:
    """Start the forkserver of the runs' processes with libraries loaded, unless it is running.

    It ignores signals: schedulers send them to every process of a job, and it has to outlive the runs.

    Raises:
        InputError: the name of the folder of temporary files is too long for a socket.
    """
    if _CONTEXT.get_start_method() != "forkserver":
        return
    # The folder of sockets is made once for a process: a later TMPDIR is of no effect.
    made = multiprocessing.current_process()._config.get("tempdir")  # type: ignore[attr-defined]
    folder = os.path.dirname(made) if made else tempfile.gettempdir()
    if len(os.fsencode(folder)) > _LONGEST_FOLDER:
        raise InputError(
            f"the folder of temporary files, {folder}, has too long a name for the sockets of processes: set "
            f"TMPDIR to one with at most {_LONGEST_FOLDER} characters, such as /tmp"
        )
    _CONTEXT.set_forkserver_preload([*_LOADED, *libraries])
    # Handlers can be set only in the main thread.
    numbers = STOPPING if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    # Busy-waiting threads take cores from other runs. OpenMP reads this variable when torch is loaded.
    policy = os.environ.get(_POLICY)
    os.environ.setdefault(_POLICY, "PASSIVE")
    try:
        with without_main():
            forkserver.ensure_running()
    finally:
        if policy is None:
            del os.environ[_POLICY]
        for number, handler in before.items():
            signal.signal(number, handler)


def _context() -> Any:
    """Return the way to start processes: on Linux a forkserver with torch loaded, so that they start fast."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    return multiprocessing.get_context("forkserver")


_CONTEXT = _context()
