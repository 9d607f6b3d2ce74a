"""Looks at the validation clips, which a run may take while it is under way."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ssl_video.errors import InputError
from ssl_video.runs import checkpoint, weight_file
from ssl_video.runs.folder import VALIDATION
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan, Stopped, run

MakePlan = Callable[..., Plan]
ONCE = Execution("cpu", checkpoint_seconds=1e9)
LOOKING = Execution("cpu", checkpoint_seconds=1e9, evaluate_every=2)


def looks(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / VALIDATION).read_text().splitlines()]


def test_looks_are_recorded_and_change_nothing(make_plan: MakePlan, plugin: str, tmp_path: Path) -> None:
    """After steps 1 and 3 of 0 to 4, and after the last; a run that was stopped in between has the same."""
    made = make_plan(algorithm=plugin, validation=1, steps=5, learning_rate=0.05)
    assert len(made.partition.validation) == 3
    run(made, tmp_path / "without", ONCE)
    result = run(made, tmp_path / "straight", LOOKING)
    found = looks(tmp_path / "straight")
    assert [line["step"] for line in found] == [1, 3, 4]
    measured = result.model_dump()["validation_accuracies"]
    assert {name: found[-1][name] for name in measured} == measured
    assert list(measured) == ["teacher", "student", "other"]
    assert result.validation == 1
    for _ in range(made.spec.steps):
        with pytest.raises(Stopped):
            run(made, tmp_path / "stopped", LOOKING, stopping=lambda: True)
    run(made, tmp_path / "stopped", LOOKING)
    assert looks(tmp_path / "stopped") == found
    weights = [
        weight_file.load(tmp_path / name / checkpoint.FINAL)["algorithm"]
        for name in ("without", "straight", "stopped")
    ]
    assert all(torch.equal(weights[0][name], other[name]) for other in weights[1:] for name in weights[0])


def test_looks_without_clips_to_look_at(make_plan: MakePlan, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--evaluate-every needs clips to evaluate on"):
        run(make_plan(), tmp_path, LOOKING)
    assert run(make_plan(steps=1), tmp_path, ONCE).validation_accuracies == {}
