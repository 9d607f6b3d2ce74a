"""Frames of noise, transforms drawn for them, and what comes out, in levels."""

import numpy as np
import torch
from torch import Tensor

from ssl_video.data.views.augment import Recipe, Transform, apply, draw
from ssl_video.data.views.sampling import Stream

IDENTITY = np.eye(3)[:2]
GREY = (127 / 255 - 0.45) / 0.225  # normalised


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Levels of any shape, as uint8."""
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def levels(view: Tensor) -> Tensor:
    """Normalised (N, 3, T, H, W) -> levels in [0, 255] as (N, T, H, W, 3), the layout of frames."""
    return ((view * 0.225 + 0.45) * 255).permute(0, 2, 3, 4, 1)


def one(frames: np.ndarray, transform: Transform, size: int) -> Tensor:
    """The only clip's result, as levels (T, S, S, 3)."""
    return levels(apply([frames], [transform], size))[0]


def draws(recipe: Recipe, number: int, height: int = 40, width: int = 40) -> list[Transform]:
    """Transforms of as many clips, each from a stream of its own."""
    return [draw(recipe, Stream(0, "augment", n), height, width) for n in range(number)]


def same(ours: Tensor, expected: np.ndarray, tolerance: float = 0.01) -> bool:
    """Whether levels agree everywhere."""
    return bool((ours - torch.from_numpy(np.ascontiguousarray(expected)).float()).abs().max() < tolerance)
