"""The temperatures of a finished run: in its record and weights, the same however it was carried out."""

import dataclasses
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.numbers import close
from helpers.processes import side_by_side

from ssl_video.data.pool import evaluation_clips
from ssl_video.inference import calibration
from ssl_video.inference.evaluate import evaluating
from ssl_video.inference.load import load as load_model
from ssl_video.runs import checkpoint, predictions, weight_file
from ssl_video.runs.folder import VALIDATION_PREDICTIONS, RunFolder
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan, Stopped, run
from ssl_video.training.state import Training

MakePlan = Callable[..., Plan]
CPU = torch.device("cpu")
ONCE = Execution("cpu", checkpoint_seconds=1e9)
TWO = Execution("cpu", checkpoint_seconds=1e9, devices=2)


@pytest.fixture
def plan(make_plan: MakePlan, plugin: str, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Three validation clips in two views each, from which every temperature is kept here."""
    monkeypatch.setattr(calibration, "FEWEST", 3)
    monkeypatch.setattr(calibration, "_helps", lambda *_: True)
    return make_plan(algorithm=plugin, validation=2, steps=5, learning_rate=0.2)


def test_a_run_keeps_its_temperatures(plan: Plan, tmp_path: Path) -> None:
    """In its record, and in the weights alone; probabilities are those at the temperature of each view."""
    folder, lone = tmp_path / "run", tmp_path / "lone.safetensors"
    result = run(plan, folder, ONCE)
    assert result.temperatures
    (folder / checkpoint.FINAL).rename(lone)
    model = load_model(lone, CPU)
    assert model.temperatures == result.temperatures
    name, by = next(iter(result.temperatures.items()))
    assert model.calibration_note(name) == (
        f"calibrated with temperature {by:.3g} on 3 validation clips, so only roughly"
    )
    row = int(plan.partition.test[0])
    views = evaluation_clips(plan.data.store, row, model.assembly.shape_for(name), plan.spec)
    network = model.predictors[name]
    with evaluating([network]), torch.no_grad():
        logits = network(views).double()
    expected = (logits / by).softmax(-1).mean(0).numpy()
    file = Path(plan.data.index.paths[row])
    assert model.probabilities([file], name)[0][file] == close(expected)
    assert np.abs(expected - logits.softmax(-1).mean(0).numpy()).max() > 1e-3
    # Accuracies are without it, and the digest of the labels with it.
    assert model.evaluate(plan.data) == result.model_dump()["predictors"]
    plain = dataclasses.replace(model, calibration=None)
    assert plain.digest != model.digest
    assert plain.calibration_note() == (
        "not calibrated: an older version made the run, and fitted no temperature"
    )


def test_shares_to_expect_are_those_at_the_temperature(plan: Plan, tmp_path: Path) -> None:
    """`abstain` compares calibrated probabilities."""
    result = run(plan, tmp_path, ONCE)
    name = next(iter(result.temperatures))
    known = predictions.read(tmp_path, VALIDATION_PREDICTIONS)
    moved, plain = known.calibrated_confidences[name][:, 0], known.confidences[name][:, 0]
    assert not np.allclose(moved, plain)
    labels, sure = known.first(name)
    assert np.array_equal(sure, moved)
    assert np.array_equal(labels, known.calibrated_guesses[name][:, 0])
    between = float(np.sort(moved)[1])
    found = load_model(tmp_path, CPU).expected(between, name)
    assert found is not None
    assert (found.clips, found.labeled) == (3, 2)


def outcome(folder: Path) -> Any:
    result = RunFolder(folder).finished()
    assert result is not None
    return result.temperatures, weight_file.load(folder / checkpoint.FINAL)["calibration"]


def test_a_stopped_run_has_the_same(plan: Plan, tmp_path: Path) -> None:
    run(plan, tmp_path / "straight", ONCE)
    for _ in range(plan.spec.steps):
        with pytest.raises(Stopped):
            run(plan, tmp_path / "stopped", ONCE, stopping=lambda: True)
    unfinished = load_model(tmp_path / "stopped", CPU)
    assert unfinished.calibration is None
    run(plan, tmp_path / "stopped", ONCE)
    assert outcome(tmp_path / "stopped") == outcome(tmp_path / "straight")
    assert outcome(tmp_path / "straight")[0]


@pytest.mark.slow
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_two_processes_fit_the_same(plan: Plan, tmp_path: Path) -> None:
    """Each evaluates a part of the clips: 16 views of three videos are two videos at a time."""
    spec = plan.spec.model_copy(update={"test_clips": 16, "labeled_batch": 4})

    def calibrated(execution: Execution) -> Any:
        made = Training(spec, plan.data, plan.partition, tmp_path, execution)
        torch.manual_seed(0)
        for network in made.assembly.predictors().values():
            for weights in network.parameters():
                torch.nn.init.normal_(weights)
        found = made.calibrate()
        assert made.calibration is not None
        assert found.predictions is not None
        return made.calibration.plain(), found.scores, found.predictions.confidences["teacher"].tolist()

    alone = calibrated(ONCE)
    assert alone[0]["temperatures"]
    assert side_by_side(TWO, lambda: calibrated(TWO)) == [alone, alone]
