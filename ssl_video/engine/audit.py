"""What pseudo-labels are worth, measured against labels that the algorithm never sees."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ssl_video.contract import Pseudo


@torch.no_grad()
def audit(pseudo: Mapping[str, Pseudo], hidden: Tensor) -> dict[str, Tensor]:
    """Coverage and precision of a batch's pseudo-labels.

    Args:
        pseudo: pseudo-labels by the network that gave them, each (U,).
        hidden: true labels of the same clips, (U,).

    Returns:
        "coverage/<network>": share of clips whose pseudo-label is used;
        "precision/<network>": share of the used ones that are right, weighted; nan where none is used.
    """
    record = {}
    for name, (label, weight) in pseudo.items():
        record[f"coverage/{name}"] = (weight > 0).float().mean()
        record[f"precision/{name}"] = (weight * (label == hidden)).sum() / weight.sum()
    return record
