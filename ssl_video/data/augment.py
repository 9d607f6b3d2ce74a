"""Named augmentations: drawn once per clip, the same for all its frames, applied to the decoded frames.

Everything geometric (crop, flip, rotation, shear, translation) is one affine map per clip, so a clip is
resampled once, however many operations it goes through. Colour operations follow on the resampled clips.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ssl_video.data.colour import OPERATIONS as COLOUR

# Mean and deviation of Kinetics pixels in [0, 1], the values of PySlowFast and pytorchvideo.
MEAN, DEVIATION = 0.45, 0.225
# Pixels that an augmentation leaves empty.
GREY = 0.5


@dataclass(frozen=True)
class Recipe:
    """What an augmentation draws from.

    Attributes:
        area: range of the cropped share of the frame's area; None takes the largest central square.
        aspect: range of the crop's aspect ratio.
        flip: probability of a horizontal flip.
        operations: number of RandAugment operations (Cubuk et al. 2020, arXiv:1909.13719), each with a
            magnitude drawn uniformly up to its largest, as FixMatch does.
        cutout: largest side of a grey square, as a share of the clip's side (FixMatch: 0.5).
    """

    area: tuple[float, float] | None = None
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.0
    operations: int = 0
    cutout: float = 0.0


# The weak crop's range is ours: half the frame or more keeps the action in view.
_WEAK = Recipe(area=(0.5, 1.0), flip=0.5)
RECIPES: dict[str, Recipe] = {
    "none": Recipe(),
    "weak": _WEAK,
    "strong": replace(_WEAK, operations=2, cutout=0.5),
}

# RandAugment's geometric operations and largest magnitudes: degrees, shear factors, shares of the side.
GEOMETRY = {"rotate": 30.0, "shear_x": 0.3, "shear_y": 0.3, "translate_x": 0.3, "translate_y": 0.3}


@dataclass(frozen=True)
class Transform:
    """One clip's transform, drawn.

    Attributes:
        matrix: (2, 3), maps the output square [-1, 1]^2 to the source frame [-1, 1]^2.
        colours: names of colour operations with their magnitudes in [0, 1], in order.
        box: centre y, centre x, side of a square to grey out, in shares of the clip's side.
    """

    matrix: np.ndarray
    colours: tuple[tuple[str, float], ...] = ()
    box: tuple[float, float, float] | None = None


def draw(recipe: Recipe, generator: np.random.Generator, height: int, width: int) -> Transform:
    """Draw a clip's transform for frames of height x width pixels."""
    matrix = _random_crop(recipe, generator, height, width) if recipe.area else _square(height, width, 0.5)
    if generator.random() < recipe.flip:
        matrix = matrix @ np.diag([-1.0, 1.0, 1.0])
    names, colours = [*GEOMETRY, *COLOUR, "identity"], []
    for _ in range(recipe.operations):
        name, magnitude = names[generator.integers(len(names))], float(generator.random())
        if name in GEOMETRY:
            sign = 1 if generator.random() < 0.5 else -1
            # Output to source: the operation that comes first is nearest to the source.
            matrix = matrix @ _warp(name, sign * magnitude * GEOMETRY[name])
        elif name in COLOUR:
            colours.append((name, magnitude))
    box = None
    if recipe.cutout:
        y, x, side = (float(share) for share in generator.random(3))
        box = (y, x, side * recipe.cutout)
    return Transform(matrix[:2], tuple(colours), box)


def centre(height: int, width: int, place: float = 0.5) -> Transform:
    """The largest square, at `place` in [0, 1] along the longer side; 0.5 is the middle."""
    return Transform(_square(height, width, place)[:2])


def apply(clips: Sequence[np.ndarray], transforms: Sequence[Transform], size: int) -> Tensor:
    """Transform clips and normalise them.

    Args:
        clips: uint8 (T, H, W, 3); H and W may differ from clip to clip, T may not.
        transforms: one per clip.
        size: side of the result, in pixels.

    Returns:
        float32 (N, 3, T, size, size), in torch's channels_last_3d layout.
    """
    out = torch.empty((len(clips), 3, len(clips[0]), size, size), memory_format=torch.channels_last_3d)
    # One clip at a time stays in the processor's cache: up to twice as fast as the whole batch.
    for clip, transform, target in zip(clips, transforms, out, strict=True):
        pixels = _resample(clip, transform.matrix, size)
        for name, magnitude in transform.colours:
            pixels = COLOUR[name](pixels, torch.full((1, 1, 1, 1, 1), magnitude)).clamp_(0, 1)
        if transform.box:
            # The centre may lie anywhere, so the square may be cut by the border.
            y, x, side = (round(share * size) for share in transform.box)
            top, left = y - side // 2, x - side // 2
            pixels[..., max(top, 0) : top + side, max(left, 0) : left + side] = GREY
        target.copy_(pixels[0].sub_(MEAN).div_(DEVIATION))
    return out


def _resample(clip: np.ndarray, matrix: np.ndarray, size: int) -> Tensor:
    """One affine map, bilinear: float32 (1, 3, T, size, size) in [0, 1]. What lies outside is grey."""
    frames = len(clip)
    # (T, H, W, 3) -> (1, T * 3, H, W): frames and colours share one sampling grid.
    pixels = torch.from_numpy(np.ascontiguousarray(clip.transpose(0, 3, 1, 2)).astype(np.float32))
    # (S * S, 3) @ (3, 2) -> (1, S, S, 2)
    grid = (_centres(size) @ torch.from_numpy(matrix.T).float()).view(1, size, size, 2)
    sampled = F.grid_sample(pixels.flatten(0, 1)[None], grid, padding_mode="border", align_corners=False)
    sampled.div_(255)
    # Grey by padding would also blend into the frame's own border, wherever a frame is enlarged.
    outside = grid.abs().amax(-1) > 1
    if outside.any():
        sampled.masked_fill_(outside, GREY)
    # (1, T * 3, S, S) -> (1, 3, T, S, S)
    return sampled.unflatten(1, (frames, 3)).transpose(1, 2)


@lru_cache(maxsize=8)
def _centres(size: int) -> Tensor:
    """Pixel centres of the output square [-1, 1]^2 as (x, y, 1), row by row: (size * size, 3)."""
    places = (torch.arange(size) + 0.5) * 2 / size - 1
    y, x = torch.meshgrid(places, places, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)], -1).flatten(0, 1)


def _square(height: int, width: int, place: float) -> np.ndarray:
    """The map onto the largest square, (3, 3)."""
    side = min(height, width)
    return _box((height - side) * place, (width - side) * place, side, side, height, width)


def _random_crop(recipe: Recipe, generator: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A random crop's map, (3, 3): area and aspect as in random resized crop, cut to the frame."""
    assert recipe.area is not None
    area = height * width * generator.uniform(*recipe.area)
    aspect = math.exp(generator.uniform(*np.log(recipe.aspect)))
    crop_width = min(math.sqrt(area * aspect), width)
    crop_height = min(math.sqrt(area / aspect), height)
    top = generator.uniform(0, height - crop_height)
    left = generator.uniform(0, width - crop_width)
    return _box(top, left, crop_height, crop_width, height, width)


def _box(
    top: float, left: float, crop_height: float, crop_width: float, height: int, width: int
) -> np.ndarray:
    """The map from the output square onto a box of the frame, in pixels: (3, 3)."""
    scale_x, scale_y = crop_width / width, crop_height / height
    shift_x, shift_y = (2 * left + crop_width) / width - 1, (2 * top + crop_height) / height - 1
    return np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y], [0, 0, 1]])


def _warp(name: str, amount: float) -> np.ndarray:
    """A geometric operation on the output square, (3, 3)."""
    matrix = np.eye(3)
    if name == "rotate":
        cosine, sine = math.cos(math.radians(amount)), math.sin(math.radians(amount))
        matrix[:2, :2] = [[cosine, -sine], [sine, cosine]]
    elif name.startswith("shear"):
        matrix[(0, 1) if name.endswith("x") else (1, 0)] = amount
    else:
        # The square is two wide, so a share of its side counts twice.
        matrix[0 if name.endswith("x") else 1, 2] = 2 * amount
    return matrix
