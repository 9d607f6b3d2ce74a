"""What many runs cost: python -m ssl_video.benchmarks.speed.leaderboard_scale --runs 10000 100000.

Records of runs that nobody trained are written to a temporary folder. Each stage is shown with the seconds
that passed and those that a processor worked, which differ where other programs run beside it. The command's
line is a process of its own, with everything that a user waits for.
"""

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from rich.console import Console

from ssl_video.benchmarks.tables import exports, layout, leaderboard, record_cache
from ssl_video.benchmarks.tables.compare import comparison
from ssl_video.benchmarks.tables.terminal import to_terminal
from ssl_video.engine.record import read_result
from ssl_video.spec import Spec, digest, plain, without_cell

# Runs are this many seeds of this many protocols of this many algorithms, and configurations of those.
_SEEDS, _PROTOCOLS, _ALGORITHMS = 20, 10, 25
_TEST_CLIPS = 300


class Stage(NamedTuple):
    """What was done, the seconds that passed, and those of the processor."""

    title: str
    passed: float
    worked: float


def records(runs: int) -> Iterator[dict[str, Any]]:
    """Records as finished runs write them."""
    for number in range(runs):
        seed, place = number % _SEEDS, number // _SEEDS
        protocol, variant = place % _PROTOCOLS + 1, place // _PROTOCOLS
        name = f"method{variant % _ALGORITHMS}" if variant % _ALGORITHMS else "supervised"
        spec = _spec(name, variant // _ALGORITHMS / 100) | {"seed": seed}
        yield _record(spec, f"per-class:{protocol}", number)


@functools.lru_cache
def _spec(algorithm: str, threshold: float) -> dict[str, Any]:
    return plain(Spec(algorithm=algorithm, options={"threshold": threshold}))


def _record(spec: dict[str, Any], protocol: str, number: int) -> dict[str, Any]:
    """The record of a run, with accuracies that scatter."""
    labels = {"dataset": "made-up", "dataset_fingerprint": "d0123456789ab", "protocol": protocol}
    share = (number * 7919 % _TEST_CLIPS) / _TEST_CLIPS
    scores = {"top1": share, "top5": 1.0, "mean_class": share}
    return {
        **{
            key: spec[key]
            for key in ("algorithm", "options", "backbone", "frames", "stride", "size", "steps")
        },
        **{"initialisation": "scratch", "predictor": "model", "seed": spec["seed"], "draw": spec["seed"]},
        **labels,
        "fingerprint": "p" + digest([labels, spec["seed"]]),
        "labeled_in_unlabeled": False,
        "setting": "s00000000",
        "configuration": "c" + digest(without_cell(spec)),
        **{"labeled": 40, "unlabeled": 460, "test": _TEST_CLIPS, "classes": 10, "clips_seen": 10800},
        **scores,
        "predictors": {"model": scores, "ema": scores},
        **{
            "seconds": 120.5,
            "train_seconds": 118.25,
            "test_seconds": 2.25,
            "skipped_steps": 0,
            "left_out": 0,
        },
        **{"parameters": 182010, "parameters_trained": 193824, "gflops": 0.0122, "training_gflops": 707.5},
        "spec": spec,
        "environment": {"torch": "2.15.0", "python": "3.11.7", "system": "Linux", "device": "cpu"},
        "finished": "2026-11-22T05:25:41Z",
        "run": f"{spec['algorithm']}-made-up-{protocol.replace(':', '-')}-seed{spec['seed']}-{number:08x}",
    }


def write(results: Path, runs: int) -> list[Path]:
    """The folders of that many finished runs."""
    folders = []
    for record in records(runs):
        folder = results / "runs" / record["run"]
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        folders.append(folder)
    return folders


def measure(results: Path, folders: list[Path]) -> Iterator[Stage]:
    """What happens to finished runs, stage by stage."""
    yield _timed("ask each of the runs whether it is finished", lambda: [read_result(f) for f in folders])
    yield _timed("read every record", lambda: leaderboard.read(results))
    kept = results / record_cache.FILE
    if kept.exists():
        yield _timed(
            f"read them again, {kept.stat().st_size / 1e6:.1f} MB kept", lambda: leaderboard.read(results)
        )
    yield _timed("read them and write leaderboard.csv", lambda: leaderboard.write(results))
    frame = leaderboard.read(results).frame
    yield _timed("compare", lambda: comparison(frame))
    csv = results / leaderboard.FILE
    yield _timed("read leaderboard.csv by pandas, and compare", lambda: comparison(pd.read_csv(csv)))
    grid = layout.plain(comparison(frame))
    with open(os.devnull, "w") as nothing:
        console = Console(file=nothing, width=120)
        yield _timed("terminal", lambda: console.print(to_terminal(grid, 120)))
    for name, form in exports.FORMS.items():
        yield _timed(name, functools.partial(form, grid))
    command = [sys.executable, "-m", "ssl_video", "leaderboard", "--results", str(results)]
    yield _timed("the command, nothing kept", lambda: _first(kept, command))
    yield _timed("the command", lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))


def _first(kept: Path, command: list[str]) -> None:
    kept.unlink(missing_ok=True)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _timed(title: str, do: Callable[[], object]) -> Stage:
    """How long something takes, in this process and those that it starts."""
    began, before = time.perf_counter(), os.times()
    do()
    worked = sum(os.times()[:4]) - sum(before[:4])
    return Stage(title, time.perf_counter() - began, worked)


def main() -> None:
    """Print a table for each number of runs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[10_000, 100_000])
    options = parser.parse_args()
    for runs in options.runs:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{runs:,} runs{'':42}passed   processor")
            for title, passed, worked in measure(Path(folder), write(Path(folder), runs)):
                print(f"  {title:48}{passed:8.2f} s{worked:9.2f} s", flush=True)


if __name__ == "__main__":
    main()
