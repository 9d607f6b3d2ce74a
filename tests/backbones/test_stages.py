"""Stages: the modules whose feature maps methods compare, by the names that networks give."""

import itertools

import pytest
import torch
from torch import nn

from ssl_video.algorithms.parts.features import FeatureMaps
from ssl_video.backbones import create

WIDTHS = {
    "tiny3d": 0.5,
    **dict.fromkeys(("slow_r50", "c2d_r50", "i3d_r50", "r2plus1d_r50"), 0.125),
    "csn_r101": 0.125,
    "x3d_xs": 1.0,
    **dict.fromkeys(("r3d_18", "mc3_18", "r2plus1d_18"), 1.0),
}


@pytest.mark.parametrize("name", WIDTHS)
def test_a_network_of_stages_has_four_maps(name: str) -> None:
    """Each is as small as the one before or smaller, and later layers do not overwrite it."""
    torch.manual_seed(0)
    network = create(name, 3, width=WIDTHS[name], frames=4, size=32)
    maps = FeatureMaps(network)
    with maps.captured() as found:
        network(torch.randn(2, 3, 4, 32, 32))
    assert len(found) == 4
    sizes = [one.shape for one in found]
    assert all(len(size) == 5 and size[0] == 2 for size in sizes)
    assert all(later[3] <= before[3] for before, later in itertools.pairwise(sizes))
    assert sizes[-1][3] < sizes[0][3]
    torch.stack([one.square().mean() for one in found]).sum().backward()
    assert any(p.grad is not None and p.grad.any() for p in network.parameters())


@pytest.mark.parametrize("name", ["slowfast_r50", "timm/resnet18"])
def test_others_have_none(name: str) -> None:
    network: nn.Module = create(name, 3, width=1.0, frames=4, size=32)
    assert FeatureMaps(network).stages == ()
