"""SeFAR: a teacher with dropout labels clips whose frames are out of order, and says how sure it is.

From the paper and its code: the clip has three frame rates, and the frames of the two lower ones are shown in
reverse order to the student. The teacher, a moving average, predicts several times with dropout. Labels whose
probability is high and varies little have a large weight. Clips are also mixed as in SVFormer.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.mixing import beta_fraction, mix, patch_tube
from ssl_video.algorithms.parts.passes import averages_untouched, forward_joint
from ssl_video.algorithms.parts.pseudo import masked_cross_entropy, step_after
from ssl_video.algorithms.parts.teacher import EMATeacherAlgorithm
from ssl_video.contract import Batch, Fraction, LossOutput, NonNegative, Paper, Pseudo, Task, View
from ssl_video.registry import algorithm


@algorithm("sefar")
class SeFAR(EMATeacherAlgorithm):
    """A moving average with dropout weighs its labels by their confidence and their stability.

    Args:
        task: the problem.
        model: the network; it, or `--dropout`, should have dropout.
        weight: weight of the strong clips' term (the code's value).
        mix_weight: weight of the mixed clips' term (the code's value).
        concentration: c of the distribution Beta(c, c) of the mixed fraction; 0 mixes nothing (the code's
            value).
        patch: side of a patch in pixels (the paper's network has 16).
        decay: of the teacher's average, per step (the code's value).
        predictions: predictions of the teacher for a clip, each with other dropout (the code's value).
        channel_dropout: probability that a colour channel of a strong clip is dropped (the code's value).
        supervised_fraction: fraction of training on labels only (5 of 30 epochs, as in the code).
    """

    paper = Paper(
        "SeFAR: Semi-supervised Fine-grained Action Recognition with Temporal Perturbation and Learning "
        "Stabilization",
        authors="Huang et al.",
        venue="AAAI",
        year=2025,
        arxiv="2501.01245",
    )
    differences: tuple[str, ...] = (
        "The paper's network passes the frames of each of three rates through one transformer, and fuses "
        "three features. This is the backbone `granular_s`; with any other, the clip is passed as a whole.",
        "Patches are mixed as pixels, not as tokens, which is the same for a network whose first layer cuts "
        "the frame into patches of that size.",
        "The code's mixed loss is the distance of raw logits to probabilities; here both are probabilities.",
        "The code draws other partners of mixed clips for each frame rate, and mixes the labels of the last "
        "one's. Here all rates have the same partners.",
        "The labels are mixed by the mixed area; the code uses the fraction drawn before it is rounded to "
        "patches.",
        "In the code, the RandAugment of strong clips is never reached. Here they have it, as in the paper.",
        "With several processes, each mixes its own shard of the batch, with its own draws.",
        "Until the decay is reached, the teacher is an average of about the last tenth of the steps so far "
        "(`parts.teacher.teacher_decay`).",
        "Labeled, strong and mixed clips are normalised by their own batch-norm statistics, if the network "
        "has batch norm, and only the labeled clips update the running averages. The paper's network has no "
        "batch norm.",
    )

    unlabeled = {"weak": View("weak"), "strong": View("strong+reversal")}
    whole_batch = True
    works_on_pixels = True
    student_first = True  # as the authors' code tests and saves it

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        weight: NonNegative = 2.0,
        mix_weight: NonNegative = 2.0,
        concentration: NonNegative = 10.0,
        patch: Annotated[int, Ge(1)] = 16,
        decay: Fraction = 0.9999,
        predictions: Annotated[int, Ge(1)] = 10,
        channel_dropout: Fraction = 0.2,
        supervised_fraction: Fraction = 1 / 6,
    ) -> None:
        super().__init__(model, decay)
        self.weight, self.mix_weight, self.predictions = weight, mix_weight, predictions
        self.concentration, self.patch, self.channel_dropout = concentration, patch, channel_dropout
        self.supervised_fraction = supervised_fraction

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Return labeled + weighted strong cross-entropy + weighted squared distance on mixed clips."""
        strong, on = batch.unlabeled["strong"], rise(progress, self.supervised_fraction)
        probabilities, pseudo = self._labels(batch.unlabeled["weak"])
        other = torch.randperm(len(strong)).to(strong.device)
        mask = patch_tube(strong, self.patch, beta_fraction(self.concentration))
        dropped = F.dropout3d(strong, self.channel_dropout)
        (labeled,) = forward_joint(self.model, batch.labeled["weak"])
        with averages_untouched(self.model):
            (guessed,) = forward_joint(self.model, dropped)
            (mixed,) = forward_joint(self.model, mix(dropped, strong[other], mask))
        target = mix(probabilities, probabilities[other], mask.mean())
        weight = mix(pseudo.weight, pseudo.weight[other], mask.mean())
        distance = ((mixed.softmax(-1) - target).square().mean(-1) * weight).mean()
        terms = {
            "labeled": self.labeled_cross_entropy(labeled, batch.labels),
            "unlabeled": on * self.weight * masked_cross_entropy(guessed, pseudo),
            "unlabeled/mixed": on * self.mix_weight * distance,
        }
        return LossOutput(terms, {"teacher": pseudo})

    @torch.no_grad()
    def _labels(self, weak: Tensor) -> tuple[Tensor, Pseudo]:
        """Return the teacher's mean probabilities over passes with dropout, (U, classes), and the labels."""
        with dropping(self.teacher.network):
            passes = [forward_joint(self.teacher, weak)[0].softmax(-1) for _ in range(self.predictions)]
        found = torch.stack(passes)
        mean = found.mean(0)
        confidence, label = mean.max(-1)
        # Of one pass there is no deviation.
        deviation = found.std(0) if self.predictions > 1 else torch.zeros_like(mean)
        return mean, Pseudo(label, certainty(confidence, deviation.gather(-1, label[:, None])[:, 0]))


def certainty(confidence: Tensor, deviation: Tensor) -> Tensor:
    """Return weights in (0, 1] of labels, larger for likely ones whose probability varies little.

    2 sigmoid(e^p - e) * 2 (sigmoid(1 / (20 s)) - 1/2), as in the authors' code.

    Args:
        confidence: p, the mean probability of the label over passes, (U,).
        deviation: s, its standard deviation over passes, (U,).
    """
    likely = 2 * torch.sigmoid(confidence.exp() - math.e)
    return likely * 2 * (torch.sigmoid(1 / (20 * deviation + 1e-9)) - 0.5)


def rise(progress: float, supervised_fraction: float) -> float:
    """Return 0 over a fraction of training, then a weight that rises to 1 as a quarter of a sine wave."""
    left = 1 - supervised_fraction
    done = (progress - supervised_fraction) / left if left else 0.0
    return step_after(progress, supervised_fraction) * math.sin(math.pi / 2 * max(0.0, done))


@contextmanager
def dropping(network: nn.Module) -> Iterator[None]:
    """Let the dropout of a network in evaluation mode drop, that of layers and that in front of them.

    Layers without statistics have one mode, so that of all of them is set: `--dropout` looks at the head's.
    """
    kinds = (nn.modules.dropout._DropoutNd, nn.Linear, nn.modules.conv._ConvNd)
    found = [module for module in network.modules() if isinstance(module, kinds) and not module.training]
    for module in found:
        module.training = True
    try:
        yield
    finally:
        for module in found:
            module.training = False
