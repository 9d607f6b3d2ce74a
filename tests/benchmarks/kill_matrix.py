"""Kills processes of two benchmarks that share a results folder, and compares with one that was let alone.

    python tests/benchmarks/kill_matrix.py                       200 kills
    python tests/benchmarks/kill_matrix.py --command --kills 20  of processes as a user starts them

Two benchmarks work on one matrix of tiny runs. At random moments SIGKILL ends a process of one of them: the
benchmark itself or a run. A benchmark that was killed, or that ended because one of its runs was killed
twice, is started again, as a user would. Where the matrix is finished before the last kill, another one
begins. At the end of each matrix every run stands in the leaderboard once, and what it left is bit for bit
what it leaves undisturbed.

Benchmarks and runs are forked from this process, which has all libraries loaded, so that they spend their
lives at work. With --command they are what `ssl-video bench` starts, and the server that runs come from is
killed, too.
"""

import argparse
import contextlib
import itertools
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
from kill_resume import differences, outcome, videos

from ssl_video.benchmarks.running import carry_out as _  # noqa: F401, loads what a benchmark needs
from ssl_video.benchmarks.running.executors import local
from ssl_video.cli import main as ssl_video
from ssl_video.runs.lock import is_locked

# What a user answers with the same command once more: it was killed, or runs of it were killed twice.
AGAIN = (-signal.SIGKILL, 1)
# What is killed, and how often compared with the others.
KINDS = {"bench": 1, "server": 1, "run": 6}


class Matrix:
    """A matrix of runs in a results folder.

    Args:
        folder: with the videos; results lie beside them.
        name: of the results folder.
        seeds: each makes six runs: three methods under two protocols.
        steps: of a run.
        command: whether benchmarks are commands, instead of forked from this process.
    """

    def __init__(self, folder: Path, name: str, seeds: int, steps: int, command: bool) -> None:
        self.results, self.command = folder / name, command
        self.log = (folder / f"{name}.log").open("ab")
        self.sessions = set[int]()
        self.arguments = [
            *("bench", "--data", str(folder / "videos"), "--algo", "supervised,pseudolabel,fixmatch"),
            *("--protocol", "per-class:1,per-class:2", "--seeds", str(seeds), "--steps", str(steps)),
            *("--frames", "2", "--stride", "2", "--size", "16", "--width", "0.25", "--test-clips", "1"),
            *("--labeled-batch", "4", "--unlabeled-batch", "4", "--threads", "1", "--jobs", "2"),
            *("--device", "cpu", "--results", str(self.results)),
        ]

    def start(self) -> "Bench":
        """Begin a benchmark."""
        bench = Bench(self)
        self.sessions.add(bench.number)
        return bench

    def processes(self) -> dict[str, list[int]]:
        """The numbers of its processes: "bench", "server" (of runs) and "run"."""
        kinds = {kind: list[int]() for kind in KINDS}
        for entry in Path("/proc").glob("[0-9]*"):
            number = int(entry.name)
            # Each may end while it is looked at.
            with contextlib.suppress(OSError):
                state, parent, _, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(session) not in self.sessions or state == "Z":
                    continue
                if number in self.sessions:
                    kinds["bench"].append(number)
                elif self.command and int(parent) in self.sessions:
                    kinds["server"].append(number)
                else:
                    kinds["run"].append(number)
        return kinds

    def end(self) -> None:
        """Kill whatever is left."""
        while left := [number for numbers in self.processes().values() for number in numbers]:
            for number in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)

    def outcomes(self) -> dict[str, object]:
        """What every run left, by its name."""
        return {folder.name: outcome(folder) for folder in sorted((self.results / "runs").iterdir())}


class Bench:
    """A benchmark in a session of its own, as from another terminal; `number` is that of its process."""

    def __init__(self, matrix: Matrix) -> None:
        self.status: int | None = None
        if matrix.command:
            command = [sys.executable, "-m", "ssl_video", *matrix.arguments]
            self.number = subprocess.Popen(
                command, stdout=matrix.log, stderr=matrix.log, start_new_session=True
            ).pid
            return
        self.number = os.fork()
        if self.number:
            with contextlib.suppress(ProcessLookupError):
                while os.getsid(self.number) != self.number:
                    time.sleep(0.001)
            return
        os.setsid()
        os.dup2(matrix.log.fileno(), 1)
        os.dup2(matrix.log.fileno(), 2)
        local._CONTEXT = multiprocessing.get_context("fork")
        status = 99
        try:
            ssl_video(matrix.arguments)
        except SystemExit as end:
            status = int(end.code or 0)
        finally:
            if status == 99:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def ended(self, block: bool = False) -> int | None:
        """Its status, as `subprocess` gives it, or None while it runs."""
        if self.status is None:
            number, status = os.waitpid(self.number, 0 if block else os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if number else None
        return self.status


def torment(matrix: Matrix, kills: int, pause: float, generator: np.random.Generator) -> Counter[str]:
    """Work on a matrix with two benchmarks until it is finished; what was killed.

    Args:
        matrix: what to work on.
        kills: at most so many.
        pause: mean seconds between two kills.
        generator: of the moments and the killed.
    """
    done, began = Counter[str](), time.monotonic()
    benches = [matrix.start(), matrix.start()]
    while any(bench.ended() is None for bench in benches):
        time.sleep(generator.uniform(0, 2 * pause))
        if sum(done[kind] for kind in KINDS) >= kills:
            break
        there = {kind: numbers for kind, numbers in matrix.processes().items() if numbers}
        if there:
            kind = str(generator.choice([kind for kind in there for _ in range(KINDS[kind])]))
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(generator.choice(there[kind])), signal.SIGKILL)
                done[kind] += 1
        for place, bench in enumerate(benches):
            if bench.ended() in AGAIN:
                done[f"started again after status {bench.status}"] += 1
                benches[place] = matrix.start()
    for bench in benches:
        while bench.ended(block=True) in AGAIN:
            bench = matrix.start()
        assert bench.status == 0, f"status {bench.status}: {Path(matrix.log.name).read_text()}"
    print(f"{dict(done)} in {time.monotonic() - began:.0f} s", flush=True)
    return done


def problems(matrix: Matrix, straight: Matrix) -> Iterator[str]:
    """What is wrong with a matrix that was disturbed."""
    expected, found = straight.outcomes(), matrix.outcomes()
    rows = pd.read_csv(matrix.results / "leaderboard.csv")["run"].tolist()
    if sorted(rows) != sorted(expected):
        yield f"{len(rows)} rows of {len(set(rows))} runs in the leaderboard, not {len(expected)}"
    if found.keys() != expected.keys():
        yield f"folders of other runs: {found.keys() ^ expected.keys()}"
    for name in found.keys() & expected.keys():
        yield from (f"{name}: {what}" for what in differences(found[name], expected[name]))
        if is_locked(matrix.results / "runs" / name) is not False:
            yield f"{name} is still locked"
    names = {path.name for path in matrix.results.iterdir()}
    if other := names ^ {path.name for path in straight.results.iterdir()}:
        yield f"files beside the runs: {other}"
    deadline = time.monotonic() + 20
    while any((left := matrix.processes()).values()) and time.monotonic() < deadline:
        time.sleep(0.2)  # a server ends after its benchmark
    if any(left.values()):
        yield f"processes that are left: {left}"


def main() -> int:
    """Print what was killed in each matrix and what was wrong; status 1 where anything was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=6, help="six runs each")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--command", action="store_true", help="start benchmarks as commands")
    parser.add_argument("--keep", type=Path, help="copy the logs of the benchmarks here")
    given = parser.parse_args()
    torch.set_num_threads(1)
    generator, total, bad = np.random.default_rng(given.seed), Counter[str](), 0
    with videos() as folder:
        shape, began = (given.seeds, given.steps, given.command), time.monotonic()
        straight = Matrix(folder, "straight", *shape)
        assert straight.start().ended(block=True) == 0, (folder / "straight.log").read_text()
        # A run is killed now and then, but not each time that it is tried.
        pause = (time.monotonic() - began) / (6 * given.seeds)
        print(f"{6 * given.seeds} runs; {pause:.1f} s between two kills", flush=True)
        for number in itertools.count(1):
            killed = sum(total[kind] for kind in KINDS)
            if killed >= given.kills:
                break
            matrix = Matrix(folder, f"results-{number}", *shape)
            try:
                total += torment(matrix, given.kills - killed, pause, generator)
                wrong = list(problems(matrix, straight))
            finally:
                matrix.end()
                if given.keep:
                    given.keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(matrix.log.name, given.keep)
            bad += len(wrong)
            print(f"matrix {number} of {6 * given.seeds} runs: {'; '.join(wrong) or 'identical'}", flush=True)
    print(f"in all {dict(total)}: {bad} problems")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
