"""Contrast: what belongs together is to be more alike than what does not."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def info_nce(one: Tensor, other: Tensor, temperature: float) -> Tensor:
    """How hard it is to tell a row's partner from all other rows, by cosine similarity.

    Row i of `one` and row i of `other` are partners; every other row of both is a negative, and each row of
    both has its turn. This is the NT-Xent loss of SimCLR (Chen et al. 2020, arXiv:2002.05709), eq. 1.

    Args:
        one: (..., N, C). Rows are compared within a leading place only, for example within a video. Where
            they are compared over the batch, give what `gather` makes of them.
        other: (..., N, C).
        temperature: similarities are divided by it; the smaller, the more the nearest negatives count. Less
            than a thousandth is taken as that, where the nearest one alone counts.

    Returns:
        The mean over all rows, a scalar in float32; 0 without rows.
    """
    count = one.shape[-2]
    rows = F.normalize(torch.cat([one, other], -2).float(), dim=-1)
    # Autocast would round the similarities to three digits before the temperature blows them up.
    with torch.autocast(rows.device.type, enabled=False):
        similarity = rows @ rows.transpose(-1, -2) / max(temperature, 1e-3)
    itself = torch.eye(2 * count, dtype=torch.bool, device=rows.device)
    chances = similarity.masked_fill(itself, -torch.inf).log_softmax(-1)
    partners = torch.cat([chances.diagonal(count, -2, -1), chances.diagonal(-count, -2, -1)], -1)
    return -partners.sum() / max(1, partners.numel())


def projection(size: int, out: int = 128) -> nn.Module:
    """SimCLR's head, (N, size) -> (N, out): what is compared need not be all that the classifier sees."""
    return nn.Sequential(nn.Linear(size, size), nn.ReLU(inplace=True), nn.Linear(size, out))
