"""Networks for checks: a small trainable one, and one with known logits."""

import torch
from torch import Tensor, nn

CLASSES = 3


class Small(nn.Sequential):
    """Small network, clip (N, 3, T, H, W) -> logits (N, 3), with H, W >= 4; `norm` adds batch norm."""

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
        # As initialised, the last layer responds mainly to common features, so all predictions are similar.
        with torch.no_grad():
            last.weight.copy_(6 * (last.weight - last.weight.mean(1, keepdim=True)))
            last.bias.zero_()


class SmallProbe(nn.Module):
    """A frozen `Small` and a trained last layer, which takes clips (N, 3, T, H, W) or features (N, 6)."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        *body, self.head = Small(norm)
        self.backbone = nn.Sequential(*body).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "SmallProbe":
        """Set the mode of the last layer; the rest stays in evaluation mode."""
        super().train(mode)
        self.backbone.train(False)
        return self

    @torch.no_grad()
    def features(self, clip: Tensor) -> Tensor:
        """Map a clip (N, 3, T, H, W) -> features (N, 6)."""
        found: Tensor = self.backbone(clip)
        return found

    def forward(self, clip: Tensor) -> Tensor:
        """Map a clip or its features -> logits (N, 3)."""
        logits: Tensor = self.head(self.features(clip) if clip.ndim == 5 else clip)
        return logits


class Readout(nn.Sequential):
    """Network whose logits are four times the mean red, green and blue, (N, 3, T, H, W) -> (N, 3)."""

    def __init__(self) -> None:
        last = nn.Linear(3, CLASSES, bias=False)
        super().__init__(nn.AdaptiveAvgPool3d(1), nn.Flatten(), last)
        with torch.no_grad():
            last.weight.copy_(4 * torch.eye(CLASSES))
