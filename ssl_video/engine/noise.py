"""Batches of noise, to count or to measure what a step costs without any data."""

from collections.abc import Mapping

import torch
from torch import Tensor

from ssl_video.contract import Batch, View
from ssl_video.data.pool import requests
from ssl_video.engine.assemble import Assembly

_CPU = torch.device("cpu")


def noise(
    assembly: Assembly, labeled: int, unlabeled: int, *, classes: int, size: int, device: torch.device = _CPU
) -> Batch:
    """Random clips for every view that an algorithm declares, from torch's generator.

    Args:
        assembly: the algorithm, and the clip shapes of its networks.
        labeled: number of labeled clips; their labels are 0, 1, ..., `classes` - 1, and so on.
        unlabeled: number of unlabeled clips.
        classes: number of classes.
        size: side of a clip in pixels.
        device: where to.
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
