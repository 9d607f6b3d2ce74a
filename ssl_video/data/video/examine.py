"""Probe many files in parallel, in processes that may crash or hang without affecting the others."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from ssl_video.data.video.container import DecodeError, stated_seconds
from ssl_video.data.video.probe import Facts, probe
from ssl_video.errors import InputError
from ssl_video.processes import end_with_parent, without_main
from ssl_video.signals import held_back, release

Probe = Callable[[str], Facts]
TOO_SLOW = "not decoded within"


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    row: int | None = None


def examine(
    paths: Iterable[tuple[int, str]], decoders: int, seconds: float, probe: Probe = probe
) -> Iterator[tuple[int, Facts]]:
    """Probe files, each for a limited time. A crash or a timeout is the file's reason.

    Args:
        paths: rows and file names.
        decoders: number of files probed at a time.
        seconds: time limit of one file, and of each minute of a longer one.
        probe: function that examines one file; it must be defined in a module.

    Yields:
        Rows with their facts, in the order of completion.

    Raises:
        InputError: the disk does not answer.
    """
    waiting = iter(paths)
    workers = [_start(probe, seconds) for _ in range(decoders)]
    try:
        for worker in workers:
            _give(worker, next(waiting, None))
        while busy := {worker.pipe: worker for worker in workers if worker.row is not None}:
            for pipe in connection.wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                row = worker.row
                assert row is not None
                try:
                    facts: Facts | InputError = worker.pipe.recv()
                except (EOFError, OSError):
                    facts = Facts(_death(worker.process, seconds))
                    workers.remove(worker)
                    worker = _start(probe, seconds)
                    workers.append(worker)
                if isinstance(facts, InputError):
                    raise facts
                _give(worker, next(waiting, None))
                yield row, facts
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()


def _start(probe: Probe, seconds: float) -> _Worker:
    # A fork would copy the locks of the caller's threads in any state.
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, probe, seconds), daemon=True)
    with held_back(), without_main():
        process.start()
    theirs.close()
    return _Worker(process, ours)


def _give(worker: _Worker, task: tuple[int, str] | None) -> None:
    """Send the next file to a worker, or mark it as idle."""
    worker.row = None
    if task:
        worker.row, path = task
        worker.pipe.send(path)


def _serve(pipe: Connection, probe: Probe, seconds: float) -> None:
    end_with_parent()
    # Ctrl-C reaches every process of the terminal; the parent decides how to react.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    release()
    # FFmpeg's messages about damaged files would disturb the progress display.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    while True:
        try:
            path = pipe.recv()
        except EOFError:
            return
        # The alarm ends the process even inside FFmpeg, and even when the parent no longer waits for it.
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            with contextlib.suppress(DecodeError):
                signal.setitimer(signal.ITIMER_REAL, seconds * max(stated_seconds(path) / 60, 1.0))
            found: Facts | InputError = probe(path)
        except InputError as error:
            found = error  # of the disk
        signal.setitimer(signal.ITIMER_REAL, 0)
        pipe.send(found)


def _death(process: BaseProcess, seconds: float) -> str:
    """Return the reason why a process ended while examining a file."""
    process.join()
    code = process.exitcode or 0
    if code == -signal.SIGALRM:
        return f"{TOO_SLOW} {seconds:g} seconds"
    name = signal.Signals(-code).name if code < 0 else f"exit status {code}"
    return f"the decoder crashed ({name})"
