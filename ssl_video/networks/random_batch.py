"""Random batches, to count or measure the cost of a step without data."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from ssl_video.backbones.probe import Probe
from ssl_video.contract import Batch, View
from ssl_video.data.pool import requests
from ssl_video.networks import frozen
from ssl_video.networks.assemble import Assembly

_CPU = torch.device("cpu")
# At this progress, methods that begin with labels only use their full loss.
PROGRESS = 0.5


def random_batch(
    assembly: Assembly,
    labeled: int,
    unlabeled: int,
    *,
    classes: int,
    size: int,
    device: torch.device = _CPU,
    stored: Collection[str] = (),
) -> Batch:
    """Return random clips for every declared view of an algorithm, from torch's generator.

    Args:
        assembly: the algorithm, and the clip shapes of its networks.
        labeled: number of labeled clips; their labels cycle through 0, 1, ..., `classes` - 1.
        unlabeled: number of unlabeled clips.
        classes: number of classes.
        size: side of a clip in pixels.
        device: the device of the batch.
        stored: roles of frozen networks, see `frozen.readers`: their views are random features.
    """

    def clips(views: Mapping[str, View], number: int) -> dict[str, Tensor]:
        roles = frozen.of_views(views, stored, next(iter(assembly.shapes)))
        shapes = dict[str, tuple[int, ...]]()
        for name, request in requests(views, assembly.shapes).items():
            frames = request.shape.frames
            network = assembly.algorithm.get_submodule(roles[name]) if name in roles else None
            shapes[name] = (
                network.shape(frames, size) if isinstance(network, Probe) else (3, frames, size, size)
            )
        return {name: torch.randn(number, *shape, device=device) for name, shape in shapes.items()}

    return Batch(
        clips(assembly.algorithm.labeled, labeled),
        torch.arange(labeled, device=device) % classes,
        clips(assembly.algorithm.unlabeled, unlabeled),
        torch.arange(unlabeled, device=device),
        torch.randn(unlabeled, classes, device=device).softmax(-1)
        if assembly.algorithm.predictions_from
        else None,
    )
