"""The temporal gradient: a view of a clip that shows what moves and little else."""

import torch
from torch import Tensor

from ssl_video.errors import InputError


def temporal_gradient(clip: Tensor) -> Tensor:
    """Each frame's successor minus the frame. The last difference is repeated, so the clip keeps its length.

    Args:
        clip: (N, 3, T, H, W), normalised as a network takes it.

    Returns:
        (N, 3, T, H, W).

    Raises:
        InputError: the clip has one frame.
    """
    change = clip.diff(dim=2)
    if not change.shape[2]:
        raise InputError("a clip of 1 frame has no temporal gradient; choose 2 frames or more")
    return torch.cat([change, change[:, :, -1:]], 2)
