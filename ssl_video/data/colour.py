"""RandAugment's colour operations on batches of clips, each clip with its own magnitude.

Every operation maps clips (N, 3, T, H, W) in [0, 1] and magnitudes (N, 1, 1, 1, 1) in [0, 1] to clips.
Statistics (histograms, extremes, means) are those of the whole clip, so that the operation is the same in
every frame. The ranges are RandAugment's (arXiv:1909.13719, as in torchvision's
RandAugment): blends with factors from 0.1 to 1.9, 8 to 4 bits, thresholds from 1 down to 0.
"""

from collections.abc import Callable

import torch
from torch import Tensor

# ITU-R BT.601 luma, the grey of PIL and torchvision.
_LUMA = torch.tensor([0.2989, 0.587, 0.114]).view(1, 3, 1, 1, 1)


def autocontrast(clips: Tensor, magnitude: Tensor) -> Tensor:
    """Stretch each colour to the full range; the magnitude is not used, as in RandAugment."""
    low, high = clips.amin((2, 3, 4), keepdim=True), clips.amax((2, 3, 4), keepdim=True)
    span = high - low
    # Less than one of 255 levels is a single colour with rounding noise, which must not be stretched.
    return torch.where(span > 0.5 / 255, (clips - low) / span.clamp(min=0.5 / 255), clips)


def equalize(clips: Tensor, magnitude: Tensor) -> Tensor:
    """Make each colour's histogram flat, as PIL does; the magnitude is not used, as in RandAugment."""
    levels = (clips * 255).round().long().flatten(2).flatten(0, 1)  # (N * 3, T * H * W)
    offset = 256 * torch.arange(len(levels)).view(-1, 1)
    histogram = torch.bincount((levels + offset).flatten(), minlength=256 * len(levels)).view(-1, 256)
    below = histogram.cumsum(1) - histogram
    most = torch.where(histogram > 0, below, 0).amax(1, keepdim=True)  # below the highest level that occurs
    own = torch.arange(256) / 255  # a single level stays what it is
    table = torch.where(most > 0, below / most.clamp(min=1), own)
    return table.gather(1, levels).view(clips.shape)


def brightness(clips: Tensor, magnitude: Tensor) -> Tensor:
    """Blend with black."""
    return clips * _factor(magnitude)


def contrast(clips: Tensor, magnitude: Tensor) -> Tensor:
    """Blend with the clip's mean grey."""
    mean = _grey(clips).mean((2, 3, 4), keepdim=True)
    return torch.lerp(mean.expand_as(clips), clips, _factor(magnitude))


def saturation(clips: Tensor, magnitude: Tensor) -> Tensor:
    """Blend with the grey clip."""
    return torch.lerp(_grey(clips).expand_as(clips), clips, _factor(magnitude))


def sharpness(clips: Tensor, magnitude: Tensor) -> Tensor:
    """Blend with a smoothed clip (3 x 3, the centre weighted 5, as in PIL); the border stays."""
    rows = clips[..., :-2, :] + clips[..., 1:-1, :] + clips[..., 2:, :]
    total = rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:]
    smooth = clips.clone()
    smooth[..., 1:-1, 1:-1] = smooth[..., 1:-1, 1:-1].mul(4).add_(total).div_(13)
    return torch.lerp(smooth, clips, _factor(magnitude))


def posterize(clips: Tensor, magnitude: Tensor) -> Tensor:
    """Keep 8 to 4 bits of each colour."""
    step = 2 ** (magnitude * 4).round()  # distance between kept levels, in 1/255
    return ((clips * 255).round() / step).floor() * step / 255


def solarize(clips: Tensor, magnitude: Tensor) -> Tensor:
    """Invert what is brighter than a threshold."""
    return torch.where(clips >= 1 - magnitude, 1 - clips, clips)


def _grey(clips: Tensor) -> Tensor:
    """(N, 3, T, H, W) -> (N, 1, T, H, W)."""
    return (clips * _LUMA).sum(1, keepdim=True)


def _factor(magnitude: Tensor) -> Tensor:
    """A magnitude in [0, 1] as a blend factor: the lower half weakens (0.1 to 1), the upper exaggerates."""
    return 0.1 + 1.8 * magnitude


OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
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
