"""Algorithms that are built for a training loop of one's own."""

from pathlib import Path

import pytest
import torch
from torch import nn

import ssl_video as sv
from ssl_video import backbones
from ssl_video.algorithms.fixmatch import FixMatch
from ssl_video.backbones.probe import Probe


class Mean(nn.Module):
    """Logits from the mean colour of a clip."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(3, classes)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(clips.mean((2, 3, 4)))
        return logits


class Plain(sv.Algorithm):
    """Cross-entropy of labeled clips."""

    def __init__(self, task: sv.Task, model: nn.Module, *, weight: float = 1.0) -> None:
        super().__init__()
        self.model, self.weight = model, weight

    def loss(self, batch: sv.Batch, progress: float) -> sv.LossOutput:
        logits = self.model(batch.labeled["weak"])
        return sv.LossOutput({"labeled": self.weight * nn.functional.cross_entropy(logits, batch.labels)})


def test_roles_widths_and_rates_are_resolved() -> None:
    made = sv.create("cmpl", num_classes=5, threshold=0.7)
    assert made.spec is not None
    assert list(made.spec.networks) == ["primary", "auxiliary"]
    primary, auxiliary = made.spec.networks.values()
    # CMPL asks for a quarter of the channels at twice the frame rate.
    assert (auxiliary.width, auxiliary.frames, auxiliary.stride) == (0.25, 16, 2)
    assert (primary.width, primary.frames, primary.stride) == (1.0, 8, 4)
    assert made.spec.options["threshold"] == 0.7
    assert made.task == sv.Task(5, 1)
    assert {name: p(torch.zeros(1, 3, 8, 64, 64)).shape[1] for name, p in made.predictors().items()} == {
        "primary": 5, "auxiliary": 5,
    }  # fmt: skip


def test_weights_and_probes(tmp_path: Path) -> None:
    """One of two networks in a file, frozen."""
    networks = {name: backbones.create("tiny3d", 3, width=0.125, frames=2, size=8) for name in "qk"}
    states = {f"encoder_{name}": network.state_dict() for name, network in networks.items()}
    torch.save(states, tmp_path / "two.pt")
    made = sv.create(
        "supervised", 3, backbone="tiny3d", width=0.125, frames=2, size=8,
        weights=str(tmp_path / "two.pt"), weights_prefix="encoder_k", probe="linear",
    )  # fmt: skip
    probe = made.get_submodule("model")
    assert isinstance(probe, Probe)
    assert torch.equal(probe.backbone[0][0].weight, networks["k"][0][0].weight)


def test_the_same_seed_gives_the_same_weights() -> None:
    first, again, other = (sv.create("supervised", num_classes=3, seed=seed) for seed in (0, 0, 1))
    pairs = zip(first.parameters(), again.parameters(), other.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert not all(torch.equal(a, c) for a, c in zip(first.parameters(), other.parameters(), strict=True))


def test_a_class_and_a_module_of_ones_own() -> None:
    network = Mean(4)
    made = sv.create(Plain, num_classes=4, networks={"model": network}, weight=2.0)
    assert isinstance(made, Plain)
    assert made.get_submodule("model") is network
    clips = {"weak": torch.randn(2, 3, 8, 64, 64)}
    batch = sv.Batch(clips, torch.tensor([0, 3]), {}, torch.empty(0, dtype=torch.long))
    made(batch, 0.0).loss.backward()
    assert network.head.weight.grad is not None


def test_settings_of_single_networks() -> None:
    made = sv.create("cmpl", num_classes=2, networks={"auxiliary": {"width": 0.5}})
    assert made.spec is not None
    assert made.spec.networks["auxiliary"].width == 0.5


def test_every_mistake_is_reported() -> None:
    with pytest.raises(sv.InputError) as caught:
        sv.create("fixmatch", num_classes=3, treshold=0.5, networks={"modle": {}})
    assert "fixmatch: unknown option 'treshold'; did you mean threshold?" in caught.value.problems
    assert any("modle" in problem for problem in caught.value.problems)
    with pytest.raises(sv.InputError, match="unknown algorithm 'fixmtch'; did you mean fixmatch"):
        sv.create("fixmtch", num_classes=3)
    with pytest.raises(sv.InputError, match="give num_classes, or the data"):
        sv.create("fixmatch")


def test_options_are_validated_for_every_caller() -> None:
    network = Mean(3)
    with pytest.raises(
        sv.InputError, match="FixMatch: threshold: input should be less than or equal to 1, found 7"
    ):
        FixMatch(sv.Task(3, 1), network, threshold=7)
    with pytest.raises(sv.InputError, match="threshold"):
        sv.create("fixmatch", num_classes=3, threshold=7)
    assert FixMatch(sv.Task(3, 1), network, threshold=1).select.threshold == 1.0
    # A base class's constructor takes what a subclass gives it.
    assert Plain(sv.Task(3, 1), network, weight=-1.0).weight == -1.0


def test_the_callers_random_numbers_stay() -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    sv.create("fixmatch", num_classes=3)
    assert torch.equal(torch.rand(2), expected)
