"""Call the command line: in this process, as most tests do, or as a process of its own.

Starting `ssl-video` imports torch, which takes seconds; a call in this process takes none.
"""

import contextlib
import io
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol
from unittest.mock import patch

from helpers.registries import unchanged_registries

from ssl_video.cli import main
from ssl_video.signals import PREEMPTION

# Small enough that a run takes a second.
TINY_STEP = [
    *("--frames", "4", "--stride", "2", "--size", "16", "--width", "0.5"),
    *("--labeled-batch", "4", "--unlabeled-batch", "4"),
]
TINY = ["--steps", "6", *TINY_STEP, "--test-clips", "1"]


# The command, with checkpoints every tenth of a second in place of every minute, so that kills meet them.
OFTEN = """from ssl_video.training.execution import Execution
before = Execution.__init__
def often(self, *given, **named):
    before(self, *given, **{"checkpoint_seconds": 0.1, **named})
Execution.__init__ = often
from ssl_video.cli import main
main()
"""


class Done(NamedTuple):
    """The exit status of a call and its output."""

    returncode: int
    stdout: str
    stderr: str


class Call(Protocol):
    """Run `ssl-video ARGUMENTS` in a folder."""

    def __call__(self, *arguments: object, cwd: Path) -> Done: ...


def call_here(environment: Mapping[str, str], *arguments: object, cwd: Path) -> Done:
    """Run `ssl-video ARGUMENTS` in this process; runs that it starts have processes of their own."""
    stdout, stderr, status = io.StringIO(), io.StringIO(), 0
    output = contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr)
    with _as_a_process(environment, cwd), output[0], output[1]:
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as leaving:
            status = leaving.code if isinstance(leaving.code, int) else 1
    assert "Traceback" not in stderr.getvalue(), stderr.getvalue()
    return Done(status, stdout.getvalue(), stderr.getvalue())


def call_process(environment: Mapping[str, str], *arguments: object, cwd: Path) -> Done:
    """Run `ssl-video ARGUMENTS` as a user does, in a process of its own."""
    process = start(environment, *arguments, cwd=cwd)
    stdout, stderr = process.communicate()
    assert "Traceback" not in stderr, stderr
    return Done(process.returncode, stdout, stderr)


def start(environment: Mapping[str, str], *arguments: object, cwd: Path) -> "subprocess.Popen[str]":
    """Start `ssl-video ARGUMENTS`, see `start_python`."""
    return start_python(environment, "-m", "ssl_video", *arguments, cwd=cwd)


def start_python(
    environment: Mapping[str, str], *arguments: object, cwd: Path, ignoring: tuple[signal.Signals, ...] = ()
) -> "subprocess.Popen[str]":
    """Start `python ARGUMENTS` in a session of its own, as a terminal does: Ctrl-C reaches it.

    Tests may have been started with signals ignored (`nohup`, `pytest &` in a script, many CI systems), and
    a process inherits that. All signals that stop a program get their default here, but those `ignoring`.
    """

    def reset() -> None:
        for number in (signal.SIGINT, signal.SIGQUIT, *PREEMPTION):
            signal.signal(number, signal.SIG_IGN if number in ignoring else signal.SIG_DFL)

    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=reset,
    )


def wait_for(condition: Callable[[], object], process: "subprocess.Popen[str] | None" = None) -> None:
    """Wait until a condition holds; fail if a process ends before, or when the test's time is over."""
    while not condition():
        assert process is None or process.poll() is None, process.communicate() if process else ""
        time.sleep(0.05)


def results(folder: Path) -> list[Path]:
    """Return the records of all finished runs of the results folder in `folder`."""
    return sorted((folder / "ssl-video-results" / "runs").glob("*/result.json"))


@contextlib.contextmanager
def _as_a_process(environment: Mapping[str, str], folder: Path) -> Iterator[None]:
    """Give a call the surroundings of a process, and take back what it changes of this one."""
    before = {number: signal.getsignal(number) for number in PREEMPTION}
    try:
        with (
            patch.dict(os.environ, environment, clear=True),
            patch("sys.stdin", io.StringIO()),
            warnings.catch_warnings(),
            _chdir(folder),
            unchanged_registries(),
        ):
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _chdir(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
