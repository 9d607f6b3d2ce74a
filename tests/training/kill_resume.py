"""Kills runs by SIGKILL at random moments and compares what they leave with a run that was let alone.

    python tests/training/kill_resume.py                 30 kills of every algorithm
    python tests/training/kill_resume.py --devices 2     the same with two processes a run
    python tests/training/kill_resume.py --workers 2     with loading processes: every other kill is of one
    python tests/training/kill_resume.py --kills 5 --algorithm cmpl

Each life of a run goes on from the last one's checkpoint, writes a checkpoint after every step, and is
killed after a random time; every other one then lives on until it writes a checkpoint, and is killed
within it. The whole run takes several times as long, so the moments spread over all that a run does: making
its folder, resuming, steps, the writing of checkpoints and records, the test, the weights and the result.
Where the moment was is read from the process itself and counted. No process and no shared memory may be left.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import lightning_fabric  # noqa: F401, or every process would spend its life importing it
import numpy as np
import torch
import torch._dynamo

from ssl_video.data.dataset import load
from ssl_video.registry import algorithms
from ssl_video.runs import checkpoint, pseudo_labels, weight_file
from ssl_video.runs.folder import METRICS, RunFolder
from ssl_video.spec import build
from ssl_video.training import launch
from ssl_video.training import run as running
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan, plan, run

# What a result says about the clock and the machine.
TIMES = {"seconds", "train_seconds", "data_wait", "test_seconds", "finished", "environment", "frame_cache"}
PLACES = ("starting", "resuming", "step", "saving", "testing", "exporting", "ended")


def outcome(folder: Path) -> dict[str, Any]:
    """All that a finished run leaves, but times: result, metrics, weights, names of files."""
    result = RunFolder(folder).finished()
    assert result is not None
    state = weight_file.load(folder / checkpoint.FINAL)
    return {
        "result": result.model_dump(exclude=TIMES),
        "metrics": (folder / METRICS).read_bytes(),
        "pseudo": {path.name: path.read_bytes() for path in folder.glob(pseudo_labels.PSEUDO_LABELS)},
        "weights": {part: state[part] for part in ("algorithm", "ema") if part in state},
        "files": sorted(path.name for path in folder.iterdir()),
    }


def differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """In what two runs differ, bit for bit."""
    different = [key for key in ("result", "metrics", "pseudo") if found[key] != expected[key]]
    different += sorted(set(found["files"]) ^ set(expected["files"]))
    for part, weights in expected["weights"].items():
        others = found["weights"].get(part, {})
        same = others.keys() == weights.keys()
        if not same or not all(torch.equal(others[name], weight) for name, weight in weights.items()):
            different.append(f"weights of {part}")
    return different


def kill_and_resume(made: Plan, folder: Path, execution: Execution, kills: int, seed: int) -> Counter[str]:
    """Carry out a run in processes that are killed, and at last one that is not; where each was killed.

    `straight(folder)` is that of a run that is let alone.
    """
    generator, where = np.random.default_rng(seed), Counter[str]()
    longest = _duration(made, straight(folder), execution) / 8
    lives = 0
    while sum(where.values()) < kills and lives < 20 * kills:
        lives += 1
        delay, within = generator.uniform(0, longest), generator.uniform(0, 0.003) if lives % 2 else None
        place, killed = _life(made, folder, execution, delay, within, lives // 2 % 2 > 0)
        if killed:
            where[f"{killed} {place}"] += 1
        if place == "ended" or RunFolder(folder).finished():
            # It was finished before it could be killed often enough: once more, from its beginning.
            for path in folder.iterdir():
                path.unlink()
    place, _ = _life(made, folder, execution, None)
    assert place == "ended", place
    return where


def straight(folder: Path) -> Path:
    """Return where the same run is carried out without being killed: in another results folder."""
    return folder.parent.with_name(f"{folder.parent.name}-straight") / folder.name


def _duration(made: Plan, folder: Path, execution: Execution) -> float:
    """Seconds of a run that is let alone."""
    began = time.monotonic()
    _life(made, folder, execution, None)
    return time.monotonic() - began


def _life(
    made: Plan,
    folder: Path,
    execution: Execution,
    delay: float | None,
    within: float | None = None,
    loader: bool = False,
) -> tuple[str, str]:
    """Go on with a run in other processes and kill some; where, and what was killed before it had ended.

    Args:
        made: the run.
        folder: its folder.
        execution: how.
        delay: seconds that it has; None: as long as it takes.
        within: how many seconds after it has begun to write a checkpoint, then; None: wherever it is.
        loader: whether a loading process is killed, if there is one.
    """
    context = multiprocessing.get_context("fork")
    where = context.Value("i", 0)
    members = [
        context.Process(target=_member, args=(made, folder, execution, place, where if not number else None))
        for number, place in enumerate(launch.places(execution))
    ]
    for member in members:
        member.start()
    members[0].join(delay)
    if within is not None:
        while members[0].is_alive() and PLACES[where.value] != "saving":
            time.sleep(0.0002)
        time.sleep(within)
    place, killed = PLACES[where.value], "run" if members[0].is_alive() else ""
    below = _below([member.pid for member in members if member.pid])
    if killed and loader and below:
        killed = "loader"
        with contextlib.suppress(ProcessLookupError):
            os.kill(below[0], signal.SIGKILL)
    for member in members:
        if killed == "run":
            member.kill()
        member.join()
    _wait_for_the_end(below)
    return place, killed


def _below(numbers: list[int]) -> list[int]:
    """Return the living processes that these have started."""
    living = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return [number for number in living if _parent(number) in numbers]


def _parent(number: int) -> int | None:
    """Return the parent of a process; None if it has ended."""
    with contextlib.suppress(OSError):
        state, parent = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[:2]
        return None if state == "Z" else int(parent)
    return None


def _wait_for_the_end(numbers: list[int]) -> None:
    """Wait until these processes have ended, and check that they leave no shared memory."""
    deadline = time.monotonic() + 60
    while left := [number for number in numbers if _parent(number) is not None]:
        assert time.monotonic() < deadline, f"left: {left}"
        time.sleep(0.01)
    shared = [path.name for path in Path("/dev/shm").iterdir()]
    assert not [name for name in shared if set(map(int, re.findall(r"\d+", name))) & {*numbers}], shared


def _member(
    made: Plan, folder: Path, execution: Execution, place: dict[str, str], where: "Synchronized[int] | None"
) -> None:
    os.environ.update(place)
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nothing, stream)
    if where is not None:
        _tell(where)
    run(made, folder, execution)
    if where is not None:
        where.value = PLACES.index("ended")


def _tell(where: "Synchronized[int]") -> None:
    """Makes this process say where it is."""

    def during(owner: Any, name: str, place: str, after: str) -> None:
        function: Callable[..., Any] = getattr(owner, name)

        def told(*args: Any, **values: Any) -> Any:
            where.value = PLACES.index(place)
            result = function(*args, **values)
            where.value = PLACES.index(after)
            return result

        setattr(owner, name, told)

    during(running.Training, "resume", "resuming", "step")
    during(checkpoint, "save", "saving", "step")
    during(running.Training, "test", "testing", "exporting")


@contextlib.contextmanager
def videos() -> Iterator[Path]:
    """A folder of 18 small videos of 3 classes."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from conftest import CLASSES, encode

    with tempfile.TemporaryDirectory() as folder:
        for label, name in enumerate(CLASSES):
            for clip in range(6):
                encode(Path(folder) / "videos" / name / f"{clip}.mkv", 12 + clip, label=label, clip=clip)
        os.environ["SSL_VIDEO_CACHE"] = str(Path(folder) / "cache")
        yield Path(folder)


def main() -> int:
    """Print a line for each algorithm; status 1 where a run was not the same."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--algorithm", action="append", help="default: all that are built in")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    given = parser.parse_args()
    torch.set_num_threads(1)
    bad = 0
    with videos() as folder:
        from helpers.networks import one_backbone

        for name in given.algorithm or sorted(algorithms.describe()):
            spec = build(
                {"algorithm": name, "data": str(folder / "videos"), "protocol": "per-class:2", "frames": 4,
                 "stride": 2, "size": 16, "width": 0.25, "steps": given.steps, "labeled_batch": 4,
                 "unlabeled_batch": 4, "test_clips": 2, "ema": 0.9, "networks": one_backbone(name, "tiny3d")}
            )  # fmt: skip
            made = plan(spec, load(spec), torch.device("cpu"))
            execution = Execution("cpu", 1, given.workers, checkpoint_seconds=0.0, devices=given.devices)
            place = folder / name / made.name
            where = kill_and_resume(made, place, execution, given.kills, given.seed)
            different = differences(outcome(place), outcome(straight(place)))
            bad += bool(different)
            moments = json.dumps(dict(sorted(where.items())))
            print(f"{name}: {sum(where.values())} kills {moments}: {', '.join(different) or 'identical'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
