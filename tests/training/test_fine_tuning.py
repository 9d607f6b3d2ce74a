"""Runs that fine-tune: what is below the head moves as the settings say, in every method, and resumes."""

import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.methods import by_steps
from helpers.numbers import close
from helpers.processes import side_by_side
from helpers.resumed import ONCE, assert_equal, outcome, places, run_and_kill
from torch import Tensor, nn

from ssl_video import Teacher, backbones
from ssl_video.contract import Task
from ssl_video.networks.assemble import assemble
from ssl_video.registry import algorithms
from ssl_video.spec import build
from ssl_video.training.execution import Execution
from ssl_video.training.loop import fit
from ssl_video.training.optimizer import make_optimizer, set_learning_rate
from ssl_video.training.run import Plan, Stopped, run
from ssl_video.training.state import Training

TWO = Execution("cpu", checkpoint_seconds=1e9, devices=2)
OWN = '''
from torch import nn
from ssl_video import backbone


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.one, self.two = (nn.Conv3d(channels, channels, 1, bias=False) for _ in range(2))
        self.norm = nn.BatchNorm3d(channels)

    def forward(self, clip):
        return clip + self.norm(self.two(self.one(clip).relu()))


@backbone("blocks")
def blocks(num_classes, *, frames, size):
    """A stem, two residual blocks, and a head."""
    return nn.Sequential(
        nn.Conv3d(3, 4, 3, padding=1), nn.BatchNorm3d(4), Block(4), Block(4),
        nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, num_classes),
    )
'''
ALL = {
    "backbone_learning_rate": 0.5, "layer_decay": 0.75, "freeze_norm": True, "head_steps": 0.5,
    "head_start": "logistic", "dropout": 0.25, "label_smoothing": 0.1, "ema": 0.5,
}  # fmt: skip


@pytest.fixture(scope="session")  # the registry takes a name once per process
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Keys of a network with blocks and batch norm, and of its weights, whose averages are not initial."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "blocks.py").write_text(OWN)
    torch.manual_seed(4)
    network = backbones.create(f"{folder}/blocks.py:blocks", 3, frames=2, size=8).train()
    network(torch.randn(4, 3, 2, 8, 8))
    torch.save(network.state_dict(), folder / "blocks.pt")
    return {"backbone": f"{folder}/blocks.py:blocks", "width": 1, "weights": str(folder / "blocks.pt")}


def settings(name: str, own: dict[str, Any], **values: Any) -> dict[str, Any]:
    """The keys of a run whose networks all start from the weights."""
    cls = algorithms.get(name)
    takes = "threshold" in inspect.signature(cls).parameters
    return {
        **{"algorithm": name, "networks": dict.fromkeys(cls.roles, own), "learning_rate": 0.01},
        **{"options": {"threshold": 0.34} if takes else {}, "steps": 4, **values},
    }


def state(made: Training) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in made.algorithm.state_dict().items()}


def is_norm(name: str) -> bool:
    """Of the stem or of a block: its scale, its shift, its running averages."""
    return ".1." in name or ".norm." in name


def is_head(name: str) -> bool:
    return ".6." in name


def test_groups_of_the_optimizer(own: dict[str, Any], make_plan: Callable[..., Plan]) -> None:
    """Matrices decay, biases do not, at every rate: 0.5 * 0.75^k for k = 3 (stem), 2, 1; the head 1."""
    plan = make_plan(**settings("supervised", own, backbone_learning_rate=0.5, layer_decay=0.75))
    made = assemble(plan.spec, Task(3, 4))
    optimizer = make_optimizer(made.algorithm, plan.spec, made.fine_tuned)
    set_learning_rate(optimizer, plan.spec, 1)
    names = {p: name for name, p in made.algorithm.named_parameters()}
    found = {names[p]: group for group in optimizer.param_groups for p in group["params"]}
    assert set(found) == set(names.values())
    stem = 0.01 * 0.5 * 0.75**3 * (1 + math.cos(math.pi * 0.8 / 3.8)) / 2
    expected = {"model.0.": stem, "model.1.": stem, "model.2.": stem / 0.75, "model.3.": stem / 0.75**2}
    expected["model.6."] = stem / 0.75**3 / 0.5
    for name, group in found.items():
        assert group["lr"] == close(expected[name[:8]]), name
        assert group["weight_decay"] == (0 if is_norm(name) or name.endswith("bias") else 0.01), name


def test_without_settings_the_groups_are_two(make_training: Callable[..., Training]) -> None:
    made = make_training()
    assert [
        (group["weight_decay"], group["multiplier"], group["first_step"], len(group["params"]))
        for group in made.optimizer.param_groups
    ] == [(0.01, 1.0, 0, 5), (0.0, 1.0, 0, 9)]
    assert made.assembly.fine_tuned == ()


def test_rates_of_a_network_whose_head_comes_first() -> None:
    """Two of 6 steps warm up the head, by thirds. The other group waits for step 2, then rises likewise."""
    spec = build({"learning_rate": 1.0, "steps": 6, "warmup": 1 / 3})
    head, rest = ({"params": [nn.Parameter(torch.zeros(1))]} for _ in range(2))
    optimizer = torch.optim.SGD([head, rest | {"first_step": 2, "multiplier": 0.5}], lr=9.0)
    found = []
    for step in range(6):
        set_learning_rate(optimizer, spec, step)
        found.append([group["lr"] for group in optimizer.param_groups])
    half = math.sqrt(0.5)
    rates = [1 / 3, 2 / 3, 1, (1 + half) / 2, 0.5, (1 - half) / 2]
    shares = [0, 0, 1 / 6, 1 / 3, 1 / 2, 1 / 2]
    assert [rate for rate, _ in found] == close(rates)
    assert [rate for _, rate in found] == close([r * s for r, s in zip(rates, shares, strict=True)])


@pytest.mark.parametrize("name", by_steps())
def test_frozen_batch_norm_stays_as_the_weights_are(
    make_training: Callable[..., Training], own: dict[str, Any], name: str
) -> None:
    """And all other weights below the head move, also after a validation in between."""
    made = make_training(**settings(name, own, freeze_norm=True, ema=0.5, validation=1, unlabeled_batch=3))
    made.execution = replace(made.execution, evaluate_every=1)
    before, given = state(made), torch.load(own["weights"])
    fit(made)
    after = state(made)
    for role in made.algorithm.roles:
        for key, value in given.items():
            found = after[f"{role}.{key}"]
            assert torch.equal(found, value) == is_norm(f".{key}"), f"{role}.{key}"
    teachers = [path for path, m in made.algorithm.named_modules() if isinstance(m, Teacher)]
    for key, value in before.items():
        if any(key.startswith(f"{path}.network.") for path in teachers) and is_norm(key):
            assert torch.equal(after[key], value), key
    average = made.assembly.average
    assert average is not None
    for key, value in average.network.state_dict().items():
        if is_norm(f".{key}"):
            assert torch.equal(value, given[key]), key


@pytest.mark.parametrize("name", by_steps())
def test_the_head_learns_first(
    make_training: Callable[..., Training], own: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first 2 of 4 steps nothing below it changes, nor has a state in the optimizer."""
    made = make_training(**settings(name, own, head_steps=0.5, learning_rate=0.1, weight_decay=0.1))
    given, seen = torch.load(own["weights"]), list[dict[str, Tensor]]()
    after_step = made.algorithm.after_step

    def note(progress: float) -> None:
        after_step(progress)
        seen.append(state(made))
        for role in made.algorithm.roles:
            network = made.algorithm.get_submodule(role)
            for key, parameter in network.named_parameters():
                assert (parameter in made.optimizer.state) == (is_head(f".{key}") or len(seen) > 2)

    monkeypatch.setattr(made.algorithm, "after_step", note)
    fit(made)
    for role in made.algorithm.roles:
        for key, value in given.items():
            same = [torch.equal(after[f"{role}.{key}"], value) for after in seen]
            assert same == ([False] * 4 if is_head(f".{key}") else [True, True, False, False]), key


def test_dropout_and_smoothing_are_in_the_losses(
    make_training: Callable[..., Training], own: dict[str, Any]
) -> None:
    losses = []
    for values in ({}, {"dropout": 0.5}, {"label_smoothing": 0.5}):
        made = make_training(**settings("supervised", own, **values))
        batch = next(made.batches())
        torch.manual_seed(0)
        losses.append(made.algorithm.train()(batch, 0.0).loss.item())
    assert len(set(losses)) == 3


@pytest.mark.parametrize("name", ["supervised", "fixmatch", "meanteacher", "cmpl"])
def test_a_stopped_run_with_all_settings_equals_a_straight_one(
    make_plan: Callable[..., Plan], own: dict[str, Any], tmp_path: Path, name: str
) -> None:
    """Stopped before the head is fitted, and after each step: while the head learns alone, and later."""
    plan = make_plan(**settings(name, own, **ALL))
    straight, stopped = places(plan, tmp_path, "straight", "stopped")
    run(plan, straight, ONCE)
    for number in range(plan.spec.steps + 1):
        training = iter([False] * len(plan.spec.networks) if number == 1 else [])
        with pytest.raises(Stopped):
            run(plan, stopped, ONCE, stopping=lambda training=training: next(training, True))
        torch.rand(7)
    run(plan, stopped, ONCE)
    assert_equal(outcome(plan, stopped), outcome(plan, straight))


@pytest.mark.slow
def test_a_killed_run_with_all_settings_equals_a_straight_one(
    make_plan: Callable[..., Plan], own: dict[str, Any], tmp_path: Path
) -> None:
    plan = make_plan(**settings("meanteacher", own, **ALL | {"steps": 60}))
    straight, killed = places(plan, tmp_path, "straight", "killed")
    run(plan, straight, ONCE)
    for delay in (0.0, 0.01, 0.2, 0.3):
        run_and_kill(plan, killed, delay)
    run(plan, killed, ONCE)
    assert_equal(outcome(plan, killed), outcome(plan, straight))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["supervised", "fixmatch", "meanteacher", "cmpl"])
def test_two_processes_fine_tune_as_one(
    make_plan: Callable[..., Plan], own: dict[str, Any], tmp_path: Path, name: str
) -> None:
    """Without dropout, which each of them draws for itself. Frozen batch norm has no statistics to differ."""
    values = {**ALL, "dropout": 0.0, "labeled_batch": 4, "unlabeled_batch": 4, "optimizer": "sgd"}
    plan = make_plan(**settings(name, own, **values))

    def trained(execution: Execution, folder: str) -> dict[str, Any]:
        (tmp_path / folder).mkdir(exist_ok=True)
        made = Training(plan.spec, plan.data, plan.partition, tmp_path / folder, execution)
        fit(made)
        return made.assembly.state()

    expected = trained(ONCE, "one")
    for found in side_by_side(TWO, lambda: trained(TWO, "two")):
        for part, tensors in expected.items():
            for key, value in tensors.items():
                torch.testing.assert_close(found[part][key], value, rtol=1e-4, atol=1e-5)


def test_a_finished_run_has_the_settings(
    make_plan: Callable[..., Plan], own: dict[str, Any], tmp_path: Path
) -> None:
    plan = make_plan(**settings("supervised", own, **ALL))
    result = run(plan, tmp_path / "run", ONCE)
    network = result.spec["networks"]["model"]
    assert {key: network[key] for key in ALL if key in network} == {
        key: value for key, value in ALL.items() if key not in ("label_smoothing", "ema")
    }
    # 3 batch norms of 4 channels are not trained.
    assert result.parameters - result.parameters_trained == 3 * 2 * 4
    assert make_plan(**settings("supervised", own)).name != plan.name
