"""The time in which a run waits for its clips."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ssl_video.data.frames.store import Statistics
from ssl_video.runs.folder import RunFolder
from ssl_video.training import data_wait
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan, RunProgress, Stopped, run
from ssl_video.training.state import Training

ONCE = Execution("cpu", checkpoint_seconds=1e9)
CACHED, DECODED = Statistics(hits=99, misses=1), Statistics(hits=40, misses=60)


def test_waiting_is_counted_and_work_is_not(
    make_plan: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also over a stop and a resume: two steps of 3 s for the batch, 1 s and 3 s, and once more."""
    loaded, made = Training.batches, make_plan(algorithm="supervised", steps=4)
    now = [0.0]

    def slow(self: Training, *given: Any) -> Iterator[Any]:
        for batch in loaded(self, *given):
            now[0] += 3.0
            yield batch

    def step(report: RunProgress) -> None:
        seen.append(report.waited)

    real, seen = time.monotonic, list[float]()
    monkeypatch.setattr(Training, "batches", slow)
    # A clock on which only batches (3 s each) and the flag of a stop (1 s for each step) take time.
    monkeypatch.setattr(time, "monotonic", lambda: now[0] + real() * 1e-9)
    asked = list[int]()

    def stopping() -> bool:
        now[0] += 1.0
        asked.append(1)
        return len(asked) == 2

    with pytest.raises(Stopped):
        run(made, tmp_path, ONCE, stopping=stopping, report=step)
    result = run(made, tmp_path, ONCE, stopping=lambda: bool(now.__setitem__(0, now[0] + 1.0)), report=step)
    assert result.data_wait == pytest.approx(12 / 14, abs=0.01)
    assert seen[0] == pytest.approx(6 / 7, abs=0.01)
    assert RunFolder(tmp_path).result.data_wait == result.data_wait


def test_advice() -> None:
    cpu, gpu = Execution("cpu"), Execution("cuda", cache_gib=20.0)
    assert data_wait.advice(0.19, 1e4, cpu, 0, DECODED) == ""
    assert data_wait.advice(0.9, 59, cpu, 0, DECODED) == "", "the first batch of a short run is slow"
    assert data_wait.advice(0.3, 100, cpu, 0, CACHED) == (
        "the training waited for its clips 30 % of the time: --workers 1 prepares batches in a process of "
        "their own, if a core is free"
    )
    assert data_wait.advice(0.5, 100, gpu, 8, DECODED) == (
        "the training waited for its clips 50 % of the time: 60 % of the clips were decoded again: "
        "--cache-gib 40 keeps more; more --workers, if cores are free"
    )
    assert data_wait.advice(0.5, 100, gpu, 8, Statistics()) == "", "features are read, not frames"
