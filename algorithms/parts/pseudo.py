"""Pseudo-labels: selection of predictions, their loss, and schedules of its weight."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.contract import Pseudo


class Threshold(nn.Module):
    """Pseudo-labels from predictions whose confidence reaches a fixed threshold, without gradient."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    @torch.no_grad()
    def forward(self, logits: Tensor, indices: Tensor) -> Pseudo:
        """Map logits (U, classes) and indices (U,) in the unlabeled set to pseudo-labels (U,)."""
        confidence, label = logits.float().softmax(-1).max(-1)
        return Pseudo(label, (confidence >= self.threshold).float())

    def extra_repr(self) -> str:
        """Return the text that `print(algorithm)` shows."""
        return f"threshold={self.threshold}"


def masked_cross_entropy(logits: Tensor, pseudo: Pseudo) -> Tensor:
    """Return the weighted cross-entropy, averaged over ALL clips, so that an unused clip counts as 0.

    FixMatch (Sohn et al. 2020), eq. 4. Averaging over the used clips instead would give the few confident
    clips of early training the weight of a full batch.

    Args:
        logits: (U, classes).
        pseudo: labels and weights, each (U,); a distribution (U, classes), if present, is the target.

    Returns:
        A scalar.
    """
    target = pseudo.label if pseudo.distribution is None else pseudo.distribution
    return (F.cross_entropy(logits, target, reduction="none") * pseudo.weight).mean()


def sharpen(logits: Tensor, temperature: float) -> Tensor:
    """Return p^(1/T), normalised, which is softmax(z / T): smaller T are sharper, 0 gives a one-hot label.

    MixMatch (Berthelot et al. 2019, arXiv:1905.02249), eq. 7. From logits, because probabilities may have
    become 0, of which no T could make more.

    Args:
        logits: z, (U, classes); logarithms of probabilities are logits, too.
        temperature: T, at least 0.

    Returns:
        Probabilities (U, classes).
    """
    if temperature == 0:
        return F.one_hot(logits.argmax(-1), logits.shape[-1]).to(logits)
    # The largest is 0 before the division, which could make several infinite.
    return ((logits - logits.amax(-1, keepdim=True)) / temperature).softmax(-1)


def ramp(progress: float, fraction: float) -> float:
    """Return a weight that rises linearly from 0 to 1 over the first `fraction` of training, then stays 1."""
    return min(1.0, progress / fraction) if fraction > 0 else 1.0


def step_after(progress: float, fraction: float) -> float:
    """Return 0 over the first `fraction` of training, then 1: for methods that begin with labels only."""
    return float(progress >= fraction)
