"""Mixtures of two clips: masks, fractions, mixing. Everything is drawn from torch's default generator."""

import math

import torch
from torch import Tensor


def beta_fraction(concentration: float) -> float:
    """Draw a fraction from Beta(c, c): c = 1 is uniform, larger c is nearer to one half; c = 0 returns 0."""
    return beta_fractions(concentration, 1).item()


def beta_fractions(concentration: float, count: int) -> Tensor:
    """Draw `count` independent fractions like `beta_fraction`, (count,) on the CPU."""
    if concentration == 0:
        return torch.zeros(count)
    return torch.distributions.Beta(concentration, concentration).sample((count,))


def box_tube(like: Tensor, fraction: float) -> Tensor:
    """Draw a box mask at a random place, the same in every frame and clip, as in CutMix.

    CutMix (Yun et al. 2019, arXiv:1905.04899), constant over time as in VideoMix (Yun et al. 2020,
    arXiv:2012.03457). The box has the frame's proportions and a centre anywhere in the frame. It is clipped
    at the frame's edges, and as in the authors' code its sides are rounded down to even numbers of pixels. So
    the mask's mean, by which labels are mixed, can be less than `fraction`.

    Args:
        like: clips (N, 3, T, H, W), for their size, type and device.
        fraction: that of the frame's area, before the box is clipped.

    Returns:
        (1, 1, 1, H, W), 1 inside and 0 outside.
    """
    mask = like.new_zeros(1, 1, 1, *like.shape[-2:])
    rows, columns = (
        _stretch(size, int(size * math.sqrt(fraction)) // 2, math.floor(size * centre))
        for size, centre in zip(like.shape[-2:], torch.rand(2).tolist(), strict=True)
    )
    mask[..., rows, columns] = 1
    return mask


def patch_tube(like: Tensor, patch: int, fraction: float) -> Tensor:
    """Draw a mask of whole square patches at random places, the same in every frame and clip.

    Tube TokenMix of SVFormer (Xing et al. 2023, arXiv:2211.13222). For a network whose first layer cuts the
    frame into patches of that size, this mixes tokens exactly. If the frame's sides are not multiples of
    `patch`, the patches at its lower and right edge are cut off.

    Args:
        like: clips (N, 3, T, H, W), for their size, type and device.
        patch: side of a patch in pixels.
        fraction: that of the number of patches, rounded.

    Returns:
        (1, 1, 1, H, W), 1 inside and 0 outside.
    """
    height, width = like.shape[-2:]
    rows, columns = math.ceil(height / patch), math.ceil(width / patch)
    grid = torch.zeros(rows * columns)
    grid[torch.randperm(rows * columns)[: round(fraction * rows * columns)]] = 1
    pixels = grid.view(rows, columns).repeat_interleave(patch, 0).repeat_interleave(patch, 1)
    return pixels[:height, :width].to(like).view(1, 1, 1, height, width)


def mix(one: Tensor, other: Tensor, fraction: Tensor | float) -> Tensor:
    """Interpolate from `one` (fraction 0) to `other` (fraction 1), as in MixUp.

    Args:
        one: (N, ...).
        other: like `one`.
        fraction: that of `other`: a number, or a mask that broadcasts to (N, ...).

    Returns:
        Like `one`.
    """
    return torch.lerp(one, other, fraction)


def _stretch(size: int, half: int, centre: int) -> slice:
    return slice(max(0, centre - half), min(size, centre + half))
