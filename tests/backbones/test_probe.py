"""Probes: a frozen network that training does not change, and the features that a head sees."""

import copy
import math

import pytest
import torch
from helpers.numbers import assert_close, close
from torch import Tensor, nn

from ssl_video.algorithms.parts.teacher import Teacher, _pairs
from ssl_video.backbones import create
from ssl_video.backbones.probe import KINDS, AttentiveHead, Kind, Probe
from ssl_video.errors import InputError

FRAMES, SIZE = 4, 32


def probe(kind: Kind = "linear") -> Probe:
    torch.manual_seed(0)
    made = create("tiny3d", 5, width=0.25, frames=FRAMES, size=SIZE, probe=kind)
    assert isinstance(made, Probe)
    return made


def clips(count: int = 3) -> Tensor:
    return torch.randn(count, 3, FRAMES, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
def test_training_moves_the_head_alone(kind: Kind) -> None:
    """Not one bit of the network, and none of its running averages, whatever mode is asked for."""
    made = probe(kind).train()
    before = copy.deepcopy(made.backbone.state_dict())
    optimizer = torch.optim.SGD(made.parameters(), 0.1, weight_decay=0.1)
    for _ in range(3):
        nn.functional.cross_entropy(made(clips()), torch.tensor([0, 1, 4])).backward()
        optimizer.step()
    assert {n for n, p in made.named_parameters() if p.grad is not None} == {
        n for n, _ in made.named_parameters() if n.startswith("head.")
    }
    assert all(torch.equal(value, before[name]) for name, value in made.backbone.state_dict().items())
    assert made.head.training
    assert not any(module.training for module in made.backbone.modules())


@pytest.mark.parametrize("kind", KINDS)
def test_features_stand_for_their_clips(kind: Kind) -> None:
    made = probe(kind)
    assert torch.equal(made(made.features(clips())), made(clips()))
    assert not made.features(clips()).requires_grad


def test_pooled_features_are_the_inputs_of_the_classifier() -> None:
    torch.manual_seed(0)
    whole = create("tiny3d", 5, width=0.25, frames=FRAMES, size=SIZE).eval()
    assert isinstance(whole, nn.Sequential)
    assert torch.equal(probe().features(clips()), whole[:-1](clips()))


def test_tokens_are_the_places_of_the_last_map() -> None:
    """4 frames and 32 pixels are 1 x 4 x 4 places of 16 channels; their mean is what is pooled."""
    tokens = probe("attentive").features(clips())
    assert tokens.shape == (3, 16, 16)
    assert_close(tokens.mean(1), probe().features(clips()))


def test_heads() -> None:
    linear, mlp, attentive = (probe(kind).head for kind in KINDS)
    for head, shapes in ((linear, [(5, 16)]), (mlp, [(16, 16), (5, 16)])):
        assert isinstance(head, nn.Sequential)
        assert [tuple(layer.weight.shape) for layer in head if isinstance(layer, nn.Linear)] == shapes
        # Eight features of 1 and eight of 3 have the mean 2 and the standard deviation 1.
        features = torch.tensor([1.0, 3.0] * 8)
        assert head[0](features).tolist() == pytest.approx([-1.0, 1.0] * 8, rel=1e-4)
        assert not list(head[0].parameters())
    assert isinstance(attentive, AttentiveHead)
    assert AttentiveHead(384, 5).heads == 6
    assert AttentiveHead(432, 5).heads == 6, "of 7 heads, 432 channels could not be shared equally"
    assert AttentiveHead(3, 5).heads == 1


def test_attention_by_hand() -> None:
    """Two tokens (1, -1) and (-1, 1), which a norm leaves as they are but for its 1e-5.

    The query is (0, 0), mapped to (LN3, 0) by its bias. Keys are tokens times sqrt(2), so that the scores
    are LN3 and -LN3, whose softmax is 9/10 and 1/10. The values are the tokens: 0.8 * (1, -1). The perceptron
    is 0, and the classifier reads 2 and 3 times the two channels, plus 1.
    """
    head = AttentiveHead(2, 2)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.zero_()
        for norm in (head.norm1, head.norm2):
            norm.weight.fill_(1)
        head.q.bias.copy_(torch.tensor([math.log(3), 0.0]))
        head.kv.weight.copy_(torch.cat([torch.eye(2) * math.sqrt(2), torch.eye(2)]))
        head.classifier.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 3.0]]))
        head.classifier.bias.fill_(1)
        logits = head(torch.tensor([[[1.0, -1.0], [-1.0, 1.0]]]))
        assert logits[0].tolist() == pytest.approx([1 + 1.6, 1 - 2.4], abs=1e-4)
        head.mlp[2].bias.copy_(torch.tensor([10.0, 20.0]))
        assert head(torch.zeros(1, 2, 2))[0].tolist() == close([21, 61])
        head.query.copy_(torch.tensor([[[1.0, 2.0]]]))
        assert head(torch.zeros(1, 2, 2))[0].tolist() == close([23, 67])


def test_a_copy_shares_the_frozen_network() -> None:
    """A teacher of a probe costs the memory and the averaging of its head alone."""
    made = probe()
    teacher = Teacher(made, decay=0.125)
    twin = teacher.network
    assert isinstance(twin, Probe)
    assert twin.backbone is made.backbone
    assert twin.head is not made.head
    with torch.no_grad():
        made.head[-1].weight.add_(2)
    before = copy.deepcopy(made.backbone.state_dict())
    expected = made.head[-1].weight - 0.25
    assert len(list(_pairs(twin, made))) == 2, "the weight and the bias of the head"
    teacher.update(made)
    assert_close(twin.head[-1].weight, expected)
    assert all(torch.equal(value, before[name]) for name, value in made.backbone.state_dict().items())
    assert made.head[-1].weight.requires_grad
    assert not twin.head[-1].weight.requires_grad


def _shape(name: str, kind: Kind) -> tuple[int, ...]:
    with torch.device("meta"):
        made = create(name, 5, frames=16, size=64, probe=kind)
        assert isinstance(made, Probe)
        found = made.features(torch.zeros(2, 3, 16, 64, 64))
        assert made(found).shape == (2, 5)
    return tuple(found.shape)


@pytest.mark.parametrize(
    ("name", "channels", "tokens"),
    [
        ("slowfast_r50", 2304, (4 * 2 * 2, 2304)),  # both pathways, the fast one at the slow one's times
        ("x3d_s", 2048, (16 * 2 * 2, 432)),  # its head pools before it widens
        ("s3d", 1024, (2 * 2 * 2, 1024)),
        ("swin3d_t", 768, (8 * 2 * 2, 768)),
        ("timesformer_tiny", 192, (1 + 16 * 4 * 4, 192)),
        ("timm/resnet10t+tsm", 512, (16 * 2 * 2, 512)),
        ("timm/tf_efficientnet_lite0", 1280, (16 * 2 * 2, 1280)),
    ],
)
def test_features_of_every_library(name: str, channels: int, tokens: tuple[int, int]) -> None:
    assert _shape(name, "linear") == (2, channels)
    assert _shape(name, "attentive") == (2, *tokens)


def test_the_tokens_of_both_pathways_are_joined() -> None:
    """The pooled features are their means, the slow pathway's channels first."""
    torch.manual_seed(0)
    pooled, tokens = (
        create("slowfast_r50", 5, width=0.125, frames=8, size=64, probe=kind)
        for kind in ("linear", "attentive")
    )
    assert isinstance(pooled, Probe)
    assert isinstance(tokens, Probe)
    tokens.backbone.load_state_dict(pooled.backbone.state_dict())
    clip = torch.randn(1, 3, 8, 64, 64)
    assert_close(tokens.features(clip).mean(1), pooled.features(clip))


class _Twice(nn.Module):
    """A network of two classifiers, whose logits are averaged."""

    def __init__(self, last: int = 5) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, last), nn.Linear(3, last)

    def forward(self, clip: Tensor) -> Tensor:
        pooled = clip.mean((2, 3, 4))
        return self.first(pooled) + self.second(pooled)


def test_networks_without_features() -> None:
    with pytest.raises(InputError, match="does not end with its classifier"):
        Probe(_Twice(), "linear", 5, frames=2, size=4)
    with pytest.raises(InputError, match="has no linear layer or convolution with 5 outputs"):
        Probe(_Twice(4), "linear", 5, frames=2, size=4)
    flat = nn.Sequential(nn.Flatten(), nn.Linear(96, 5))
    with pytest.raises(InputError, match="has no map of features with several places"):
        Probe(flat, "attentive", 5, frames=2, size=4)


class Picky(nn.Module):
    """A network whose path depends on numbers, and that needs 4 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Conv3d(3, 6, (1, 4, 4)), nn.Linear(6, 5)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        found = self.layer(-clip if clip.max() > 100 else clip)
        logits: torch.Tensor = self.head(found.mean((2, 3, 4)))
        return logits


def test_a_network_that_cannot_run_without_numbers() -> None:
    """On the meta device, where specifications are checked."""
    for device in ("meta", "cpu"):
        with torch.device(device):
            made = Probe(Picky(), "linear", 5, frames=2, size=8)
        assert made.head[-1].weight.shape == (5, 6)


def test_errors_of_the_network_are_its_own() -> None:
    with pytest.raises(InputError, match=r"(?i)Picky cannot take clips of 2 frames of 2 px: .*kernel size"):
        Probe(Picky(), "linear", 5, frames=2, size=2)
