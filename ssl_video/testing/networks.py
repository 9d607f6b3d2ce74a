"""Networks that checks give to an algorithm: small ones that learn, and one whose logits are known."""

import torch
from torch import nn

CLASSES = 3


class Small(nn.Sequential):
    """Clip (N, 3, T, H, W) -> logits (N, 3), for any T, and H and W from 4; `norm` adds batch norm."""

    def __init__(self, norm: bool) -> None:
        last = nn.Linear(6, CLASSES)
        super().__init__(
            nn.Conv3d(3, 6, (3, 4, 4), stride=(1, 4, 4), padding=(1, 0, 0), bias=not norm),
            nn.BatchNorm3d(6) if norm else nn.Identity(),
            nn.SiLU(),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
            last,
        )
        # As drawn, the last layer answers nearly the same for all clips, by what they have in common.
        with torch.no_grad():
            last.weight.copy_(6 * (last.weight - last.weight.mean(1, keepdim=True)))
            last.bias.zero_()


class Readout(nn.Sequential):
    """Logits are four times the mean red, green and blue of a clip, (N, 3, T, H, W) -> (N, 3)."""

    def __init__(self) -> None:
        last = nn.Linear(3, CLASSES, bias=False)
        super().__init__(nn.AdaptiveAvgPool3d(1), nn.Flatten(), last)
        with torch.no_grad():
            last.weight.copy_(4 * torch.eye(CLASSES))
