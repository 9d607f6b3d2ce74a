"""Kill the processes of `ssl-video train --workers 2` at random moments, and resume.

SSL_VIDEO_KILLS is the number of kills, 5 where it is not set; `-s` shows their table.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.command_line import OFTEN, TINY_STEP, start_python
from helpers.leftovers import Leftovers, locked
from helpers.process_tree import kinds
from helpers.resumed import TIMES

from ssl_video.runs.folder import METRICS, PSEUDO_LABELS, WEIGHTS, RunFolder, finished_folders

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.timeout(0),
]
KILLS = int(os.environ.get("SSL_VIDEO_KILLS", "5"))
STEPS = 120
# By what is killed: the status of the command; after a second kill of what it resumes, also 1.
STATUS = {"command": -signal.SIGKILL, "all": -signal.SIGKILL}
# A process that is killed cannot remove Python's folder of sockets.
DOCUMENTED = "file pymp-"


class Run:
    """A run in a folder, by the command of a user.

    Attributes:
        kills: by what was killed and when.
        whole: seconds of the command, where it is not disturbed.
        size: size of its records in the end, in bytes.
    """

    def __init__(
        self, folder: Path, dataset: Path, environment: dict[str, str], draws: np.random.Generator
    ) -> None:
        self.folder, self.draws, self.left = folder, draws, Leftovers()
        self.environment = environment | self.left.environment
        self.arguments = [
            *("train", "--data", dataset, "--algo", "fixmatch", "--protocol", "per-class:2"),
            *("--steps", STEPS, *TINY_STEP, "--test-clips", "1", "--workers", "2", "--threads", "1"),
        ]
        self.kills, self.whole, self.size = Counter[tuple[str, str]](), 0.0, 0
        self.statuses = Counter[tuple[str, int]]()
        folder.mkdir()

    @property
    def results(self) -> Path:
        return self.folder / "ssl-video-results"

    def start(self) -> "subprocess.Popen[str]":
        return start_python(self.environment, "-c", OFTEN, *self.arguments, cwd=self.folder)

    def lines(self) -> int:
        """Return the size of the records, which tells whether steps are carried out."""
        return sum(path.stat().st_size for path in self.results.glob(f"runs/*/{METRICS}"))

    def phase(self, began: int) -> str:
        """Return what the run does; `began` are its records when the command began."""
        if any(self.results.glob("runs/*/result.json")):
            return "ending"
        if any(self.results.glob(f"runs/*/{WEIGHTS}")):
            return "writing the result"
        return "starting" if self.lines() == began else "training"

    def life(self) -> None:
        """Start or resume the run, and kill once or twice."""
        process, began, killed = self.start(), self.lines(), list[str]()
        twice = self.draws.random() < 0.3
        try:
            for _ in range(2 if twice else 1):
                self._await(process, began)
                if process.poll() is None:
                    killed += self._kill(process, began)
                if process.poll() is not None:
                    break
            _, stderr = process.communicate(timeout=300)
        finally:
            process.kill()
        assert "Traceback" not in stderr, (killed, stderr)
        expected = {STATUS.get(kind, 0) for kind in killed} or {0}
        if len(killed) > 1:
            expected |= {0, 1}  # a run is resumed once
        if process.returncode not in expected:
            pytest.fail(f"{killed}: status {process.returncode}\n{stderr}")
        self.statuses[" and ".join(killed), process.returncode] += 1
        self.check(killed)
        print(f"{self.kills.total():4} {' and '.join(killed)}: {process.returncode}", flush=True)

    def _await(self, process: "subprocess.Popen[str]", began: int) -> None:
        """Wait for a random moment: any while the run starts, or after a random step."""
        steps = self.draws.random() < 0.7
        target = self.draws.uniform(self.lines(), self.size) if steps else 0
        while self.lines() < target and process.poll() is None:
            time.sleep(0.01)
        until = time.monotonic() + self.draws.uniform(0, 0.5 if steps else self.whole)
        # Not by the clock alone: the machine may be faster than it was.
        while process.poll() is None and time.monotonic() < until and (steps or self.lines() <= began):
            time.sleep(0.01)

    def _kill(self, process: "subprocess.Popen[str]", began: int) -> list[str]:
        """Kill a process of the command, or all; return what."""
        found, phase = kinds(process.pid, self.left), self.phase(began)
        kind = str(self.draws.choice(["all", *found]))
        try:
            if kind == "all":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                os.kill(int(self.draws.choice(found[kind])), signal.SIGKILL)
        except ProcessLookupError:
            return []  # it has just ended
        self.kills[kind, phase] += 1
        return [kind]

    def check(self, killed: list[str]) -> None:
        """Check that nothing is left, after what was killed."""
        found = self.left.left()
        documented = [what for what in found if what.startswith(DOCUMENTED)]
        assert found == documented, (killed, found)
        assert not documented or {"command", "all", "server of runs", "run"} & set(killed), (killed, found)
        for path in self.left.temporary.glob("pymp-*"):
            assert all(inside.is_socket() for inside in path.iterdir()), killed
            shutil.rmtree(path)
        assert not (self.results / "runs").exists() or locked(self.results) == []

    def finish(self) -> None:
        """Let the run end."""
        process = self.start()
        _, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr
        self.check([])

    def outcome(self) -> dict[str, object]:
        """Return what the run has left, without times, and begin anew."""
        (finished,) = finished_folders(self.results)
        files = {name: (finished.path / name).read_bytes() for name in (WEIGHTS, METRICS, PSEUDO_LABELS)}
        found = {
            **files,
            "result": RunFolder(finished.path).result.model_dump(exclude=TIMES),
            "files": sorted(path.name for path in finished.path.iterdir()),
            "beside": sorted(path.name for path in self.results.iterdir()),
        }
        shutil.rmtree(self.results)
        return found


@pytest.fixture
def run(dataset: Path, environment: dict[str, str], tmp_path: Path) -> Iterator[Run]:
    seed = int(os.environ.get("SSL_VIDEO_KILLS_SEED", "0"))
    made = Run(tmp_path / "work", dataset, environment, np.random.default_rng(seed))
    yield made
    made.left.end()


def test_a_run_with_loading_processes_is_killed(run: Run) -> None:
    began = time.monotonic()
    run.finish()
    run.whole = time.monotonic() - began
    run.size = run.lines()
    straight, runs = run.outcome(), 0
    while run.kills.total() < KILLS:
        run.life()
        if any(finished_folders(run.results)) or run.kills.total() >= KILLS:
            run.finish()
            assert run.outcome() == straight
            runs += 1
    for (kind, phase), count in sorted(run.kills.items()):
        print(f"{kind:20} {phase:20} {count:4}")
    print(f"{run.kills.total()} kills, {runs} runs, all identical; statuses: {dict(run.statuses)}")
