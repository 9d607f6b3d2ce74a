"""The temporal gradient: frame differences, a view of a clip that shows mainly motion."""

import torch
from torch import Tensor

from ssl_video.errors import InputError


def temporal_gradient(clip: Tensor) -> Tensor:
    """Return each frame's successor minus the frame; the last difference is repeated to keep the length.

    Args:
        clip: (N, 3, T, H, W), normalised as network input.

    Returns:
        (N, 3, T, H, W).

    Raises:
        InputError: the clip has one frame.
    """
    change = clip.diff(dim=2)
    if not change.shape[2]:
        raise InputError("a clip of 1 frame has no temporal gradient; choose 2 frames or more")
    return torch.cat([change, change[:, :, -1:]], 2)
