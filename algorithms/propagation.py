"""Label propagation on frozen features: the baseline without trained weights that uses unlabeled clips."""

from collections.abc import Mapping
from typing import Annotated

import torch
from annotated_types import Ge, Gt, Interval
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.propagation import Neighbours, distributions, graph, propagated
from ssl_video.algorithms.supervised import Supervised
from ssl_video.contract import Paper, Task
from ssl_video.errors import InputError
from ssl_video.registry import algorithm


@algorithm("propagation")
class Propagation(Supervised):
    """Labels spread over a graph of similar clips, whose features are those of a frozen network.

    The graph is built once from the labeled and unlabeled clips as they are tested, without augmentation. A
    clip is predicted by its nearest clips of the graph. In a training loop of your own, which makes steps,
    its loss is that of supervised-only.

    Args:
        neighbours: k, the nearest clips that a clip is linked to in the graph, and that vote on its class.
        power: gamma: the affinity of two clips is max(0, cosine)^gamma.
        alpha: weight of the neighbours' labels beside a clip's own.
    """

    paper = Paper("Learning with Local and Global Consistency", "Zhou et al.", "NIPS", 2003)
    based_on = (
        Paper(
            *("Label Propagation for Deep Semi-supervised Learning", "Iscen et al.", "CVPR", 2019),
            arxiv="1904.04717",
        ),
    )
    differences: tuple[str, ...] = (
        "The graph is that of Iscen et al., of the k nearest clips with affinities max(0, cosine)^gamma, in "
        "place of Gaussian affinities of all pairs. No network is trained with the labels it gives, and they "
        "have no weights for their certainty and the size of their class.",
        "Features are centred on the mean of all clips of the graph before they get length 1: features "
        "behind a ReLU are not negative, so all of their cosines are large and alike.",
        "Zhou et al. label the clips of the graph alone. Here any clip has the mean of the propagated labels "
        "of its k nearest clips, weighted by affinity, where the scores of each have a sum of 1.",
        "A class that no neighbour votes for has a share of 1e-6, so that logits are finite.",
        "Several test clips or crops of a video are points of their own.",
        "It makes no steps, so its result depends on the draw of labels and not on the seed.",
    )
    waived: Mapping[str, str] = {"options-are-read": "its options are those of fit, the check makes steps"}
    at_once = True
    fits_unlabeled = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        neighbours: Annotated[int, Ge(1)] = 50,
        power: Annotated[float, Gt(0)] = 3.0,
        alpha: Annotated[float, Interval(ge=0, lt=1)] = 0.99,
    ) -> None:
        super().__init__(task, model)
        self.num_classes, self.alpha = task.num_classes, alpha
        self.neighbours, self.power = neighbours, power
        # Of a linear probe: the normalisation of features, and the layer.
        head = getattr(model, "head", None)
        if isinstance(head, nn.Sequential) and len(head) == 2:
            model.head = Neighbours(head, neighbours, power)

    def fit(self, features: Tensor, labels: Tensor, unlabeled: Tensor | None = None) -> None:
        """Propagate the labels, and set the points of the head; see `Algorithm.fit`.

        Raises:
            InputError: the network is no linear probe.
        """
        head = getattr(self.model, "head", None)
        if not isinstance(head, Neighbours):
            raise InputError("propagation predicts in place of a linear probe's head: give --probe linear")
        known = [features] if unlabeled is None else [features, unlabeled]
        # In main memory, because MPS has no double precision.
        every = torch.cat(known).cpu().double()
        centre = every.mean(0)
        points = F.normalize(every - centre, dim=1)
        given = torch.zeros(len(points), self.num_classes, dtype=points.dtype)
        given[: len(labels)] = F.one_hot(labels.cpu(), self.num_classes).to(given)
        found = propagated(graph(points, self.neighbours, self.power), given, self.alpha)
        head.remember(centre, points, distributions(found))
        self.model.requires_grad_(False)  # the other head is out of use
