"""Probe many files side by side, in processes that may crash or hang without harm to the others."""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from ssl_video.data.video.probe import Facts, probe
from ssl_video.signals import held_back, release

Probe = Callable[[str], Facts]
TOO_SLOW = "not decoded within"


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    row: int | None = None


def examine(
    paths: Iterable[tuple[int, str]], jobs: int, seconds: float, probe: Probe = probe
) -> Iterator[tuple[int, Facts]]:
    """Probe files, each for a limited time. A crash or a time-out is the file's reason.

    Args:
        paths: rows and file names.
        jobs: files at a time.
        seconds: time limit of one file.
        probe: what to do with a file, a function of a module.

    Yields:
        Rows with what was found, in the order in which files are done.
    """
    waiting = iter(paths)
    workers = [_start(probe, seconds) for _ in range(jobs)]
    try:
        for worker in workers:
            _give(worker, next(waiting, None))
        while busy := {worker.pipe: worker for worker in workers if worker.row is not None}:
            for pipe in connection.wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                row = worker.row
                assert row is not None
                try:
                    facts: Facts = worker.pipe.recv()
                except (EOFError, OSError):
                    facts = Facts(_death(worker.process, seconds))
                    workers.remove(worker)
                    worker = _start(probe, seconds)
                    workers.append(worker)
                _give(worker, next(waiting, None))
                yield row, facts
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.join()
            worker.pipe.close()


def too_slow(seconds: float) -> str:
    """The reason of a file that takes longer than this."""
    return f"{TOO_SLOW} {seconds:g} seconds"


def _start(probe: Probe, seconds: float) -> _Worker:
    # A fork would copy the threads' locks of whoever calls, in whatever state they are.
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, probe, seconds), daemon=True)
    with held_back():
        process.start()
    theirs.close()
    return _Worker(process, ours)


def _give(worker: _Worker, task: tuple[int, str] | None) -> None:
    """The next file for a worker, or its end."""
    worker.row = None
    if task:
        worker.row, path = task
        worker.pipe.send(path)


def _serve(pipe: Connection, probe: Probe, seconds: float) -> None:
    # Ctrl-C reaches every process of the terminal; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    release()
    # What FFmpeg says about damaged files would run through the progress.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    while True:
        try:
            path = pipe.recv()
        except EOFError:
            return
        # The alarm ends the process also inside FFmpeg, and when nobody waits for it any more.
        signal.setitimer(signal.ITIMER_REAL, seconds)
        facts = probe(path)
        signal.setitimer(signal.ITIMER_REAL, 0)
        pipe.send(facts)


def _death(process: BaseProcess, seconds: float) -> str:
    """Why a process ended that had a file to look at."""
    process.join()
    code = process.exitcode or 0
    if code == -signal.SIGALRM:
        return too_slow(seconds)
    name = signal.Signals(-code).name if code < 0 else f"exit status {code}"
    return f"the decoder crashed ({name})"
