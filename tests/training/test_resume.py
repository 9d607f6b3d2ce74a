"""A run that was stopped or killed anywhere ends as if it had never been."""

import inspect
import multiprocessing
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.methods import by_steps
from helpers.resumed import ALWAYS, ONCE, assert_equal, outcome, places, run_and_kill

from ssl_video.inference import calibration
from ssl_video.registry import algorithms
from ssl_video.runs import checkpoint
from ssl_video.runs.folder import RESULT
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan, Stopped, run


def stopping_after(steps: int) -> Callable[[], bool]:
    answers = iter([False] * (steps - 1) + [True])
    return lambda: next(answers)


@pytest.fixture(params=[*by_steps(), "plugin"])
def plan(request: pytest.FixtureRequest, make_plan: Callable[..., Plan], plugin: str) -> Plan:
    """Every algorithm, with pseudo-labels from the start where it has a threshold."""
    name = plugin if request.param == "plugin" else request.param
    takes = "threshold" in inspect.signature(algorithms.get(name)).parameters
    # Three steps: none has no state, the first makes one, the second changes it.
    return make_plan(algorithm=name, options={"threshold": 0.4} if takes else {}, steps=3)


def test_a_run_stopped_at_every_step_equals_a_straight_one(plan: Plan, tmp_path: Path) -> None:
    straight, stopped = places(plan, tmp_path, "straight", "stopped")
    run(plan, straight, ONCE)
    for _ in range(plan.spec.steps):
        with pytest.raises(Stopped):
            run(plan, stopped, ONCE, stopping=lambda: True)
        # Whatever else the process draws in between must not matter.
        torch.rand(7)
        assert not (stopped / RESULT).exists()
    run(plan, stopped, ONCE)
    assert_equal(outcome(plan, stopped), outcome(plan, straight))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_stopped_once_equals_a_straight_one(
    make_plan: Callable[..., Plan], plugin: str, tmp_path: Path, workers: int
) -> None:
    """Whatever the number of processes that prepare batches."""
    plan = make_plan(algorithm=plugin, steps=7)
    straight, stopped = places(plan, tmp_path, "straight", "stopped")
    run(plan, straight, ONCE)
    execution = Execution("cpu", workers=workers, checkpoint_seconds=1e9)
    with pytest.raises(Stopped):
        run(plan, stopped, execution, stopping=stopping_after(3))
    run(plan, stopped, execution)
    assert_equal(outcome(plan, stopped), outcome(plan, straight))


def test_a_damaged_checkpoint_costs_time_but_changes_nothing(
    make_plan: Callable[..., Plan], plugin: str, tmp_path: Path
) -> None:
    plan = make_plan(algorithm=plugin)
    straight, folder = places(plan, tmp_path, "straight", "stopped")
    run(plan, straight, ONCE)
    with pytest.raises(Stopped):
        run(plan, folder, ALWAYS, stopping=stopping_after(4))
    (folder / checkpoint.CURRENT).write_bytes(b"damaged")
    warnings: list[str] = []
    run(plan, folder, ONCE, warn=warnings.append)
    assert len(warnings) == 1
    assert "checkpoint.pt is damaged" in warnings[0]
    assert_equal(outcome(plan, folder), outcome(plan, straight))


@pytest.mark.slow
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_a_killed_run_equals_a_straight_one(
    make_plan: Callable[..., Plan], plugin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL at random moments, also while checkpoints and metrics are written."""
    monkeypatch.setattr(calibration, "FEWEST", 3)
    monkeypatch.setattr(calibration, "_helps", lambda *_: True)
    plan = make_plan(algorithm=plugin, steps=60, validation=2)
    straight, killed = places(plan, tmp_path, "straight", "killed")
    run(plan, straight, ONCE)
    delays = np.random.default_rng().uniform(0, 0.03, 4)
    codes = [run_and_kill(plan, killed, delay) for delay in delays]
    assert codes[0] == -signal.SIGKILL
    run(plan, killed, ALWAYS)
    assert_equal(outcome(plan, killed), outcome(plan, straight))
    assert outcome(plan, straight)["result"]["temperatures"]
