"""Named augmentations: drawn once per clip, the same for all its frames, applied to a batch at a time.

Everything geometric (crop, flip, rotation, shear, translation) is one affine map per clip, so a clip is
resampled once, however many operations it goes through. Colour operations follow on the resampled clips.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ssl_video.data.colour import OPERATIONS as COLOUR

# Mean and deviation of Kinetics pixels in [0, 1], the values of PySlowFast and pytorchvideo.
MEAN, DEVIATION = 0.45, 0.225


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
_WEAK = {"area": (0.5, 1.0), "flip": 0.5}
RECIPES: dict[str, Recipe] = {
    "none": Recipe(),
    "weak": Recipe(**_WEAK),  # type: ignore[arg-type]
    "strong": Recipe(**_WEAK, operations=2, cutout=0.5),  # type: ignore[arg-type]
}

# RandAugment's geometric operations and largest magnitudes: degrees, shear factors, shares of the side.
GEOMETRY = {"rotate": 30.0, "shear_x": 0.3, "shear_y": 0.3, "translate_x": 0.3, "translate_y": 0.3}


@dataclass
class Transform:
    """One clip's transform, drawn.

    Attributes:
        matrix: (2, 3), maps the output square [-1, 1]^2 to the source frame [-1, 1]^2.
        colours: names of colour operations with their magnitudes in [0, 1], in order; None is none.
        box: y, x, side of a square to grey out, in shares of the clip's side.
    """

    matrix: np.ndarray
    colours: list[tuple[str, float] | None] = field(default_factory=list)
    box: tuple[float, float, float] | None = None


def draw(recipe: Recipe, generator: np.random.Generator, height: int, width: int) -> Transform:
    """Draw a clip's transform for frames of height x width pixels."""
    if recipe.area is None:
        return centre(height, width)
    crop = _random_crop(recipe, generator, height, width)
    if generator.random() < recipe.flip:
        crop = crop @ np.diag([-1.0, 1.0, 1.0])
    transform = Transform(crop[:2])
    names = [*GEOMETRY, *COLOUR, "identity"]
    warp = np.eye(3)
    for _ in range(recipe.operations):
        name, magnitude = names[generator.integers(len(names))], float(generator.random())
        if name in GEOMETRY:
            sign = 1 if generator.random() < 0.5 else -1
            warp = warp @ _warp(name, sign * magnitude * GEOMETRY[name])
        transform.colours.append((name, magnitude) if name in COLOUR else None)
    transform.matrix = (crop @ warp)[:2]
    if recipe.cutout:
        y, x, side = generator.random(3)
        transform.box = (float(y), float(x), float(side * recipe.cutout))
    return transform


def centre(height: int, width: int, place: float = 0.5) -> Transform:
    """The largest square, at `place` in [0, 1] along the longer side; 0.5 is the middle."""
    side = min(height, width)
    return Transform(
        _box(
            (height - side) * (place if height > width else 0.5),
            (width - side) * place,
            side,
            side,
            height,
            width,
        )[:2]
    )


def apply(clips: Sequence[np.ndarray], transforms: Sequence[Transform], size: int) -> Tensor:
    """Transform clips and normalise them.

    Args:
        clips: uint8 (T, H, W, 3); H and W may differ from clip to clip, T may not.
        transforms: one per clip.
        size: side of the result, in pixels.

    Returns:
        float32 (N, 3, T, size, size), in torch's channels_last_3d layout.
    """
    out = _resample(clips, transforms, size)
    for position in range(max(len(t.colours) for t in transforms)):
        _colour(out, [t.colours[position] if t.colours else None for t in transforms])
    for clip, transform in zip(out, transforms, strict=True):
        if transform.box:
            # A pixel range per axis; the centre may lie anywhere, so the square may be cut by the border.
            y, x, side = (round(v * size) for v in transform.box)
            top, left = max(y - side // 2, 0), max(x - side // 2, 0)
            clip[:, :, top : y - side // 2 + side, left : x - side // 2 + side] = 0.5
    return out.sub_(MEAN).div_(DEVIATION).contiguous(memory_format=torch.channels_last_3d)


def _resample(clips: Sequence[np.ndarray], transforms: Sequence[Transform], size: int) -> Tensor:
    """Affine maps, bilinear: float32 (N, 3, T, size, size) in [0, 1]. What lies outside a frame is grey."""
    frames = len(clips[0])
    out = torch.empty(len(clips), 3, frames, size, size)
    matrices = torch.from_numpy(np.stack([t.matrix for t in transforms])).float()
    for shape in {clip.shape for clip in clips}:
        chosen = [n for n, clip in enumerate(clips) if clip.shape == shape]
        # (n, T, H, W, 3) -> (n, T * 3, H, W): frames and colours share one sampling grid per clip.
        source = torch.from_numpy(np.stack([clips[n] for n in chosen])).permute(0, 1, 4, 2, 3).flatten(1, 2)
        grid = F.affine_grid(matrices[chosen], [len(chosen), 1, size, size], align_corners=False)
        # Zero padding of pixels shifted by one half is grey padding.
        pixels = source.float().div_(255).sub_(0.5)
        sampled = F.grid_sample(pixels, grid, padding_mode="zeros", align_corners=False).add_(0.5)
        # (n, T * 3, S, S) -> (n, 3, T, S, S)
        out[chosen] = sampled.unflatten(1, (frames, 3)).transpose(1, 2)
    return out


def _colour(clips: Tensor, operations: Sequence[tuple[str, float] | None]) -> None:
    """One colour operation per clip, in place; clips with the same operation go through it together."""
    for name in {operation[0] for operation in operations if operation}:
        chosen = [n for n, operation in enumerate(operations) if operation and operation[0] == name]
        magnitudes = torch.tensor(
            [operation[1] for operation in operations if operation and operation[0] == name]
        )
        clips[chosen] = COLOUR[name](clips[chosen], magnitudes.view(-1, 1, 1, 1, 1)).clamp_(0, 1)


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
