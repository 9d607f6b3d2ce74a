"""Named augmentations: drawn once per clip, the same for all its frames, applied to the decoded frames.

All geometric operations (crop, flip, rotation, shear, translation) form one affine map per clip, so a clip is
resampled only once:

- A map that only crops, flips and translates takes a box of whole pixels. It is resized by bilinear
  interpolation with antialiasing: in a reduction, every pixel of the box counts.
- A map that rotates or shears is interpolated between the four nearest pixels, without antialiasing.

Frames are integer levels (uint8) until they are normalised at the end. Colour operations are applied to the
resampled clips, see `ssl_video.data.views.colour`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ssl_video.contract import DEVIATION, MEAN
from ssl_video.data.views.colour import OPERATIONS as COLOUR
from ssl_video.data.views.sampling import Stream
from ssl_video.data.views.temporal import TEMPORAL
from ssl_video.spec import AugmentationSpec

# Normalised value = level in [0, 255] * scale - shift.
_SCALE, _SHIFT = 1 / (255 * DEVIATION), MEAN / DEVIATION
# Level of the pixels that an augmentation leaves empty, as in FixMatch.
GREY = 127


@dataclass(frozen=True)
class Recipe:
    """The distribution of an augmentation.

    Attributes:
        area: range of the cropped fraction of the frame's area; None takes the largest central square.
        aspect: range of the crop's aspect ratio.
        flip: probability of a horizontal flip.
        operations: number of RandAugment operations (Cubuk et al. 2020, arXiv:1909.13719), each with a
            magnitude drawn uniformly up to its maximum, as in FixMatch.
        strength: multiplier of these magnitudes.
        cutout: largest side of a grey square, as a fraction of the clip's side (FixMatch: 0.5).
        temporal: name of a temporal augmentation (see `ssl_video.data.views.temporal`), if any.
    """

    area: tuple[float, float] | None = None
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.0
    operations: int = 0
    strength: float = 1.0
    cutout: float = 0.0
    temporal: str | None = None


def recipes(given: AugmentationSpec) -> dict[str, Recipe]:
    """Return the recipe of every name that a view may request.

    A name is that of a spatial recipe, alone or followed by "+" and a temporal augmentation.
    """
    weak = Recipe((given.area, 1.0), (1 / given.aspect, given.aspect), given.flip)
    strong = replace(weak, operations=given.operations, strength=given.strength, cutout=given.cutout)
    spatial = {"none": Recipe(), "weak": weak, "strong": strong}
    return spatial | {
        f"{name}+{temporal}": replace(recipe, temporal=temporal)
        for temporal in TEMPORAL
        for name, recipe in spatial.items()
    }


# The weak crop's range is our choice: half the frame or more keeps the action in view.
RECIPES = recipes(AugmentationSpec())

# RandAugment's geometric operations and largest magnitudes: degrees, shear factors, fractions of the side.
GEOMETRY = {"rotate": 30.0, "shear_x": 0.3, "shear_y": 0.3, "translate_x": 0.3, "translate_y": 0.3}


@dataclass(frozen=True)
class Transform:
    """The transform drawn for one clip.

    Attributes:
        matrix: (2, 3), maps the output square [-1, 1]^2 to the source frame [-1, 1]^2.
        colours: names of colour operations with their magnitudes in [0, 1], in order.
        box: centre y, centre x, side of a square to grey out, as fractions of the clip's side.
    """

    matrix: np.ndarray
    colours: tuple[tuple[str, float], ...] = ()
    box: tuple[float, float, float] | None = None


def spatial(augmentation: str) -> str:
    """Return the spatial part of an augmentation's name; views that share it are transformed alike."""
    return augmentation.partition("+")[0]


def draw(recipe: Recipe, stream: Stream, height: int, width: int) -> Transform:
    """Draw a clip's transform for frames of height x width pixels."""
    matrix = _random_crop(recipe, stream, height, width) if recipe.area else _square(height, width, 0.5)
    if stream.uniform() < recipe.flip:
        matrix = matrix @ np.diag([-1.0, 1.0, 1.0])
    names, colours = [*GEOMETRY, *COLOUR, "identity"], []
    for _ in range(recipe.operations):
        name, magnitude = names[stream.integer(len(names))], stream.uniform() * recipe.strength
        if name in GEOMETRY:
            sign = 1 if stream.uniform() < 0.5 else -1
            # The matrix maps output to source, so the first operation is the nearest to the source.
            matrix = matrix @ _warp(name, sign * magnitude * GEOMETRY[name])
        elif name in COLOUR:
            colours.append((name, magnitude))
    box = None
    if recipe.cutout:
        box = (stream.uniform(), stream.uniform(), stream.uniform(0, recipe.cutout))
    return Transform(matrix[:2], tuple(colours), box)


def centre(height: int, width: int, place: float = 0.5) -> Transform:
    """Return a crop of the largest square, at `place` in [0, 1] along the longer side; 0.5 is the middle."""
    return Transform(_square(height, width, place)[:2])


def apply(clips: Sequence[np.ndarray], transforms: Sequence[Transform], size: int) -> Tensor:
    """Transform and normalise clips.

    Args:
        clips: uint8 (T, H, W, 3); H and W may differ from clip to clip, T may not.
        transforms: one per clip.
        size: side of the result, in pixels.

    Returns:
        float32 (N, 3, T, size, size), in torch's channels_last_3d layout.
    """
    # NumPy asks the system for huge pages and torch does not: fewer page faults.
    memory = torch.from_numpy(np.empty((len(clips), len(clips[0]), size, size, 3), np.float32))
    # A single clip fits into the processor's cache: up to twice as fast as the whole batch.
    for clip, transform, target in zip(clips, transforms, memory, strict=True):
        pixels = _resample(clip, transform.matrix, size)
        for name, magnitude in transform.colours:
            pixels = COLOUR[name](pixels, magnitude)
        if transform.box:
            # The centre may lie anywhere, so the border may cut the square.
            y, x, side = (round(edge * size) for edge in transform.box)
            top, left = y - side // 2, x - side // 2
            pixels[:, max(top, 0) : top + side, max(left, 0) : left + side] = GREY
        target.copy_(torch.from_numpy(pixels)).mul_(_SCALE).sub_(_SHIFT)
    # (N, T, S, S, 3) in memory is (N, 3, T, S, S) in channels_last_3d.
    return memory.permute(0, 4, 1, 2, 3)


def restore(clips: Tensor) -> np.ndarray:
    """Undo the normalisation: (..., 3, T, S, S) -> uint8 (..., T, S, S, 3)."""
    levels = (clips.movedim(-4, -1) + _SHIFT) / _SCALE
    return levels.round().to(torch.uint8).numpy()


def _resample(clip: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Apply an affine map: uint8 (T, H, W, 3) -> (T, size, size, 3). Pixels outside the frame become grey."""
    straight = matrix[0, 1] == matrix[1, 0] == 0
    return _resize(clip, matrix, size) if straight else _interpolate(clip, matrix, size)


def _resize(clip: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Apply a map without rotation and shear, which takes a box of whole pixels."""
    left, width = _extent(matrix[0, 0], matrix[0, 2], clip.shape[2])
    top, height = _extent(matrix[1, 1], matrix[1, 2], clip.shape[1])
    inside = clip[:, max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    if inside.shape[1:3] != (height, width):
        y, x = max(-top, 0), max(-left, 0)
        box = np.full((len(clip), height, width, 3), GREY, np.uint8)
        box[:, y : y + inside.shape[1], x : x + inside.shape[2]] = inside
        inside = box
    frames = torch.from_numpy(inside).permute(0, 3, 1, 2)
    resized = F.interpolate(frames, (size, size), mode="bilinear", antialias=True)
    if matrix[0, 0] < 0:
        resized = resized.flip(3)
    return np.ascontiguousarray(resized.permute(0, 2, 3, 1).numpy())


def _extent(scale: float, shift: float, length: int) -> tuple[int, int]:
    """Return the first pixel and the number of pixels that a map takes from a side of `length` pixels."""
    first = (shift - abs(scale) + 1) / 2 * length
    return round(first), max(1, round(abs(scale) * length))


def _interpolate(clip: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Apply any map, interpolating between the four nearest pixels."""
    # (S * S, 3) @ (3, 2) -> (1, S, S, 2)
    grid = (_centres(size) @ torch.from_numpy(matrix.T).float()).view(1, size, size, 2)
    out = np.empty((len(clip), size, size, 3), np.uint8)
    # A single frame fits into the processor's cache.
    for frame, target in zip(torch.from_numpy(clip), out, strict=True):
        # grid_sample yields zeros outside the frame, which are grey because grey has been subtracted.
        pixels = frame.permute(2, 0, 1)[None].float().sub_(GREY)
        sampled = F.grid_sample(pixels, grid, align_corners=False)
        levels = sampled[0].add_(GREY + 0.5).numpy()  # (3, S, S)
        for colour in range(3):
            # Colour by colour is three times as fast as a transposed copy; the cast truncates fractions.
            np.copyto(target[..., colour], levels[colour], casting="unsafe")
    return out


@lru_cache(maxsize=8)
def _centres(size: int) -> Tensor:
    """Return the pixel centres of the output square [-1, 1]^2 as (x, y, 1), row by row: (size * size, 3)."""
    places = (torch.arange(size) + 0.5) * 2 / size - 1
    y, x = torch.meshgrid(places, places, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)], -1).flatten(0, 1)


def _square(height: int, width: int, place: float) -> np.ndarray:
    """Return the map onto the largest square, at a whole pixel: (3, 3)."""
    side = min(height, width)
    top, left = round((height - side) * place), round((width - side) * place)
    return _box(top, left, side, side, height, width)


def _random_crop(recipe: Recipe, stream: Stream, height: int, width: int) -> np.ndarray:
    """Draw a random crop's map, (3, 3): area and aspect as in random resized crop, limited to the frame."""
    assert recipe.area is not None
    area = height * width * stream.uniform(*recipe.area)
    aspect = math.exp(stream.uniform(math.log(recipe.aspect[0]), math.log(recipe.aspect[1])))
    crop_width = min(max(1, round(math.sqrt(area * aspect))), width)
    crop_height = min(max(1, round(math.sqrt(area / aspect))), height)
    top = stream.integer(height - crop_height + 1)
    left = stream.integer(width - crop_width + 1)
    return _box(top, left, crop_height, crop_width, height, width)


def _box(
    top: float, left: float, crop_height: float, crop_width: float, height: int, width: int
) -> np.ndarray:
    """Return the map from the output square onto a box of the frame, in pixels: (3, 3)."""
    scale_x, scale_y = crop_width / width, crop_height / height
    shift_x, shift_y = (2 * left + crop_width) / width - 1, (2 * top + crop_height) / height - 1
    return np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y], [0, 0, 1]])


def _warp(name: str, amount: float) -> np.ndarray:
    """Return a geometric operation on the output square, (3, 3)."""
    matrix = np.eye(3)
    if name == "rotate":
        cosine, sine = math.cos(math.radians(amount)), math.sin(math.radians(amount))
        matrix[:2, :2] = [[cosine, -sine], [sine, cosine]]
    elif name.startswith("shear"):
        matrix[(0, 1) if name.endswith("x") else (1, 0)] = amount
    else:
        # The square's side is 2, so a fraction of its side counts twice.
        matrix[0 if name.endswith("x") else 1, 2] = 2 * amount
    return matrix
