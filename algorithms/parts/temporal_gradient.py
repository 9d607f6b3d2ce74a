"""The temporal gradient: frame differences, a view of a clip that shows mainly motion."""

import torch
from torch import Tensor

from ssl_video.contract import DEVIATION, MEAN
from ssl_video.errors import InputError


def temporal_gradient(clip: Tensor) -> Tensor:
    """Return half of each frame minus the next one, around grey; the last is repeated to keep the length.

    In pixels from 0 to 255 that is (before - after + 255) / 2, normalised like a frame, as in the code of LTG
    (Xiao et al. 2022, arXiv:2111.13241). A network that also sees frames sees motion of their range.

    Args:
        clip: (N, 3, T, H, W), normalised as network input.

    Returns:
        (N, 3, T, H, W).

    Raises:
        InputError: the clip has one frame.
    """
    change = (0.5 - MEAN) / DEVIATION - clip.diff(dim=2) / 2
    if not change.shape[2]:
        raise InputError("a clip of 1 frame has no temporal gradient; choose 2 frames or more")
    return torch.cat([change, change[:, :, -1:]], 2)
