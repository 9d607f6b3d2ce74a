"""Evaluate losses on clips whose logits are known."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.contract import Algorithm, Batch, Pseudo, Task

LN2 = math.log(2)
TASK = Task(num_classes=3, num_unlabeled=10)
LABELS = torch.tensor([0, 1])
Clips = Callable[..., Tensor]
Network = Callable[[], nn.Module]


def terms(algorithm: Algorithm, batch: Batch, progress: float = 0.5) -> dict[str, float]:
    """Return the values of a batch's loss terms."""
    return {name: term.item() for name, term in algorithm(batch, progress).terms.items()}


def logits(*probabilities: tuple[float, ...]) -> Tensor:
    """Return logits (N, K) with these softmax probabilities."""
    return torch.tensor(probabilities).log()


def weights(select: Callable[..., Pseudo], indices: list[int], *probabilities: tuple[float, ...]) -> Tensor:
    """Return the weights (N,) that a rule gives to predictions on clips of these indices."""
    return select(logits(*probabilities), torch.tensor(indices)).weight


class Values(nn.Module):
    """A network whose features and logits both are the three values of a clip's first pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(3, 3, bias=False)
        nn.init.eye_(self.classifier.weight)

    def forward(self, clip: Tensor) -> Tensor:
        """Clip (N, 3, T, H, W) -> logits (N, 3)."""
        logits: Tensor = self.classifier(clip[:, :, 0, 0, 0])
        return logits


class Likeliest(nn.Module):
    """A projection of logits: the unit vector of the likeliest class, (N, 3) -> (N, 3)."""

    def forward(self, logits: Tensor) -> Tensor:
        """Logits (N, 3) -> (N, 3)."""
        return F.one_hot(logits.argmax(-1), 3).float()
