"""Contrastive loss and its projection head."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PROJECTED = 128  # SimCLR's number of projected features


def info_nce(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """Return the NT-Xent (InfoNCE) loss over row pairs, using cosine similarity.

    Row i of `one` and row i of `other` are partners; every other row of both is a negative. Each row of both
    is an anchor once. SimCLR (Chen et al. 2020, arXiv:2002.05709), eq. 1.

    Args:
        one: (..., N, C). Rows are compared only within one leading index, for example within a video. To
            compare rows over the whole batch, pass gathered rows (`gather`).
        other: (..., N, C).
        temperature: divisor of the similarities; smaller values emphasise the nearest negatives. Values below
            0.001 are clamped to it: there, only the nearest negative counts.

    Returns:
        The mean over all rows, a scalar in float32; 0 without rows.
    """
    count = one.shape[-2]
    rows = F.normalize(torch.cat([one, other], -2).float(), dim=-1)
    # Autocast would round the similarities to three digits before the temperature amplifies them.
    with torch.autocast(rows.device.type, enabled=False):
        similarity = rows @ rows.transpose(-1, -2) / max(temperature, 1e-3)
    itself = torch.eye(2 * count, dtype=torch.bool, device=rows.device)
    chances = similarity.masked_fill(itself, -torch.inf).log_softmax(-1)
    partners = torch.cat([chances.diagonal(count, -2, -1), chances.diagonal(-count, -2, -1)], -1)
    return -partners.sum() / max(1, partners.numel())


def projection(size: int) -> nn.Module:
    """Return SimCLR's projection head, (N, size) -> (N, 128), which may drop features for the contrast."""
    return nn.Sequential(nn.Linear(size, size), nn.ReLU(inplace=True), nn.Linear(size, PROJECTED))
