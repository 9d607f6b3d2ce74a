"""Twenty ways in which a run ends: nothing is left, and the same command ends as if nothing had been.

The table in docs/training.md is this one.
"""

import contextlib
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers.command_line import TINY_STEP, call_process, start_python, wait_for
from helpers.leftovers import Leftovers, locked
from helpers.process_tree import kinds
from helpers.resumed import TIMES

from ssl_video.runs import weight_file
from ssl_video.runs.folder import METRICS, WEIGHTS, RunFolder, finished_folders

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]
STEPS = 40
# Waits in every step while there is a file "slow", and counts the steps; then does what the file "end" says.
PLUGIN = '''import os, pathlib, resource, sys, time
import torch
from ssl_video import algorithm
from ssl_video.algorithms.fixmatch import FixMatch

@algorithm("ending")
class Ending(FixMatch):
    """FixMatch that waits, and ends in a way."""

    def loss(self, batch, progress):
        if pathlib.Path("slow").exists():
            with open("calls", "a") as file:
                file.write(".")
            time.sleep(0.3)
            if progress > 0.2 and pathlib.Path("end").exists():
                exec(pathlib.Path("end").read_text())
        return super().loss(batch, progress)
'''
HUNGRY = "resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33)); torch.zeros(2**33)"


# A program whose files stay small.
LIMITED = """import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000))
os.execv(sys.executable, [sys.executable, "-m", "ssl_video", *sys.argv[1:]])
"""


class Way(NamedTuple):
    """A way in which a run ends.

    Attributes:
        end: ends it, from the command and what it has started; None: the plugin does.
        status: the status of the command; several are possible where a signal meets its end.
        code: done by the plugin in a step.
        rest: the beginning of names of temporary files that stay: a process that is killed cannot remove the
            folder of its sockets.
    """

    end: Callable[["subprocess.Popen[str]", Leftovers], object] | None
    status: tuple[int, ...]
    code: str = ""
    rest: str = ""


def signals(
    *numbers: signal.Signals, group: bool = True
) -> Callable[["subprocess.Popen[str]", Leftovers], None]:
    """Return a function that sends signals to the command, or to all of its session as a terminal does."""

    def send(process: "subprocess.Popen[str]", _: Leftovers) -> None:
        for number in numbers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number) if group else process.send_signal(number)
            time.sleep(0.3)

    return send


def kill(kind: str) -> Callable[["subprocess.Popen[str]", Leftovers], None]:
    """Return a function that kills the run, a loading process of it, or one of the servers of processes."""

    def end(process: "subprocess.Popen[str]", left: Leftovers) -> None:
        wait_for(lambda: len(kinds(process.pid, left).get("loader", ())) >= 2, process)
        os.kill(kinds(process.pid, left)[kind][0], signal.SIGKILL)

    return end


WAYS = {
    "Ctrl-C": Way(signals(signal.SIGINT), (130,)),
    "Ctrl-C twice": Way(signals(signal.SIGINT, signal.SIGINT), (130,)),
    "SIGTERM to the command": Way(signals(signal.SIGTERM, group=False), (75,)),
    "SIGTERM to all": Way(signals(signal.SIGTERM), (75,)),
    "SIGUSR1, then SIGTERM": Way(signals(signal.SIGUSR1, signal.SIGTERM), (75,)),
    "SIGHUP": Way(signals(signal.SIGHUP), (75,)),
    "SIGQUIT": Way(signals(signal.SIGQUIT), (-signal.SIGQUIT,), rest="pymp-"),
    "SIGKILL of the command": Way(signals(signal.SIGKILL, group=False), (-signal.SIGKILL,), rest="pymp-"),
    "SIGKILL of the run": Way(kill("run"), (0,)),
    "SIGKILL of a loading process": Way(kill("loader"), (0,)),
    "SIGKILL of the server of runs": Way(kill("server of runs"), (0,)),
    "SIGKILL of the server of loading processes": Way(kill("server of loaders"), (0,)),
    "SIGKILL of all": Way(signals(signal.SIGKILL), (-signal.SIGKILL,), rest="pymp-"),
    "a method that raises": Way(None, (1,), "raise ValueError('planted')"),
    "a method that calls sys.exit": Way(None, (1,), "sys.exit(0)"),
    "a method that calls os._exit": Way(None, (1,), "os._exit(0)"),
    "a method that hangs, and Ctrl-C twice": Way(
        signals(signal.SIGINT, signal.SIGINT), (130,), "open('calls', 'a').write('.' * 999); time.sleep(9999)"
    ),
    "memory beyond a limit": Way(None, (1,), HUNGRY),
}


@pytest.fixture
def left() -> Iterator[Leftovers]:
    found = Leftovers()
    yield found
    found.end()


def arguments(dataset: Path, *more: str) -> list[object]:
    return [
        *("train", "--data", dataset, "--algo", "ending.py:ending", "--protocol", "per-class:2"),
        *("--steps", STEPS, *TINY_STEP, "--test-clips", "1", "--workers", "2", "--threads", "1", *more),
    ]


def outcome(folder: Path) -> tuple[object, ...]:
    """Return what a run has found, without times."""
    run = RunFolder(folder)
    weights = weight_file.load(folder / WEIGHTS)["algorithm"]
    return (
        run.result.model_dump(exclude=TIMES),
        (folder / METRICS).read_bytes(),
        {name: tensor.numpy().tobytes() for name, tensor in weights.items()},
        sorted(path.name for path in folder.iterdir()),
    )


def finished(folder: Path) -> Path:
    (run,) = finished_folders(folder / "ssl-video-results")
    return run.path


@pytest.fixture(scope="module")
def straight(
    dataset: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[object, ...]:
    """What the run finds undisturbed."""
    folder = tmp_path_factory.mktemp("straight")
    (folder / "ending.py").write_text(PLUGIN)
    done = call_process(environment, *arguments(dataset), cwd=folder)
    assert done.returncode == 0, done.stderr
    return outcome(finished(folder))


def steps(folder: Path) -> int:
    file = folder / "calls"
    return file.stat().st_size if file.exists() else 0


def settle(
    folder: Path,
    dataset: Path,
    environment: dict[str, str],
    left: Leftovers,
    straight: tuple[object, ...],
    rest: str = "",
) -> None:
    """Check that nothing is left but `rest`, and that the same command ends as an undisturbed one."""
    found = [what for what in left.left() if not (rest and what.startswith(f"file {rest}"))]
    assert found == []
    assert locked(folder / "ssl-video-results") == []
    for name in ("slow", "end"):
        (folder / name).unlink(missing_ok=True)
    before = left.left()
    done = call_process(environment | left.environment, *arguments(dataset), cwd=folder)
    assert done.returncode == 0, done.stderr
    assert outcome(finished(folder)) == straight
    assert left.left() == before


@pytest.mark.parametrize("name", WAYS)
def test_nothing_is_left_and_the_run_goes_on(
    name: str,
    dataset: Path,
    environment: dict[str, str],
    left: Leftovers,
    straight: tuple[object, ...],
    tmp_path: Path,
) -> None:
    way, folder = WAYS[name], tmp_path / "work"
    folder.mkdir()
    (folder / "ending.py").write_text(PLUGIN)
    (folder / "slow").touch()
    if way.code:
        (folder / "end").write_text(way.code)
    command = ["-m", "ssl_video", *arguments(dataset)]
    process = start_python(environment | left.environment, *command, cwd=folder)
    try:
        if way.end:
            wait_for(lambda: steps(folder) > (900 if way.code else 4), process)
            left.processes()
            way.end(process, left)
        _, stderr = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode in way.status, stderr
    assert "Traceback" not in stderr
    settle(folder, dataset, environment, left, straight, way.rest)


def test_a_closed_terminal(
    dataset: Path, environment: dict[str, str], left: Leftovers, straight: tuple[object, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "ending.py").write_text(PLUGIN)
    (folder / "slow").touch()
    number, terminal = pty.fork()
    if not number:
        os.chdir(folder)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        command = [sys.executable, "-m", "ssl_video", *map(str, arguments(dataset))]
        os.execve(sys.executable, command, environment | left.environment)
    wait_for(lambda: steps(folder) > 4)
    left.processes()
    os.close(terminal)
    _, status = os.waitpid(number, 0)
    assert os.waitstatus_to_exitcode(status) == 75
    settle(folder, dataset, environment, left, straight)


def test_a_file_that_cannot_grow(
    dataset: Path, environment: dict[str, str], left: Leftovers, straight: tuple[object, ...], tmp_path: Path
) -> None:
    """As on a full disk: a checkpoint finds no room."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "ending.py").write_text(PLUGIN)
    process = start_python(
        environment | left.environment, "-c", LIMITED, *arguments(dataset, "--workers", "0"), cwd=folder
    )
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1, stderr
    assert "File too large" in " ".join(stderr.split())
    settle(folder, dataset, environment, left, straight)


def test_a_full_shared_memory(
    dataset: Path, environment: dict[str, str], left: Leftovers, straight: tuple[object, ...], tmp_path: Path
) -> None:
    inside = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=4096k tmpfs /dev/shm && exec "$@"', "sh"]
    if shutil.which("unshare") is None or subprocess.run([*inside, "true"], check=False).returncode:
        pytest.skip("a /dev/shm of its own needs rights that this user does not have")
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "ending.py").write_text(PLUGIN)
    (folder / "slow").touch()
    (folder / "end").write_text("open('/dev/shm/other', 'wb', 0).write(bytes(2**23))")
    done = subprocess.run(
        [*inside, sys.executable, "-m", "ssl_video", *map(str, arguments(dataset))],
        cwd=folder, env=environment | left.environment, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    settle(folder, dataset, environment, left, straight)
