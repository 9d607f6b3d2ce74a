"""Networks whose parts below the head are trained otherwise: rates, frozen batch norm, dropout, refusals."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.numbers import close
from torch import Tensor, nn

import ssl_video as sv
from ssl_video import backbones
from ssl_video.backbones.probe import Probe
from ssl_video.contract import Task
from ssl_video.errors import InputError
from ssl_video.networks.assemble import assemble, resolve
from ssl_video.networks.fine_tuning import FineTuning, Rule, add_dropout, find_head
from ssl_video.spec import NetworkSpec, Spec, build

CPU = torch.device("cpu")


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))
        self.one, self.two, self.norm = nn.Linear(4, 4), nn.Linear(4, 4), nn.BatchNorm1d(4)

    def forward(self, features: Tensor) -> Tensor:
        return features + self.gain * self.norm(self.two(self.one(features)))


class Blocks(nn.Module):
    """Positions, patches, two blocks with a layer between, a norm and a head, registered in another order."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, classes)
        self.positions = nn.Parameter(torch.zeros(4))
        self.between = nn.Linear(4, 4)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.patches = nn.Linear(3, 4)

    def forward(self, clip: Tensor) -> Tensor:
        features = self.patches(clip.mean((2, 3, 4))) + self.positions
        features = self.blocks[1](self.between(self.blocks[0](features)))
        logits: Tensor = self.head(self.norm(features))
        return logits


def tuned(network: nn.Module, steps: int = 10, **settings: Any) -> FineTuning:
    spec = build({"steps": steps, "size": 8, "frames": 2})
    return FineTuning(network, NetworkSpec(backbone="mine", **settings), spec, 3)


def test_layer_decay_follows_the_order_of_computation() -> None:
    """Of 2 blocks: 1/2 in the second, 1/4 in the first, 1/8 before it, 1 after them, all times 0.1."""
    network = Blocks()
    rules = tuned(network, layer_decay=0.5, backbone_learning_rate=0.1, head_steps=0.34).rules()
    found = {name: rules[p].multiplier for name, p in network.named_parameters() if p in rules}
    expected = {"positions": 0.0125, "patches": 0.0125, "blocks.0": 0.025, "between": 0.025}
    expected |= {"blocks.1": 0.05, "norm": 0.1}
    for name, multiplier in found.items():
        (part,) = (part for part in expected if name == part or name.startswith(f"{part}."))
        assert multiplier == close(expected[part]), name
    assert {name for name, _ in network.named_parameters()} - set(found) == {"head.weight", "head.bias"}
    assert {rule.first_step for rule in rules.values()} == {3}


def test_one_rate_below_the_head() -> None:
    network = Blocks()
    rules = tuned(network, backbone_learning_rate=0.25).rules()
    assert set(rules.values()) == {Rule(0.25, 0)}
    assert {*rules, *network.head.parameters()} == set(network.parameters())


def test_a_block_alone_in_its_stage_counts() -> None:
    """EfficientNet-Lite0 has 16 blocks in stages of 1, 2, 2, 3, 3, 4 and 1."""
    network = backbones.create("timm/tf_efficientnet_lite0", 3, frames=1, size=32)
    spec = build({"size": 32, "frames": 1})
    rules = FineTuning(network, NetworkSpec(backbone="timm/x", layer_decay=0.5), spec, 3).rules()
    found = {name: rules[p].multiplier for name, p in network.named_parameters() if p in rules}
    assert found["network.conv_stem.weight"] == 0.5**17
    assert found["network.blocks.0.0.conv_dw.weight"] == 0.5**16
    assert found["network.blocks.5.3.conv_dw.weight"] == 0.5**2
    assert found["network.blocks.6.0.conv_dw.weight"] == 0.5
    assert found["network.conv_head.weight"] == 1


def test_pathways_side_by_side_count_each_for_itself() -> None:
    network = backbones.create("slowfast_r50", 3, width=0.125, frames=8, size=32)
    spec = build({"size": 32, "frames": 8})
    rules = FineTuning(network, NetworkSpec(backbone="slowfast_r50", layer_decay=0.5), spec, 3).rules()
    found = {name: rules[p].multiplier for name, p in network.named_parameters() if p in rules}
    for pathway in (0, 1):
        last = f"blocks.4.multipathway_blocks.{pathway}.res_blocks.2.branch2.conv_a.weight"
        assert found[last] == 0.5, "the last of 16"


def test_frozen_batch_norm_is_not_trained_in_any_mode() -> None:
    network = Blocks()
    made = tuned(network, freeze_norm=True)
    below = {name for name, p in network.named_parameters() if p in set(made.below)}
    assert not any("blocks" in name and "norm" in name for name in below)
    assert "norm.weight" in below, "a layer norm"
    network.train()
    made.begin(0)
    assert [m.training for m in network.modules() if isinstance(m, nn.BatchNorm1d)] == [False, False]
    assert all(m.training for m in network.modules() if not isinstance(m, nn.BatchNorm1d))


def test_the_head_alone_and_then_everything() -> None:
    """0.34 of 10 steps, rounded: 3."""
    network = Blocks()
    made = tuned(network, head_steps=0.34)
    trained = []
    for step in range(5):
        made.begin(step)
        trained.append({name for name, p in network.named_parameters() if p.requires_grad})
        assert [m.training for m in (network, network.blocks[0].norm, network.head)] == (
            [False, False, True] if step < 3 else [True] * 3
        )
    everything = {name for name, _ in network.named_parameters()}
    assert trained == [{"head.weight", "head.bias"}] * 3 + [everything] * 2


def test_dropout_before_the_head() -> None:
    """In training a quarter of the head's inputs is zero and the others are 4/3; copies have it, too."""
    for network in (nn.Sequential(nn.Flatten(), nn.Linear(4000, 3)), Blocks()):
        if isinstance(network, Blocks):
            assert list(network.state_dict()) == list(Blocks().state_dict())
        names = list(network.state_dict())
        add_dropout(network, 0.25, 3, "mine")
        assert list(network.state_dict()) == names
    network = nn.Sequential(nn.Flatten(), nn.Linear(4000, 3))
    add_dropout(network, 0.25, 3, "mine")
    for one in (network, copy.deepcopy(network)):
        seen = list[Tensor]()
        one[1].register_forward_pre_hook(lambda _, inputs, seen=seen: seen.append(inputs[0]))
        one.train()(torch.ones(1, 4000))
        one.eval()(torch.ones(1, 4000))
        values, counts = seen[0].unique(return_counts=True)
        assert values.tolist() == close([0, 4 / 3])
        assert 850 < counts[0] < 1150
        assert torch.equal(seen[1], torch.ones(1, 4000))


@pytest.mark.parametrize("kind", ["linear", "mlp", "attentive"])
def test_dropout_in_the_heads_of_probes(kind: Any) -> None:
    network = backbones.create("tiny3d", 3, width=0.125, frames=2, size=8, probe=kind)
    assert isinstance(network, Probe)
    clip = torch.randn(2, 3, 2, 8, 8)
    plain = network.train()(clip)
    add_dropout(network, 0.5, 3, "tiny3d")
    assert not torch.equal(network(clip), network(clip))
    assert torch.equal(network.eval()(clip), plain)


def test_both_heads_of_a_distilled_transformer() -> None:
    network = Blocks()
    network.add_module("head_dist", nn.Linear(4, 3))
    made = tuned(network, head_steps=0.5)
    made.begin(0)
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    assert trained == {"head.weight", "head.bias", "head_dist.weight", "head_dist.bias"}


def test_a_hidden_layer_of_a_head_is_no_second_head() -> None:
    """Of 3 outputs, as many as there are classes."""
    network = nn.Sequential(nn.Linear(96, 3), nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    for inside in (network, nn.Sequential(network)):
        assert find_head(inside, 3, "mine") == [network[3]]


@pytest.mark.parametrize(
    ("share", "problem"),
    [
        (0.04, "head_steps 0.04 of 10 steps is none: give"),
        (0.96, "head_steps 0.96 of 10 steps is all of them"),
    ],
)
def test_a_head_that_is_trained_first_for_no_step_or_for_all(share: float, problem: str) -> None:
    with pytest.raises(InputError, match=re.escape(problem)):
        tuned(Blocks(), head_steps=share)
    assert tuned(Blocks(), head_steps=0.94).first_step == 9
    assert tuned(Blocks(), head_steps=0.06).first_step == 1


@pytest.fixture
def weights(tmp_path: Path) -> str:
    torch.save(
        backbones.create("tiny3d", 3, width=0.125, frames=2, size=8).state_dict(), tmp_path / "tiny.pt"
    )
    return str(tmp_path / "tiny.pt")


def resolved(**values: Any) -> Spec:
    return resolve(build({"width": 0.125, "frames": 2, "size": 8, **values}), CPU)


def test_settings_are_those_of_networks_with_weights(weights: str) -> None:
    """CMPL's auxiliary network starts from random weights here, which nothing should preserve."""
    given = {"backbone_learning_rate": 0.1, "freeze_norm": True, "head_steps": 0.5, "dropout": 0.25}
    spec = resolved(algorithm="cmpl", weights=weights, **given)
    settings = [
        {key: getattr(spec.networks[role], key) for key in given} for role in ("primary", "auxiliary")
    ]
    none = {"backbone_learning_rate": 1.0, "freeze_norm": False, "head_steps": 0.0, "dropout": 0.25}
    assert settings == [given, none]
    assert resolve(spec, CPU) == spec
    made = assemble(spec, Task(3, 4))
    assert [one.network for one in made.fine_tuned] == [made.algorithm.get_submodule("primary")]
    other = {"primary": {"freeze_norm": False, "backbone_learning_rate": 0.5}}
    spec = resolved(algorithm="cmpl", weights=weights, networks=other, **given)
    assert spec.networks["primary"].backbone_learning_rate == 0.5
    assert spec.networks["primary"].freeze_norm is False


def test_a_teacher_that_is_given_and_not_trained_stays_as_it_is(weights: str) -> None:
    networks = {role: {"weights": weights} for role in ("invariant", "distinctive")}
    spec = resolved(
        algorithm="timebalance", options={"teachers": "frozen"}, weights=weights, networks=networks,
        freeze_norm=True,
    )  # fmt: skip
    made = assemble(spec, Task(3, 4))
    assert [one.network for one in made.fine_tuned] == [made.algorithm.get_submodule("model")]


def test_settings_without_effect_are_refused(weights: str) -> None:
    def problems(**values: Any) -> str:
        with pytest.raises(InputError) as caught:
            assemble(resolved(**values), Task(3, 4), trained=True)
        return " / ".join(caught.value.problems)

    assert problems(freeze_norm=True) == (
        "freeze_norm is for trained networks that start from weights, and in supervised the network of model "
        "starts from random weights: leave it out, or set it to False"
    )
    assert "head_steps is for trained networks" in problems(head_steps=0.1)
    found = problems(backbone_learning_rate=0.1, probe="linear", weights=weights)
    assert "in supervised the network of model is frozen below its probe: " in found
    assert "leave it out, or set it to 1.0" in found
    own = {"auxiliary": {"backbone_learning_rate": 0.1}}
    found = problems(algorithm="cmpl", weights=weights, networks=own)
    assert found == (
        "networks.auxiliary.backbone_learning_rate is for a trained network that starts from weights, and "
        "the network of auxiliary starts from random weights: leave it out"
    )
    assert "layer_decay needs a network of repeated blocks, and tiny3d has none" in problems(
        weights=weights, layer_decay=0.5
    )
    vit = {"backbone": "timm/vit_tiny_patch16_224", "width": 1, "size": 16, "weights": weights}
    assert "freeze_norm freezes batch norm, and timm/vit_tiny_patch16_224 has none" in problems(
        **vit, freeze_norm=True
    )


def test_a_network_without_a_head_is_refused() -> None:
    with pytest.raises(InputError, match="mine has no linear layer or convolution with 3 outputs"):
        add_dropout(Blocks(classes=5), 0.5, 3, "mine")


def test_a_loop_of_ones_own_has_an_optimizer_of_its_own() -> None:
    with pytest.raises(InputError, match=r"networks\['model'\]: freeze_norm is about the optimizer"):
        sv.create("supervised", 3, networks={"model": {"freeze_norm": True}})
    assert (
        sv.create("supervised", 3, networks={"model": {"dropout": 0.5}}).spec.networks["model"].dropout == 0.5
    )
