"""pytorchvideo's networks are those of its model zoo."""

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.numbers import assert_close
from torch import Tensor, nn

from ssl_video.backbones import create
from ssl_video.backbones.libraries import importing
from ssl_video.errors import InputError

# Frames and pixels that the networks were designed for. Those that only repeat more of the same layers are
# left out: their layers are counted in test_reference.py.
HOME = {
    "slow_r50": (8, 224),
    "c2d_r50": (8, 224),
    "i3d_r50": (8, 224),
    "r2plus1d_r50": (16, 224),
    "csn_r101": (32, 224),
    "slowfast_r50": (32, 224),
    "x3d_xs": (4, 160),
    "x3d_s": (13, 160),
    "x3d_m": (16, 224),
    "efficient_x3d_xs": (4, 160),
}
# Exact number of parameters of slow_r50 by (width, number of classes).
SLOW = {
    (1.0, 51): 31_738_995,
    (1.0, 101): 31_841_445,
    (1.0, 400): 32_454_096,
    (0.5, 51): 7_976_531,
    (0.5, 101): 8_027_781,
    (0.5, 400): 8_334_256,
    (0.25, 51): 2_015_043,
    (0.25, 101): 2_040_693,
    (0.25, 400): 2_194_080,
    (0.125, 400): 603_928,
}


def parameters(name: str, num_classes: int, width: float = 1.0) -> int:
    with torch.device("meta"):
        network = create(name, num_classes, width=width, frames=32)
    return sum(p.numel() for p in network.parameters())


def unmodified(name: str, num_classes: int, width: float) -> nn.Module:
    """The library's own network, with its own head and names, at another width."""
    with importing("pytorchvideo"):
        from pytorchvideo.models import hub
    options: dict[str, Any] = {"model_num_class": num_classes, "stem_dim_out": int(64 * width)}
    if name.startswith("slowfast"):
        options = {"model_num_class": num_classes, "stem_dim_outs": (int(64 * width), int(8 * width))}
    if name.startswith("x3d"):
        options = {"model_num_class": num_classes, "width_factor": 2.0 * width}
    if name.startswith("efficient"):
        options = {"num_classes": num_classes}
    network: nn.Module = getattr(hub, name)(**options)
    return network


def randomise(network: nn.Module) -> None:
    """Random batch norm: at the start its last scale in a block is 0 and hides the block."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.get_buffer("running_mean"))
            nn.init.uniform_(module.get_buffer("running_var"), 0.5, 1.5)


@pytest.mark.parametrize(("width", "num_classes"), SLOW)
def test_number_of_parameters_by_width(width: float, num_classes: int) -> None:
    assert parameters("slow_r50", num_classes, width) == SLOW[width, num_classes]


@pytest.mark.parametrize("name", HOME)
def test_the_librarys_checkpoint_gives_the_librarys_answer_at_home_size(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    frames, size = HOME[name]
    width = 1.0 if name.startswith("efficient") else 0.125
    theirs = unmodified(name, 6, width)
    randomise(theirs)
    file = tmp_path / "zoo.pyth"
    torch.save({"model_state": theirs.state_dict()}, file)
    ours = create(name, 6, width=width, frames=frames, size=size, weights=file)
    clip = torch.randn(2, 3, frames, size, size)
    given: Tensor | list[Tensor] = [clip[:, :, ::4], clip] if name.startswith("slowfast") else clip
    with torch.inference_mode():
        expected = theirs.eval()(given)
        logits = ours.eval()(clip)
    if name.startswith(("x3d", "r2plus1d")):
        logits = logits.softmax(1)
    assert expected.std() > 1e-4  # the clips and classes differ, so there is something to compare
    assert_close(logits, expected)


def test_slowfast_feeds_its_slow_pathway_every_4th_frame() -> None:
    torch.manual_seed(0)
    network = create("slowfast_r50", 5, width=0.125, frames=8, size=32)
    seen: list[Tensor] = []
    network.blocks[0].register_forward_pre_hook(lambda _, inputs: seen.extend(inputs[0]))  # type: ignore[index, union-attr]
    clip = torch.arange(8.0).view(1, 1, 8, 1, 1).expand(2, 3, 8, 32, 32)
    network(clip)
    slow, fast = seen
    assert slow[0, 0, :, 0, 0].tolist() == [0, 4]
    assert fast[0, 0, :, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7]


def test_clips_that_cannot_be() -> None:
    for name in ("slowfast_r50", "slowfast_r101", "slowfast_16x8_r101_50_50"):
        with pytest.raises(InputError, match=f"{name}: .* frames must be a multiple of 4, not 10: try 8 or"):
            create(name, 5, frames=10)
    for name in ("c2d_r50", "i3d_r50"):
        with pytest.raises(InputError, match=f"{name}: .* frames must be at least 2, not 1"):
            create(name, 5, frames=1)


@pytest.mark.parametrize("name", ["slow_r50", "c2d_r50", "i3d_r50", "r2plus1d_r50", "csn_r101", "x3d_s"])
def test_smallest_clip(name: str) -> None:
    frames = 2 if name in ("c2d_r50", "i3d_r50") else 1
    network = create(name, 5, width=0.125, frames=frames, size=16)
    assert network(torch.randn(2, 3, frames, 16, 16)).shape == (2, 5)
