"""Random batches, to count or measure the cost of a step without data."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ssl_video.contract import Batch, View
from ssl_video.data.pool import requests
from ssl_video.networks.assemble import Assembly

_CPU = torch.device("cpu")


def random_batch(
    assembly: Assembly, labeled: int, unlabeled: int, *, classes: int, size: int, device: torch.device = _CPU
) -> Batch:
    """Return random clips for every declared view of an algorithm, from torch's generator.

    Args:
        assembly: the algorithm, and the clip shapes of its networks.
        labeled: number of labeled clips; their labels cycle through 0, 1, ..., `classes` - 1.
        unlabeled: number of unlabeled clips.
        classes: number of classes.
        size: side of a clip in pixels.
        device: the device of the batch.
    """

    def clips(views: Mapping[str, View], number: int) -> dict[str, Tensor]:
        return {
            name: torch.randn(number, 3, request.shape.frames, size, size, device=device)
            for name, request in requests(views, assembly.shapes).items()
        }

    return Batch(
        clips(assembly.algorithm.labeled, labeled),
        torch.arange(labeled, device=device) % classes,
        clips(assembly.algorithm.unlabeled, unlabeled),
        torch.arange(unlabeled, device=device),
    )
