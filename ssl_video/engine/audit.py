"""What pseudo-labels are worth, measured against labels that the algorithm never sees."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ssl_video.contract import Pseudo
from ssl_video.engine.record import Ratio


@torch.no_grad()
def audit(pseudo: Mapping[str, Pseudo], hidden: Tensor) -> dict[str, Ratio]:
    """Coverage and precision of a batch's pseudo-labels, as ratios that can be added over batches.

    Args:
        pseudo: pseudo-labels by the network that gave them, each (U,).
        hidden: true labels of the same clips, (U,).

    Returns:
        "coverage/<network>": share of clips whose pseudo-label is used;
        "precision/<network>": share of the used ones that are right, weighted; nan where none is used.
    """
    record = {}
    for name, (label, weight, _) in pseudo.items():
        record[f"coverage/{name}"] = Ratio((weight > 0).sum(), float(len(weight)))
        record[f"precision/{name}"] = Ratio((weight * (label == hidden)).sum(), weight.sum())
    return record
