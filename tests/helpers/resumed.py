"""Compare a run that was stopped or killed with one that was not."""

import contextlib
import multiprocessing
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ssl_video.inference.evaluate import probabilities
from ssl_video.inference.load import load as load_model
from ssl_video.runs import checkpoint, pseudo_labels
from ssl_video.runs.folder import METRICS, RunFolder, run_folder
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan, run

CPU = torch.device("cpu")
ONCE = Execution("cpu", checkpoint_seconds=1e9)
ALWAYS = Execution("cpu", checkpoint_seconds=0.0)
# What a result says about the clock and the machine.
TIMES = {"seconds", "train_seconds", "data_wait", "test_seconds", "finished", "environment", "frame_cache"}


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
