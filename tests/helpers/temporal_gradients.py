"""Clips with known temporal gradients, and the network that reads them.

Networks read their logits from the first frame of what they are given. The temporal gradient is grey minus
half the change. So a clip that starts with the logits a and changes by 2 (grey - b) from frame to frame gives
a as RGB and b as temporal gradient. L = ln 2: logits L, 0, 0 are the probabilities 1/2, 1/4, 1/4.
"""

import math

import pytest
import torch
from torch import Tensor, nn

from ssl_video.contract import Algorithm, Batch
from ssl_video.errors import InputError

L = math.log(2)
GREY = (0.5 - 0.45) / 0.225
Logits = tuple[float, float, float]


class First(nn.Module):
    """Logits are the colours of the first frame, read by a linear layer, (N, 3, T, H, W) -> (N, 3)."""

    def __init__(self, features: int = 3) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 3, bias=False)
        self.widen = features - 3
        with torch.no_grad():
            self.linear.weight.copy_(torch.eye(3, features))

    def forward(self, clip: Tensor) -> Tensor:
        """The linear layer's logits."""
        seen: Tensor = self.linear(nn.functional.pad(clip[:, :, 0].mean((2, 3)), (0, self.widen)))
        return seen


def moving(*clips: tuple[Logits, Logits]) -> Tensor:
    """Clips (N, 3, 3, 2, 2) that start with the first logits and have the second ones as gradient."""
    start, gradient = torch.tensor(clips).unbind(1)
    change = 2 * (GREY - gradient)
    frames = torch.stack([start + time * change for time in range(3)], 2)
    return frames[..., None, None].expand(-1, -1, -1, 2, 2).clone()


def assert_refuses_one_frame(algorithm: Algorithm) -> None:
    """Check that clips of one frame, which have no gradient, are refused."""
    still = torch.zeros(2, 3, 1, 4, 4)
    batch = Batch(
        dict.fromkeys(algorithm.labeled, still),
        torch.tensor([0, 1]),
        dict.fromkeys(algorithm.unlabeled, still),
        torch.arange(2),
    )
    with pytest.raises(InputError, match="1 frame"):
        algorithm(batch, 0.5)
