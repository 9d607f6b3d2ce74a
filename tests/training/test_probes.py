"""Runs of probes: every algorithm trains heads alone, and files hold the frozen network once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from ssl_video import backbones
from ssl_video.backbones import files
from ssl_video.backbones.probe import KINDS, Probe
from ssl_video.data.dataset import Data
from ssl_video.errors import InputError
from ssl_video.inference.load import load as load_model
from ssl_video.registry import algorithms
from ssl_video.runs import checkpoint
from ssl_video.training.execution import Execution
from ssl_video.training.loop import fit
from ssl_video.training.run import Plan, run
from ssl_video.training.state import Training

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file for tiny3d at an eighth of its width, with running averages that are not the initial ones."""
    torch.manual_seed(4)
    network = backbones.create("tiny3d", 3, width=0.125, frames=2, size=8).train()
    network(torch.randn(4, 3, 2, 8, 8))
    file = tmp_path_factory.mktemp("weights") / "tiny.pt"
    torch.save(network.state_dict(), file)
    return str(file)


def settings(name: str, weights: str, kind: str = "linear") -> dict[str, Any]:
    """The keys of a run whose networks are all probes of one file."""
    roles = getattr(algorithms.get(name), "roles", {})
    network = {"backbone": "tiny3d", "width": 0.125, "weights": weights}
    return {"algorithm": name, "probe": kind, "networks": dict.fromkeys(roles, network)}


def probes(training: Training) -> dict[str, Probe]:
    found = {role: training.algorithm.get_submodule(role) for role in training.algorithm.roles}
    assert all(isinstance(network, Probe) for network in found.values())
    return found  # type: ignore[return-value]


# The head of label propagation remembers clips, and has no weights in use.
@pytest.mark.parametrize("name", [name for name in algorithms.builtin() if name != "propagation"])
def test_every_algorithm_trains_the_heads_alone(
    make_training: Callable[..., Training], weights: str, name: str
) -> None:
    made = make_training(**settings(name, weights), ema=0.5, learning_rate=0.1, steps=3)
    networks = probes(made)
    heads = {role: {n: p.clone() for n, p in net.head.named_parameters()} for role, net in networks.items()}
    expected = torch.load(weights)
    trained = {id(parameter) for group in made.optimizer.param_groups for parameter in group["params"]}
    fit(made)
    for role, network in networks.items():
        for key, value in network.backbone.state_dict().items():
            assert torch.equal(value, expected[key]), key
        assert not any(id(parameter) in trained for parameter in network.backbone.parameters())
        for key, parameter in network.head.named_parameters():
            assert not torch.equal(parameter, heads[role][key]), f"{role}.{key} did not learn"
    assert made.assembly.average is not None
    assert isinstance(made.assembly.average.network, Probe)
    assert made.assembly.average.network.backbone is next(iter(networks.values())).backbone


@pytest.mark.parametrize("kind", KINDS)
def test_files_hold_the_frozen_network_once(
    make_plan: Callable[..., Plan], data: Data, weights: str, tmp_path: Path, kind: str
) -> None:
    """Student, teacher and average share it; all three can be read from the run's file."""
    given = settings("meanteacher", weights, kind)
    result = run(make_plan(**given, ema=0.5), tmp_path, Execution("cpu", checkpoint_seconds=0.0))
    path = tmp_path / checkpoint.FINAL
    stored = safetensors.torch.load_file(path)
    assert sum(name.endswith("backbone.0.0.weight") for name in stored) == 1
    heads = [name for name in stored if name.endswith(("head.1.weight", "head.classifier.weight"))]
    assert len(heads) == 3
    state = checkpoint.load(path)["algorithm"]
    expected = torch.load(weights)["0.0.weight"]
    assert torch.equal(state["teacher.network.backbone.0.0.weight"], expected)
    for name in ("model", "teacher", "ema"):
        assert torch.equal(files.read(f"{path}#{name}")["backbone.0.0.weight"], expected)
    model = load_model(tmp_path, CPU)
    assert model.evaluate(data) == result.model_dump()["predictors"]
    assert f"({kind} probe)" in result.backbone


def test_a_checkpoint_holds_the_frozen_network_once(
    make_training: Callable[..., Training], weights: str, tmp_path: Path
) -> None:
    made = make_training(**settings("meanteacher", weights))
    made.save()
    state = torch.load(tmp_path / checkpoint.CURRENT)["algorithm"]
    one, other = (state[f"{part}backbone.0.0.weight"] for part in ("model.", "teacher.network."))
    assert one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def test_a_probe_needs_weights_and_a_network_that_is_trained(
    make_training: Callable[..., Training], weights: str
) -> None:
    with pytest.raises(InputError, match=r"'primary' of cmpl, which has no weights.*primary\.weights"):
        make_training(algorithm="cmpl", probe="linear")
    other = {"auxiliary": {"backbone": "timm/resnet10t"}}
    with pytest.raises(InputError, match=r"'auxiliary' of cmpl, which has no weights.*auxiliary\.weights"):
        make_training(algorithm="cmpl", probe="linear", weights=weights, networks=other)
    given = settings("timebalance", weights)
    with pytest.raises(InputError, match="the head of a probe would stay random"):
        make_training(**given, options={"teachers": "frozen"})


def test_further_networks_take_the_weights_of_the_run(
    make_training: Callable[..., Training], weights: str
) -> None:
    made = make_training(algorithm="cmpl", probe="linear", weights=weights)
    primary, auxiliary = (made.algorithm.get_submodule(role) for role in ("primary", "auxiliary"))
    assert torch.equal(primary.backbone[0][0].weight, auxiliary.backbone[0][0].weight)
    assert not torch.equal(primary.head[-1].weight, auxiliary.head[-1].weight)
    assert made.spec.networks["auxiliary"].width == made.spec.networks["primary"].width


def test_one_network_may_be_trained_as_a_whole(make_training: Callable[..., Training], weights: str) -> None:
    given = {"algorithm": "cmpl", "probe": "linear", "weights": weights}
    made = make_training(**given, networks={"auxiliary": {"probe": "none"}})
    assert isinstance(made.algorithm.get_submodule("primary"), Probe)
    assert all(p.requires_grad for p in made.algorithm.get_submodule("auxiliary").parameters())
