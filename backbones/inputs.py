"""The input of a network: its normalisation, and motion in place of frames.

Clips have every colour normalised by the mean and deviation of Kinetics. Weights that were trained with other
numbers need those. The difference is a factor and a shift per colour. These are two buffers of the network,
which are saved and restored with its weights. Without such weights they change nothing.

Motion is the differences of consecutive frames, around grey, so that a network of frames can read it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ssl_video.contract import DEVIATION, MEAN

NAMES = _SCALE, _SHIFT = "input_scale", "input_shift"


@dataclass(frozen=True)
class Normalisation:
    """The map from pixels in [0, 1] to inputs, per colour: subtract the mean, divide by the deviation."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __str__(self) -> str:
        mean, deviation = (" ".join(f"{v:.3g}" for v in values) for values in (self.mean, self.deviation))
        return f"mean {mean}, deviation {deviation}"


CLIPS = Normalisation((MEAN,) * 3, (DEVIATION,) * 3)
IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def make_adjustable(network: nn.Module) -> None:
    """Give a network the two buffers, initially the identity."""
    network.register_buffer(_SCALE, torch.ones(3))
    network.register_buffer(_SHIFT, torch.zeros(3))
    network.register_forward_pre_hook(_adjust)


def adjust(network: nn.Module, wanted: Normalisation) -> None:
    """Make an adjustable network convert its clips to another normalisation."""
    # (pixel - mean) / deviation, where pixel = clip * CLIPS.deviation + CLIPS.mean
    pairs = list(zip(wanted.mean, wanted.deviation, CLIPS.mean, CLIPS.deviation, strict=True))
    network.get_buffer(_SCALE).copy_(torch.tensor([ours / theirs for _, theirs, _, ours in pairs]))
    network.get_buffer(_SHIFT).copy_(
        torch.tensor([(ours - mean) / theirs for mean, theirs, ours, _ in pairs])
    )


def see_motion(network: nn.Module) -> None:
    """Make a network read the motion of its clips, before any other conversion of them."""
    network.register_forward_pre_hook(_motion, prepend=True)


def _motion(network: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    """Return half the difference of each frame of (N, 3, T, H, W) to the next, around grey.

    Halved, the differences of pixels from 0 to 1 have the range of pixels. The last one is repeated.
    """
    clip = inputs[0]
    motion = clip.diff(dim=2).div_(2).add_((0.5 - MEAN) / DEVIATION)
    return torch.cat([motion, motion[:, :, -1:]], 2)


def _adjust(network: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    """Convert a clip (N, 3, T, H, W) to the normalisation of the network's weights."""
    scale, shift = (network.get_buffer(name).view(3, 1, 1, 1) for name in NAMES)
    return torch.addcmul(shift, inputs[0], scale)
