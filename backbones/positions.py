"""Positions of image patches, for weights of another image size."""

import math
from collections.abc import Sequence

from torch import Tensor

from ssl_video.backbones.libraries import importing


def resample(places: Tensor, grid: Sequence[int], tokens: int = 1) -> Tensor:
    """Interpolate learned positions to another grid of patches, as timm does.

    Args:
        places: positions of a square grid of P patches, after those of the tokens, (1, tokens + P, C).
        grid: rows and columns of the new grid.
        tokens: number of tokens with a position that are no patches.

    Returns:
        (1, tokens + rows * columns, C); `places` themselves where their grid is no square.
    """
    count = places.shape[1] - tokens if places.dim() == 3 else -1
    if count < 1 or math.isqrt(count) ** 2 != count or count == math.prod(grid):
        return places
    with importing("timm"):
        from timm.layers.pos_embed import resample_abs_pos_embed
    resampled: Tensor = resample_abs_pos_embed(places, list(grid), num_prefix_tokens=tokens)
    return resampled
