"""CoMatch: predictions smoothed over similar clips, and a graph of clips with alike predictions."""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.alignment import UniformAlignment
from ssl_video.algorithms.parts.features import Features
from ssl_video.algorithms.parts.memory import ClipMemory
from ssl_video.algorithms.parts.passes import Passes, forward_views
from ssl_video.algorithms.parts.processes import gather
from ssl_video.algorithms.parts.pseudo import masked_cross_entropy
from ssl_video.contract import Algorithm, Batch, Fraction, LossOutput, NonNegative, Paper, Pseudo, Task, View
from ssl_video.registry import algorithm


@algorithm("comatch")
class CoMatch(Algorithm):
    """FixMatch with predictions smoothed over similar clips, and alike features for clips of a class.

    A memory holds projected features and predictions of clips. A weak clip's prediction is mixed with those
    of the clips that are similar to it. Two strong clips learn to be as similar as their predictions are.

    Args:
        task: the problem.
        model: the network.
        threshold: minimum confidence of a used prediction (tau; USB's value for CIFAR).
        weight: weight of the unlabeled classes' term (lambda_cls; USB's value for CIFAR).
        contrast_weight: weight of the graph's term (lambda_ctr; ours, USB has 1 for CIFAR).
        contrast_threshold: minimum similarity of connected predictions (T; USB's value for CIFAR).
        smoothing: fraction of a prediction that is not taken from similar clips (alpha; USB's value).
        temperature: divisor of the similarities (t; USB's value for CIFAR).
        memory: number of remembered clips (K; USB's number for CIFAR, 5 steps of 512 clips).
        passes: "separate" or "joint", see `parts.passes.forward_views`.
    """

    paper = Paper(
        "CoMatch: Semi-supervised Learning with Contrastive Graph Regularization",
        authors="Li et al.",
        venue="ICCV",
        year=2021,
        arxiv="2011.11183",
    )
    differences: tuple[str, ...] = (
        "`contrast_weight` 0.3 is ours. USB has 1 for CIFAR, with a million steps, which in short runs "
        "drowns the labels.",
        "Both strong clips have the run's strong augmentation, as in USB; in the paper, one has SimCLR's.",
        "A step's labeled clips are remembered before the memory is read, so predictions are smoothed from "
        "the first step on; in USB afterwards, and from the second epoch on (0.1 % of its training).",
        "Alignment divides by the mean prediction of the latest 32 steps, as in USB, without the 0.000001 "
        "that USB adds to both sides.",
        "Projected features have 128 dimensions, as in USB for ImageNet; for CIFAR-10 it has 64.",
        "With several processes, the graph covers the clips of all of them.",
        "The network itself is evaluated; USB evaluates a moving average of its weights (decay 0.999).",
        "Everything else is as in FixMatch here: passes, batches. Both strong clips share one pass.",
    )

    unlabeled = {"weak": View("weak"), "strong": View("strong"), "strong/again": View("strong", copy=1)}
    whole_batch = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        threshold: Fraction = 0.95,
        weight: NonNegative = 1.0,
        contrast_weight: NonNegative = 0.3,
        contrast_threshold: Fraction = 0.8,
        smoothing: Fraction = 0.9,
        temperature: NonNegative = 0.2,
        memory: Annotated[int, Ge(1)] = 2560,
        passes: Passes = "separate",
    ) -> None:
        super().__init__()
        self.model, self.threshold, self.weight, self.passes = model, threshold, weight, passes
        self.contrast_weight, self.contrast_threshold = contrast_weight, contrast_threshold
        self.smoothing = smoothing
        self.features = Features(model, task.num_classes)
        self.memory = ClipMemory(self.features.size, task.num_classes, memory, temperature)
        self.align = UniformAlignment(task.num_classes)

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Return cross-entropy + weight * masked cross-entropy + that of the graph."""
        u = batch.unlabeled
        both = torch.cat([u["strong"], u["strong/again"]])
        with self.features.captured() as last:
            labeled, weak, strong = forward_views(
                self.model, batch.labeled["weak"], u["weak"], both, self.passes
            )
        sizes = [len(labeled), len(weak), len(weak), len(weak)]
        of_labeled, of_weak, of_strong, of_again = last(sum(sizes)).split(sizes)
        self.memory.add(self.memory(of_labeled), F.one_hot(batch.labels, labeled.shape[-1]).to(labeled))
        pseudo, probability = self.targets(weak, of_weak)
        graph = self.graph(pseudo, self.memory(of_strong), self.memory(of_again))
        terms = {
            "labeled": self.labeled_cross_entropy(labeled, batch.labels),
            "unlabeled": self.weight * masked_cross_entropy(strong[: len(weak)], pseudo),
            "unlabeled/graph": self.contrast_weight * graph,
        }
        self.memory.add(self.memory(of_weak), probability)
        return LossOutput(terms, {"model": pseudo})

    @torch.no_grad()
    def targets(self, logits: Tensor, features: Tensor) -> tuple[Pseudo, Tensor]:
        """Return pseudo-labels from the predictions of weak clips and of similar clips.

        Args:
            logits: (U, classes).
            features: (U, C).

        Returns:
            Pseudo-labels (U,) with distributions, and the predictions (U, classes) before they were smoothed.
        """
        probability = self.align(logits.float().softmax(-1))
        target = self.memory.smooth(
            probability, self.memory.similarity(self.memory(features)), self.smoothing
        )
        confidence, label = target.max(-1)
        return Pseudo(label, (confidence >= self.threshold).float(), target), probability

    def graph(self, pseudo: Pseudo, one: Tensor, other: Tensor) -> Tensor:
        """Return the cross-entropy between the graphs of predictions and of features.

        Args:
            pseudo: pseudo-labels (U,) with distributions.
            one: projections of strong clips, (U, 128).
            other: those of the same clips under another augmentation.

        Returns:
            A scalar.
        """
        assert pseudo.distribution is not None
        target, one, other = gather(pseudo.distribution), gather(one), gather(other)
        with torch.autocast(one.device.type, enabled=False):
            wanted = (target @ target.T).fill_diagonal_(1)
            found = (one @ other.T / self.memory.temperature).log_softmax(-1)
        wanted = F.normalize(wanted * (wanted >= self.contrast_threshold), p=1)
        return -(wanted * found).sum(-1).mean()
