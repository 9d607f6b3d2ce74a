"""Several batches through a network: in one pass or apart."""

import math
from collections.abc import Callable

import pytest
import torch
from helpers.numbers import close
from torch import Tensor, nn

from ssl_video.algorithms.parts.features import Features
from ssl_video.algorithms.parts.passes import Passes, forward_joint, forward_views


def test_together_gives_each_batch_its_own_logits(
    readout: type[nn.Module], clips: Callable[..., Tensor]
) -> None:
    first, second = clips((0.5, 0.3, 0.2), (0.1, 0.8, 0.1)), clips((0.2, 0.2, 0.6))
    a, b = forward_joint(readout(), first, second)
    assert torch.allclose(a.softmax(-1), torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]]))
    assert torch.allclose(b.softmax(-1), torch.tensor([[0.2, 0.2, 0.6]]))


def test_together_is_one_pass_with_shared_batch_norm_statistics() -> None:
    """Values 0, 0 and 3, 3 have mean 1.5 and deviation 1.5: they come out as -1, -1 and 1, 1."""
    norm = nn.BatchNorm1d(1, eps=1e-9, affine=False)
    low, high = forward_joint(norm, torch.zeros(2, 1), torch.full((2, 1), 3.0))
    assert low.flatten().tolist() == close([-1, -1])
    assert high.flatten().tolist() == close([1, 1])
    assert norm.num_batches_tracked == 1


@pytest.mark.parametrize("dimension", [nn.BatchNorm1d, nn.BatchNorm3d])
def test_separate_passes_keep_batch_norm_statistics_apart(dimension: type[nn.Module]) -> None:
    """Each kind is normalised by itself; the average sees the weak and the labeled clips, not the strong.

    Momentum 0.5 from mean 0: labeled mean 5 -> 2.5, weak mean 2 -> 2.25, strong mean 100 -> still 2.25.
    """
    norm = dimension(1, eps=1e-9, affine=False, momentum=0.5)
    shape = (2, 1) if dimension is nn.BatchNorm1d else (2, 1, 1, 1, 1)
    kinds = [torch.tensor(pair).view(shape) for pair in ((4.0, 6.0), (1.0, 3.0), (99.0, 101.0))]
    for made in forward_views(norm, *kinds, "separate"):
        assert made.flatten().tolist() == close([-1, 1])
    assert norm.running_mean.item() == close(2.25)
    assert norm.num_batches_tracked == 2
    assert norm.track_running_stats


def test_joint_passes_share_statistics() -> None:
    """Values 0, 0, 3, 3, 3, 3 have mean 2 and variance 2."""
    norm = nn.BatchNorm1d(1, eps=1e-9, affine=False)
    labeled, weak, strong = forward_views(
        norm, torch.zeros(2, 1), torch.full((2, 1), 3.0), torch.full((2, 1), 3.0), "joint"
    )
    assert labeled.flatten().tolist() == close([-math.sqrt(2)] * 2)
    assert weak.flatten().tolist() == strong.flatten().tolist() == close([math.sqrt(0.5)] * 2)


@pytest.mark.parametrize("passes", ["separate", "joint"])
def test_the_order_of_captured_features(passes: Passes) -> None:
    """Labeled, weak, strong in both modes, so that counts from the end find the strong clips first."""
    model = nn.Sequential(nn.Linear(1, 2), nn.Linear(2, 2))
    nn.init.constant_(model[0].weight, 1.0)
    nn.init.zeros_(model[0].bias)
    features = Features(model, num_classes=2)
    labeled, weak, strong = (
        torch.full((count, 1), float(value)) for count, value in ((3, 1), (2, 2), (2, 3))
    )
    with features.captured() as last:
        forward_views(model, labeled, weak, strong, passes)
    assert last(7)[:, 0].tolist() == [1, 1, 1, 2, 2, 3, 3]
    assert last(2)[:, 0].tolist() == [3, 3]


def test_without_batch_norm_both_ways_are_the_same() -> None:
    """Logits and, where there is one, gradient; weak clips have none in separate passes."""
    torch.manual_seed(0)
    model, clips = nn.Linear(4, 3), [torch.randn(n, 4) for n in (2, 3, 3)]
    found: dict[str, list[Tensor]] = {}
    ways: tuple[Passes, ...] = ("separate", "joint")
    for way in ways:
        labeled, weak, strong = forward_views(model, *clips, way)
        model.zero_grad()
        (labeled.square().sum() + strong.square().sum()).backward()
        assert weak.requires_grad == (way == "joint")
        found[way] = [labeled, weak, strong, *(p.grad for p in model.parameters() if p.grad is not None)]
    for one, other in zip(*found.values(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_together_gives_float32() -> None:
    (made,) = forward_joint(nn.Linear(2, 2).bfloat16(), torch.zeros(1, 2, dtype=torch.bfloat16))
    assert made.dtype == torch.float32
