"""A run that was stopped or killed anywhere ends as if it had never been."""

import contextlib
import inspect
import multiprocessing
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ssl_video.inference.evaluate import probabilities
from ssl_video.inference.model import load as load_model
from ssl_video.registry import algorithms
from ssl_video.runs import checkpoint, pseudo_labels
from ssl_video.runs.folder import METRICS, RESULT, RunFolder, run_folder
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan, Stopped, run

CPU = torch.device("cpu")
ONCE = Execution("cpu", checkpoint_seconds=1e9)
ALWAYS = Execution("cpu", checkpoint_seconds=0.0)
# What a result says about the clock and the machine.
TIMES = {"seconds", "train_seconds", "test_seconds", "finished", "environment", "frame_cache"}


def outcome(plan: Plan, folder: Path) -> dict[str, Any]:
    """All that a finished run leaves, but times: results, metrics, weights, and what they predict."""
    state = checkpoint.load(folder / checkpoint.FINAL)
    model = load_model(folder, CPU)
    rows = plan.partition.test.tolist()
    scores = probabilities(
        model.assembly.algorithm.predictors(),
        model.assembly.shape_for,
        plan.data.store,
        rows,
        model.spec,
        CPU,
    )
    result = RunFolder(folder).finished()
    assert result is not None
    return {
        "result": result.model_dump(exclude=TIMES),
        "metrics": (folder / METRICS).read_bytes(),
        "pseudo": {path.name: path.read_bytes() for path in folder.glob(pseudo_labels.PSEUDO_LABELS)},
        "weights": state["algorithm"],
        "scores": scores,
        "files": sorted(path.name for path in folder.iterdir()),
    }


def assert_equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Bit for bit."""
    assert found["result"] == expected["result"]
    assert found["metrics"] == expected["metrics"]
    assert found["pseudo"] == expected["pseudo"]
    assert found["files"] == expected["files"]
    assert found["weights"].keys() == expected["weights"].keys()
    for name, value in expected["weights"].items():
        assert torch.equal(found["weights"][name], value), name
    for name, value in expected["scores"].items():
        assert np.array_equal(found["scores"][name], value), name


def places(plan: Plan, folder: Path, *kinds: str) -> list[Path]:
    """Return a run's folder in each of several results folders."""
    return [run_folder(folder / kind, plan.name).path for kind in kinds]


def stopping_after(steps: int) -> Callable[[], bool]:
    answers = iter([False] * (steps - 1) + [True])
    return lambda: next(answers)


@pytest.fixture(params=[*sorted(algorithms.describe()), "plugin"])
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
    make_plan: Callable[..., Plan], plugin: str, tmp_path: Path
) -> None:
    """SIGKILL at random moments, also while checkpoints and metrics are written."""
    plan = make_plan(algorithm=plugin, steps=60)
    straight, killed = places(plan, tmp_path, "straight", "killed")
    run(plan, straight, ONCE)
    delays = np.random.default_rng().uniform(0, 0.03, 4)
    codes = [run_and_kill(plan, killed, delay) for delay in delays]
    assert codes[0] == -signal.SIGKILL
    run(plan, killed, ALWAYS)
    assert_equal(outcome(plan, killed), outcome(plan, straight))


def run_and_kill(plan: Plan, folder: Path, delay: float) -> int | None:
    """Go on with a run in another process and kill it `delay` seconds after it has saved something new."""

    def saved() -> int:
        # Between two renames there is none, for a moment.
        with contextlib.suppress(FileNotFoundError):
            return (folder / checkpoint.CURRENT).stat().st_mtime_ns
        return 0

    before = saved()
    child = multiprocessing.get_context("fork").Process(target=run, args=(plan, folder, ALWAYS))
    child.start()
    while saved() == before and child.is_alive():
        time.sleep(0.001)
    time.sleep(delay)
    child.kill()
    child.join()
    return child.exitcode
