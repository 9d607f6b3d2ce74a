"""Kernels lie channels last, and flat convolutions give what 3D convolutions give."""

import copy
from typing import Any

import pytest
import torch
from helpers.numbers import assert_close
from torch import nn

from ssl_video import backbones
from ssl_video.networks.memory_format import PointwiseConv3d, TemporalConv3d, place

CPU = torch.device("cpu")
LAST = torch.channels_last_3d


def test_kernels_are_in_channels_last_layout() -> None:
    """(out, in, T, H, W) and (out, in, H, W) with the stride of `in` one; others as they were."""
    network = nn.Sequential(nn.Conv3d(3, 4, 3), nn.Conv3d(4, 4, 1), nn.Conv2d(4, 3, 3), nn.Linear(3, 4))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    place(network, CPU)
    kernels = [p for p in network.parameters() if p.ndim in (4, 5)]
    assert [p.ndim for p in kernels] == [5, 5, 4]
    for kernel in kernels:
        assert kernel.is_contiguous(memory_format=torch.channels_last if kernel.ndim == 4 else LAST)
        assert kernel.stride(1) == 1
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in after.items())


def conv(kernel: int | tuple[int, int, int], **options: Any) -> nn.Conv3d:
    torch.manual_seed(0)
    return nn.Conv3d(4, 6, kernel, **options)


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (conv(1), PointwiseConv3d),
        (conv(1, bias=False), PointwiseConv3d),
        (conv((3, 1, 1), padding=(1, 0, 0)), TemporalConv3d),
        (conv((3, 1, 1), bias=False), TemporalConv3d),
        (conv((5, 1, 1), padding=(2, 0, 0), groups=2), TemporalConv3d),
        (conv(1, groups=2), TemporalConv3d),
    ],
)
@pytest.mark.parametrize("layout", [LAST, torch.contiguous_format])
def test_flat_convolutions_give_the_same(
    layer: nn.Conv3d, kind: type[nn.Conv3d], layout: torch.memory_format
) -> None:
    """Outputs and all gradients; channels stay last, or the next layer would have to copy."""
    flat = place(copy.deepcopy(layer), CPU)
    assert type(flat) is kind
    torch.manual_seed(1)
    clips = torch.randn(2, 4, 6, 5, 3).to(memory_format=layout)
    found = []
    for one in (layer, flat):
        one.zero_grad()
        given = clips.clone(memory_format=torch.preserve_format).requires_grad_()
        made = one(given)
        made.square().sum().backward()
        found.append((made, given.grad, *(p.grad for p in one.parameters())))
    for plain, other in zip(*found, strict=True):
        assert_close(plain, other)
    if layout is LAST:
        assert found[1][0].is_contiguous(memory_format=LAST)


@pytest.mark.parametrize("outputs", [1, 2])
def test_flat_convolutions_in_bfloat16(outputs: int) -> None:
    """With one output channel, torch has failed in the backward pass on processors without bfloat16."""
    layer = place(nn.Conv3d(4, outputs, (3, 1, 1), padding=(1, 0, 0)), CPU)
    clips = torch.randn(2, 4, 8, 8, 8).to(memory_format=LAST)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        made = layer(clips)
    made.float().square().sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.any()


@pytest.mark.parametrize(
    "layer",
    [
        conv(3),
        conv((1, 3, 3)),
        conv((3, 1, 3)),
        conv(1, stride=2),
        conv(1, padding=1),
        conv((3, 1, 1), stride=(2, 1, 1)),
        conv((3, 1, 1), padding=(1, 1, 0)),
        conv((3, 1, 1), dilation=(2, 1, 1)),
        conv((3, 1, 1), padding="same"),
        conv((3, 1, 1), padding=(1, 0, 0), padding_mode="replicate"),
        nn.Conv2d(4, 6, 1),
    ],
)
def test_other_layers_stay_what_they_are(layer: nn.Module) -> None:
    assert type(place(copy.deepcopy(layer), CPU)) is type(layer)


def test_a_layer_of_another_class_keeps_what_it_computes() -> None:
    class Doubled(nn.Conv3d):
        def forward(self, clips: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(clips)

    assert type(place(Doubled(4, 6, 1), CPU)) is Doubled


def test_elsewhere_than_on_the_cpu_layers_stay() -> None:
    assert type(place(conv(1), torch.device("meta"))) is nn.Conv3d


@pytest.mark.parametrize("name", ["slow_r50", "x3d_s", "r2plus1d_18"])
def test_networks_give_the_same(name: str) -> None:
    """A copy made afterwards has weights of its own."""
    torch.manual_seed(0)
    plain = backbones.create(name, 3, width=0.25 if name == "slow_r50" else 1, frames=4, size=32)
    placed = place(copy.deepcopy(plain), CPU)
    kinds = {type(module) for module in placed.modules()}
    assert kinds & {PointwiseConv3d, TemporalConv3d}
    clips = torch.randn(2, 3, 4, 32, 32).to(memory_format=LAST)
    copied = copy.deepcopy(placed)
    for network in (plain, placed):
        network.eval()
    with torch.no_grad():
        expected = plain(clips)
        assert_close(placed(clips), expected)
        for parameter in placed.parameters():
            parameter.zero_()
        assert_close(copied.eval()(clips), expected)
