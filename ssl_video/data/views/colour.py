"""RandAugment's colour operations on clips of integer levels.

Every operation maps a clip, uint8 (T, H, W, 3), and a magnitude in [0, 1] to a new clip of the same shape.
Results are rounded to integer levels and clipped to their range, as in the original RandAugment, which works
on PIL images. Statistics (histograms, extremes, means) are those of the whole clip, so that the operation is
the same in every frame. The ranges are RandAugment's (arXiv:1909.13719, as in torchvision's RandAugment):
blends with factors from 0.1 to 1.9, 8 to 4 bits, thresholds from 1 down to 0.

A row of pixels (W * 3 numbers) is processed as a whole wherever possible: NumPy is several times slower on an
innermost axis of three. Arithmetic on uint8 and float32 was measured to be faster than tables of 256 entries.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageOps

# ITU-R BT.601 luma, the grey of PIL and torchvision.
_LUMA = np.array([0.2989, 0.587, 0.114], np.float32)


def autocontrast(clip: np.ndarray, magnitude: float) -> np.ndarray:
    """Stretch each colour to the full range; the magnitude is not used, as in RandAugment."""
    rows = _rows(clip)
    low = rows.min(0).reshape(-1, 3).min(0).astype(np.float32)
    span = rows.max(0).reshape(-1, 3).max(0) - low
    scale = np.where(span > 0, 255 / np.maximum(span, 1), 1).astype(np.float32)
    return _affine(clip, scale, np.where(span > 0, -low * scale, 0))


def equalize(clip: np.ndarray, magnitude: float) -> np.ndarray:
    """Make each colour's histogram flat, by PIL; the magnitude is not used, as in RandAugment."""
    # One tall image of all frames has the same histogram as the clip.
    frames, height, width, _ = clip.shape
    tall = Image.fromarray(clip.reshape(frames * height, width, 3))
    return np.array(ImageOps.equalize(tall)).reshape(clip.shape)


def brightness(clip: np.ndarray, magnitude: float) -> np.ndarray:
    """Blend with black."""
    return _affine(clip, _factor(magnitude), 0)


def contrast(clip: np.ndarray, magnitude: float) -> np.ndarray:
    """Blend with the clip's mean grey."""
    means = _rows(clip).sum(0, dtype=np.uint32).reshape(-1, 3).sum(0) / (clip.size / 3)
    factor = _factor(magnitude)
    return _affine(clip, factor, (1 - factor) * float(means @ _LUMA))


def saturation(clip: np.ndarray, magnitude: float) -> np.ndarray:
    """Blend with the grey clip."""
    # Each pixel (1, 3) times (3, 3): the factor times itself, plus the rest of its luma in every colour.
    factor = np.float32(_factor(magnitude))
    matrix = factor * np.eye(3, dtype=np.float32) + (1 - factor) * _LUMA[:, None]
    return _levels(clip.astype(np.float32).reshape(-1, 3) @ matrix).reshape(clip.shape)


def sharpness(clip: np.ndarray, magnitude: float) -> np.ndarray:
    """Blend with a smoothed clip (3 x 3, the centre weighted 5, as in PIL); the border stays."""
    frames, height, width, _ = clip.shape
    pixels = clip.reshape(frames, height, width * 3).astype(np.uint16)
    total = pixels[:, :-2] + pixels[:, 1:-1] + pixels[:, 2:]
    total = total[:, :, :-6] + total[:, :, 3:-3] + total[:, :, 6:]
    factor = _factor(magnitude)
    blend = total * np.float32((1 - factor) / 13)
    blend += pixels[:, 1:-1, 3:-3] * np.float32(factor + 4 * (1 - factor) / 13)
    out = clip.copy()
    out.reshape(pixels.shape)[:, 1:-1, 3:-3] = _levels(blend)
    return out


def posterize(clip: np.ndarray, magnitude: float) -> np.ndarray:
    """Keep 8 to 4 bits of each colour."""
    lost = round(4 * magnitude)
    return clip & np.uint8(256 - 2**lost)


def solarize(clip: np.ndarray, magnitude: float) -> np.ndarray:
    """Invert levels at or above a threshold."""
    # Inverting a level is flipping its bits.
    bright = clip >= np.float32(255 * (1 - magnitude))
    return clip ^ (bright * np.uint8(255))


def _rows(clip: np.ndarray) -> np.ndarray:
    """Reshape (T, H, W, 3) -> (T * H, W * 3)."""
    return clip.reshape(-1, clip.shape[2] * 3)


def _affine(clip: np.ndarray, scale: float | np.ndarray, shift: float | np.ndarray) -> np.ndarray:
    """Return `scale * clip + shift`, each one number for all colours or one per colour."""
    width = clip.shape[2]
    pixels = _rows(clip).astype(np.float32)
    pixels *= _row(scale, width)
    pixels += _row(shift, width)
    return _levels(pixels).reshape(clip.shape)


def _row(number: float | np.ndarray, width: int) -> np.ndarray:
    """Expand one number for all colours, or one per colour, along a row of pixels."""
    value = np.asarray(number, np.float32)
    return np.tile(value, width) if value.ndim else value


def _levels(pixels: np.ndarray) -> np.ndarray:
    """Convert float32 -> uint8, rounded and clipped to [0, 255]; the argument is overwritten."""
    pixels += np.float32(0.5)
    return np.clip(pixels, 0, 255, out=pixels).astype(np.uint8)


def _factor(magnitude: float) -> float:
    """Map a magnitude in [0, 1] to a blend factor: the lower half weakens (0.1 to 1), the upper amplifies."""
    return 0.1 + 1.8 * magnitude


OPERATIONS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    operation.__name__: operation
    for operation in (
        autocontrast,
        equalize,
        brightness,
        contrast,
        saturation,
        sharpness,
        posterize,
        solarize,
    )
}
