"""Multiscale vision transformers (MViT), of pytorchvideo and of torchvision.

A clip becomes patches of 2 frames x 4 x 4 pixels. Pooling inside attention reduces their number and increases
their width from stage to stage (Fan et al. 2021, arXiv:2104.11227; Li et al. 2022, arXiv:2112.01526).

Differences from the libraries: the tables of positions are built for the clips of the run, not only for
16x224x224. So a file of weights fits at the clip size that it was trained at. MViTv2 has relative tables
instead, which torchvision interpolates, so its weights fit at any size.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from ssl_video.backbones import pytorchvideo, torchvision
from ssl_video.backbones.limits import check_clip, scaled
from ssl_video.registry import backbone

_PATCH = (2, 4)  # frames, and pixels per side
_EMBEDDING = 96  # channels of the first stage


@backbone("mvit_base_16x4")
def mvit_base_16x4(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """MViT-B, a transformer with fewer, wider patches per stage."""
    return _pytorchvideo("mvit_base_16x4", num_classes, width, frames, size)


@backbone("mvit_base_32x3")
def mvit_base_32x3(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """MViT-B for twice the frames."""
    return _pytorchvideo("mvit_base_32x3", num_classes, width, frames, size)


@backbone("mvit_v1_b")
def mvit_v1_b(num_classes: int, *, frames: int, size: int) -> nn.Module:
    """MViT-B of torchvision."""
    return _torchvision("mvit_v1_b", num_classes, frames, size)


@backbone("mvit_v2_s")
def mvit_v2_s(num_classes: int, *, frames: int, size: int) -> nn.Module:
    """MViTv2-S: relative positions, pooled residuals."""
    return _torchvision("mvit_v2_s", num_classes, frames, size)


def _pytorchvideo(name: str, num_classes: int, width: float, frames: int, size: int) -> nn.Module:
    _check(name, frames, size)
    with _NumbersInMemory():
        return pytorchvideo.architecture(
            name,
            head_num_classes=num_classes,
            patch_embed_dim=scaled(_EMBEDDING, width),
            temporal_size=frames,
            spatial_size=size,
        )


def _torchvision(name: str, num_classes: int, frames: int, size: int) -> nn.Module:
    _check(name, frames, size)
    network = torchvision.architecture(name, num_classes)
    # torchvision's functions take no clip size, although the network does.
    given = network.pos_encoding
    side = size // _PATCH[1]
    network.pos_encoding = type(given)(
        _EMBEDDING, (side, side), frames // _PATCH[0], rel_pos_embed=given.spatial_pos is None
    )
    for table in network.pos_encoding.parameters():
        nn.init.trunc_normal_(table, std=0.02)
    return network


def _check(name: str, frames: int, size: int) -> None:
    why = f"its patches are {_PATCH[0]} frames of {_PATCH[1]}x{_PATCH[1]} pixels"
    check_clip(name, frames, size, why, multiples_of=_PATCH)


class _NumbersInMemory(TorchFunctionMode):
    """Context for building MViT: pytorchvideo reads numbers from small tensors, which fails on `meta`."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        """Create those tensors, and no others, on the CPU."""
        options = options or {}
        if function in (torch.ones, torch.linspace):
            options = options | {"device": "cpu"}
        return function(*arguments, **options)
