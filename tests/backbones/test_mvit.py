"""MViT of both libraries, with tables of positions that fit the clip."""

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.numbers import assert_close
from torch import nn

from ssl_video.backbones import create
from ssl_video.backbones.libraries import importing
from ssl_video.errors import InputError

NAMES = ["mvit_base_16x4", "mvit_base_32x3", "mvit_v1_b", "mvit_v2_s"]


def shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


def test_at_home_torchvisions_are_its_own() -> None:
    from torchvision.models import video

    with torch.device("meta"):
        for name in ("mvit_v1_b", "mvit_v2_s"):
            theirs = getattr(video, name)(num_classes=400)
            assert shapes(create(name, 400, frames=16, size=224)) == shapes(theirs)


@pytest.mark.parametrize("name", ["mvit_v1_b", "mvit_v2_s"])
def test_torchvisions_positions_are_laid_out_as_its_own_are(name: str) -> None:
    """At another clip size, with tables that are parts of those at home."""
    from torchvision.models import video

    torch.manual_seed(0)
    theirs: Any = getattr(video, name)(num_classes=5).eval()
    ours = create(name, 5, frames=4, size=32).eval()
    tensors = dict(theirs.state_dict())
    if name == "mvit_v1_b":
        # 16 frames of 224 pixels are 8 x 56 x 56 patches, 4 frames of 32 pixels 2 x 8 x 8 of them.
        corner = tensors["pos_encoding.spatial_pos"].view(56, 56, -1)[:8, :8].flatten(0, 1)
        tensors["pos_encoding.spatial_pos"] = corner
        tensors["pos_encoding.temporal_pos"] = tensors["pos_encoding.temporal_pos"][:2]
        theirs.pos_encoding.spatial_pos = nn.Parameter(corner)
        theirs.pos_encoding.temporal_pos = nn.Parameter(tensors["pos_encoding.temporal_pos"])
    theirs.pos_encoding.spatial_size, theirs.pos_encoding.temporal_size = (8, 8), 2
    ours.load_state_dict(tensors)
    clip = torch.randn(2, 3, 4, 32, 32)
    with torch.inference_mode():
        assert_close(ours(clip), theirs(clip))


@pytest.mark.parametrize("name", ["mvit_base_16x4", "mvit_base_32x3"])
def test_pytorchvideos_checkpoint_gives_its_answer(name: str, tmp_path: Path) -> None:
    with importing("pytorchvideo"):
        from pytorchvideo.models import hub
    torch.manual_seed(0)
    theirs = getattr(hub, name)(
        head_num_classes=5, patch_embed_dim=24, temporal_size=6, spatial_size=36
    ).eval()
    torch.save({"model_state": theirs.state_dict()}, tmp_path / "mvit.pyth")
    ours = create(name, 5, width=0.25, frames=6, size=36, weights=tmp_path / "mvit.pyth").eval()
    clip = torch.randn(2, 3, 6, 36, 36)
    with torch.inference_mode():
        assert_close(ours(clip), theirs(clip))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("frames", "size"), [(2, 4), (6, 36)])
def test_clips_of_whole_patches(name: str, frames: int, size: int) -> None:
    width = 0.125 if name.startswith("mvit_base") else 1.0
    network = create(name, 5, width=width, frames=frames, size=size).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 3, frames, size, size)).shape == (1, 5)


@pytest.mark.parametrize("name", NAMES)
def test_other_clips_are_refused(name: str) -> None:
    with pytest.raises(InputError) as caught:
        create(name, 5, frames=5, size=30)
    why = f"{name}: its patches are 2 frames of 4x4 pixels, so "
    assert caught.value.problems == (
        f"{why}frames must be a multiple of 2, not 5: try 4 or 6",
        f"{why}size must be a multiple of 4, not 30: try 28 or 32",
    )


def test_building_pytorchvideos_leaves_torch_as_it_was() -> None:
    with torch.device("meta"):
        create("mvit_base_16x4", 5, width=0.125, frames=4, size=16)
        assert torch.ones(1).device.type == "meta"
    assert torch.ones(1).device.type == "cpu"
