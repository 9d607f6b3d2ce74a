"""A network that takes decoded frames and returns probabilities, in plain tensor operations.

Pixels have to be those of `ssl_video.data.views.augment`, where frames stay integers: torch resizes uint8
with weights of 16 bits, and rounds after each of the two passes. The interpolations of other programs round
elsewhere, and one level more or less in every tenth pixel changes probabilities. So the weights are made
here, as integers, and applied by products of matrices in float64, which are exact.
"""

import torch
from torch import Tensor, nn

from ssl_video.contract import DEVIATION, MEAN

_MOST_BITS, _WEIGHT_BITS = 22, 15


class FromFrames(nn.Module):
    """Frames to probabilities: centre square, resize, normalise, network, softmax.

    Args:
        network: normalised clips (N, 3, T, S, S) -> logits (N, classes).
        size: S, the side of its clips in pixels.
        temperature: the number that logits are divided by.
    """

    temperature: Tensor

    def __init__(self, network: nn.Module, size: int, temperature: float = 1.0) -> None:
        super().__init__()
        self.network, self.size = network, size
        self.register_buffer("temperature", torch.tensor(temperature))

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames, uint8 (N, T, H, W, 3) of any height and width -> probabilities (N, classes)."""
        levels = central_square(frames, self.size)
        clip = levels.float() * (1 / (255 * DEVIATION)) - MEAN / DEVIATION
        logits = self.network(clip.transpose(1, 2)).float()  # (N, T, 3, S, S) -> (N, 3, T, S, S)
        return (logits / self.temperature).softmax(-1)


def central_square(frames: Tensor, size: int) -> Tensor:
    """Cut the largest central square and resize it: uint8 (N, T, H, W, 3) -> float64 (N, T, 3, size, size).

    The values are those of torch's antialiased bilinear interpolation of uint8, bit for bit.
    """
    height, width = frames.shape[2:4]
    down, across = (torch.arange(length, dtype=torch.float64) for length in (height, width))
    # The sides as tensors, so that an export for any height and width has no condition on them.
    sides = torch.stack([down[-1], across[-1]]) + 1
    side = sides.min()
    # Half of what is left, rounded to an even number where it lies between two.
    left_over = sides - side
    first = torch.floor((left_over + torch.remainder(torch.floor(left_over / 2), 2)) / 2)
    levels = frames.permute(0, 1, 4, 2, 3).double()  # (N, T, 3, H, W)
    weights, unit = _weights(across - first[1], side, size)
    levels = _rounded(levels @ weights.T, unit)
    weights, unit = _weights(down - first[0], side, size)
    return _rounded(weights @ levels, unit)


def _weights(places: Tensor, side: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return integer weights (size, L) of pixels at places (L,) of a side, and the number that stands for 1.

    Args:
        places: place of each pixel on the side; those outside [0, side) get no weight.
        side: number of pixels of the side that is resized.
        size: number of pixels that it is resized to.
    """
    scale = side / size
    reach = scale.clamp(min=1)
    centres = (torch.arange(size, dtype=torch.float64)[:, None] + 0.5) * scale  # (size, 1)
    first = torch.floor(centres - reach + 0.5).clamp(min=0)
    last = torch.minimum(torch.floor(centres + reach + 0.5), side)
    inside = (places >= first) & (places < last)  # (size, L)
    weights = (1 - ((places - centres + 0.5) / reach).abs()).clamp(min=0) * inside.double()
    weights = weights / weights.sum(1, keepdim=True)
    # As many bits as the largest weight leaves of 15.
    units = 2.0 ** torch.arange(_MOST_BITS + 1, dtype=torch.float64)
    fitting = torch.floor(0.5 + weights.max() * units) < 2**_WEIGHT_BITS
    unit = (units * fitting.double()).max()
    return torch.floor(0.5 + weights * unit), unit


def _rounded(sums: Tensor, unit: Tensor) -> Tensor:
    """Divide weighted sums by the weights' unit, and round them to levels."""
    return torch.floor((sums + unit / 2) / unit).clamp(0, 255)
