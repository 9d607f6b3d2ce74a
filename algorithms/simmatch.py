"""SimMatch: classes and similarities to labeled clips, predicted alike for weak and strong clips."""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.alignment import UniformAlignment
from ssl_video.algorithms.parts.features import Features
from ssl_video.algorithms.parts.memory import ClipMemory
from ssl_video.algorithms.parts.passes import Passes, forward_views
from ssl_video.algorithms.parts.pseudo import masked_cross_entropy
from ssl_video.contract import Algorithm, Batch, Fraction, LossOutput, NonNegative, Paper, Pseudo, Task, View
from ssl_video.registry import algorithm


@algorithm("simmatch")
class SimMatch(Algorithm):
    """FixMatch whose strong clips also learn how similar the weak clips are to labeled clips.

    A memory holds projected features of labeled clips. The similarities of a weak clip to them and its class
    probabilities correct each other: both together are the targets of the strong clip.

    Args:
        task: the problem.
        model: the network.
        threshold: minimum confidence of a used prediction (tau; USB's value for CIFAR).
        weight: weight of the unlabeled classes' term (lambda_u; USB's value for CIFAR).
        similarity_weight: weight of the similarities' term (lambda_in; USB's value for CIFAR).
        smoothing: fraction of a prediction that is not taken from similar labeled clips (alpha; USB's value).
        temperature: divisor of the similarities (t; USB's value for CIFAR).
        memory: number of remembered labeled clips (ours).
        passes: "separate" or "joint", see `parts.passes.forward_views`.
    """

    paper = Paper(
        "SimMatch: Semi-supervised Learning with Similarity Matching",
        authors="Zheng et al.",
        venue="CVPR",
        year=2022,
        arxiv="2203.06915",
    )
    differences: tuple[str, ...] = (
        "The memory holds the latest `memory` labeled clips as they passed. With few labels, every clip is "
        "in it several times, under several augmentations. The reference has one place per labeled clip, "
        "averaged over its passes (0.7 of the old features).",
        "A step's labeled clips are remembered before the memory is read, so similarities count from the "
        "first step on; in USB afterwards, and from the second epoch on (0.1 % of its training).",
        "Alignment divides by the mean prediction of the latest 32 steps, as in USB, without the 0.000001 "
        "that USB adds to both sides.",
        "Predictions and remembered features come from the network, as in USB for small data sets; for "
        "ImageNet they come from a moving average of it.",
        "The network itself is evaluated; USB evaluates a moving average of its weights (decay 0.999).",
        "Everything else is as in FixMatch here: passes, batches.",
    )

    unlabeled = {"weak": View("weak"), "strong": View("strong")}
    whole_batch = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        threshold: Fraction = 0.95,
        weight: NonNegative = 1.0,
        similarity_weight: NonNegative = 1.0,
        smoothing: Fraction = 0.9,
        temperature: NonNegative = 0.1,
        memory: Annotated[int, Ge(1)] = 256,
        passes: Passes = "separate",
    ) -> None:
        super().__init__()
        self.model, self.threshold, self.weight = model, threshold, weight
        self.similarity_weight, self.smoothing, self.passes = similarity_weight, smoothing, passes
        self.features = Features(model, task.num_classes)
        self.memory = ClipMemory(self.features.size, task.num_classes, memory, temperature)
        self.align = UniformAlignment(task.num_classes)

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Return cross-entropy + weight * masked cross-entropy + that of the similarities."""
        u = batch.unlabeled
        with self.features.captured() as last:
            labeled, weak, strong = forward_views(
                self.model, batch.labeled["weak"], u["weak"], u["strong"], self.passes
            )
        sizes = [len(labeled), len(weak), len(strong)]
        of_labeled, of_weak, of_strong = last(sum(sizes)).split(sizes)
        self.memory.add(self.memory(of_labeled), F.one_hot(batch.labels, labeled.shape[-1]).to(labeled))
        pseudo, similar = self.targets(weak, of_weak)
        found = self.memory.similarity(self.memory(of_strong))
        terms = {
            "labeled": self.labeled_cross_entropy(labeled, batch.labels),
            "unlabeled": self.weight * masked_cross_entropy(strong, pseudo),
            "unlabeled/similarity": self.similarity_weight * -(similar * found).sum(-1).mean(),
        }
        return LossOutput(terms, {"model": pseudo})

    @torch.no_grad()
    def targets(self, logits: Tensor, features: Tensor) -> tuple[Pseudo, Tensor]:
        """Return pseudo-labels and target similarities.

        Args:
            logits: (U, classes), of weak clips.
            features: (U, C), of weak clips.

        Returns:
            Pseudo-labels (U,) with distributions, and (U, memory), whose rows have the sum 1.
        """
        probability = self.align(logits.float().softmax(-1))
        similarity = self.memory.similarity(self.memory(features))
        target = self.memory.smooth(probability, similarity, self.smoothing)
        confidence, label = target.max(-1)
        pseudo = Pseudo(label, (confidence >= self.threshold).float(), target)
        return pseudo, self.memory.unfold(probability, similarity)
