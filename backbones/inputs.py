"""What a network is shown: clips as they are normalised here, or as its weights were trained.

Clips come with every colour normalised by the mean and deviation of Kinetics. Weights that were trained with
other numbers have to see those. The difference is a factor and a shift per colour: two buffers of the network
that are saved and restored with its weights. Without such weights they change nothing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ssl_video.contract import DEVIATION, MEAN

NAMES = _SCALE, _SHIFT = "input_scale", "input_shift"


@dataclass(frozen=True)
class Normalisation:
    """How pixels in [0, 1] become inputs: less the mean, divided by the deviation, for each colour."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __str__(self) -> str:
        mean, deviation = (" ".join(f"{v:.3g}" for v in values) for values in (self.mean, self.deviation))
        return f"mean {mean}, deviation {deviation}"


CLIPS = Normalisation((MEAN,) * 3, (DEVIATION,) * 3)


def make_adjustable(network: nn.Module) -> None:
    """Give a network the two buffers, which change nothing yet."""
    network.register_buffer(_SCALE, torch.ones(3))
    network.register_buffer(_SHIFT, torch.zeros(3))
    network.register_forward_pre_hook(_adjust)


def adjust(network: nn.Module, wanted: Normalisation) -> None:
    """Let an adjustable network see its clips as if they were normalised in another way."""
    # (pixel - mean) / deviation, where pixel = clip * CLIPS.deviation + CLIPS.mean
    pairs = list(zip(wanted.mean, wanted.deviation, CLIPS.mean, CLIPS.deviation, strict=True))
    network.get_buffer(_SCALE).copy_(torch.tensor([ours / theirs for _, theirs, _, ours in pairs]))
    network.get_buffer(_SHIFT).copy_(
        torch.tensor([(ours - mean) / theirs for mean, theirs, ours, _ in pairs])
    )


def _adjust(network: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    """Clip (N, 3, T, H, W) -> the same, normalised as the network's weights want it."""
    scale, shift = (network.get_buffer(name).view(3, 1, 1, 1) for name in NAMES)
    return torch.addcmul(shift, inputs[0], scale)
