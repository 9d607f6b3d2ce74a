"""Clips made of two: where, and how much of each. Everything is drawn from torch's default generator."""

import math

import torch
from torch import Tensor


def beta_share(concentration: float) -> float:
    """A share in [0, 1] from Beta(c, c): c = 1 is uniform, more is nearer to one half; 0 never mixes."""
    return beta_shares(concentration, 1).item()


def beta_shares(concentration: float, count: int) -> Tensor:
    """As many independent shares, (count,) on the CPU."""
    if concentration == 0:
        return torch.zeros(count)
    return torch.distributions.Beta(concentration, concentration).sample((count,))


def box_tube(like: Tensor, share: float) -> Tensor:
    """A box at a random place, the same in every frame and clip, as CutMix draws it.

    CutMix (Yun et al. 2019, arXiv:1905.04899), held over time as VideoMix (Yun et al. 2020, arXiv:2012.03457)
    does. The box has the clip's proportions and its centre anywhere in the frame; what falls outside is cut
    off, so the mask's mean, which is what labels are mixed by, can be less than `share`.

    Args:
        like: clips (N, 3, T, H, W), for their size, type and device.
        share: of the frame's area, before the box is cut at its edges.

    Returns:
        (1, 1, 1, H, W), 1 inside and 0 outside.
    """
    mask = like.new_zeros(1, 1, 1, *like.shape[-2:])
    rows, columns = (
        _stretch(size, round(size * math.sqrt(share)), centre)
        for size, centre in zip(like.shape[-2:], torch.rand(2).tolist(), strict=True)
    )
    mask[..., rows, columns] = 1
    return mask


def patch_tube(like: Tensor, patch: int, share: float) -> Tensor:
    """Whole square patches at random places, the same in every frame and clip, as SVFormer draws them.

    Tube TokenMix of SVFormer (Xing et al. 2023, arXiv:2211.13222). For a network whose first layer cuts the
    frame into patches of that size, this mixes tokens exactly. Where the frame is no multiple of them, the
    patches at its lower and right edge are cut off.

    Args:
        like: clips (N, 3, T, H, W), for their size, type and device.
        patch: side of a patch in pixels.
        share: of the number of patches, rounded.

    Returns:
        (1, 1, 1, H, W), 1 inside and 0 outside.
    """
    height, width = like.shape[-2:]
    rows, columns = math.ceil(height / patch), math.ceil(width / patch)
    grid = torch.zeros(rows * columns)
    grid[torch.randperm(rows * columns)[: round(share * rows * columns)]] = 1
    pixels = grid.view(rows, columns).repeat_interleave(patch, 0).repeat_interleave(patch, 1)
    return pixels[:height, :width].to(like).view(1, 1, 1, height, width)


def mix(one: Tensor, other: Tensor, share: Tensor | float) -> Tensor:
    """`one` where the share is 0, `other` where it is 1, in between both, as MixUp does.

    Args:
        one: (N, ...).
        other: like `one`.
        share: a number, or a mask that fits (N, ...) when broadcast.

    Returns:
        Like `one`.
    """
    return torch.lerp(one, other, share)


def _stretch(size: int, length: int, centre: float) -> slice:
    start = math.floor(centre * size) - length // 2
    return slice(max(0, start), max(0, start + length))
