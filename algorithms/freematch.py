"""FreeMatch: FixMatch with thresholds that follow the network's confidence, and a fairness term."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.algorithms.fixmatch import FixMatch
from ssl_video.algorithms.parts.averages import Average
from ssl_video.algorithms.parts.passes import Passes
from ssl_video.algorithms.parts.processes import gather
from ssl_video.contract import Fraction, NonNegative, Paper, Pseudo, Task
from ssl_video.registry import algorithm


class AdaptiveThreshold(nn.Module):
    """Thresholds per class: the average confidence, scaled down for classes that are predicted less often.

    Attributes:
        confidence: average of the largest probability, a scalar (tau_t).
        prediction: average prediction, (classes,) (p_t).
        histogram: average frequency of each predicted class, (classes,) (h_t).
    """

    def __init__(self, num_classes: int, decay: float) -> None:
        super().__init__()
        uniform = torch.full((num_classes,), 1 / num_classes)
        self.confidence = Average(uniform[0], decay)
        self.prediction, self.histogram = Average(uniform, decay), Average(uniform, decay)

    @torch.no_grad()
    def forward(self, logits: Tensor, indices: Tensor) -> Pseudo:
        """Map logits (U, classes) and indices (U,) in the unlabeled set to pseudo-labels (U,)."""
        probability = logits.float().softmax(-1)
        confidence, label = probability.max(-1)
        overall = self.confidence.update(gather(confidence).mean())
        prediction = self.prediction.update(gather(probability).mean(0))
        self.histogram.update(F.one_hot(gather(label), logits.shape[-1]).float().mean(0))
        thresholds = overall * prediction / prediction.max()
        return Pseudo(label, (confidence >= thresholds[label]).float())


def fairness(logits: Tensor, used: Tensor, prediction: Tensor, histogram: Tensor) -> Tensor:
    """Return the negative cross-entropy of average and batch prediction, each over its histogram (eq. 11).

    Args:
        logits: of all strong clips of a step, (U, classes).
        used: 1 for clips whose pseudo-label is used, else 0, (U,).
        prediction: average prediction on weak clips, (classes,).
        histogram: average frequency of each predicted class, (classes,).

    Returns:
        A scalar; 0 if no clip is used.
    """
    probability = logits.softmax(-1)
    counts = (F.one_hot(probability.argmax(-1), logits.shape[-1]) * used[:, None]).sum(0)
    expected = _ratio(prediction, histogram)
    found = _ratio((probability * used[:, None]).sum(0), counts)
    # Restricts the sum to the predicted classes: the logarithm of 1 is 0, and so is its gradient.
    return (expected * torch.where(counts > 0, found, 1.0).log()).sum()


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """Return above / below, 0 for zero denominators, normalised to the sum 1."""
    ratio = torch.where(below > 0, above / torch.where(below > 0, below, 1.0), 0.0)
    return ratio / ratio.sum().clamp(min=torch.finfo(ratio.dtype).tiny)


@algorithm("freematch")
class FreeMatch(FixMatch):
    """FixMatch without a threshold option: the thresholds are averages of the network's confidence.

    Args:
        task: the problem.
        model: the network.
        decay: of the averages, per step (lambda; the paper's value).
        weight: weight of the unlabeled cross-entropy (w_u; the paper's value).
        fairness_weight: weight of the fairness term (w_f; USB's value).
        passes: "separate" or "joint", see `parts.passes.forward_views`.
    """

    paper = Paper(
        "FreeMatch: Self-adaptive Thresholding for Semi-supervised Learning",
        authors="Wang et al.",
        venue="ICLR",
        year=2023,
        arxiv="2205.07246",
    )
    differences: tuple[str, ...] = (
        "`fairness_weight` 0.001 is from USB's settings; the paper has 0.01 or 0.05, by data set.",
        "Until the decay is reached, the averages are plain means over the steps so far "
        "(`parts.averages.effective_decay`), with the paper's initial values 1 / classes as one more step.",
        "The fairness term sums over the classes predicted for the used strong clips. For the other classes "
        "the paper divides by 0, and reference implementations add a constant; the gradient is the same as "
        "theirs. The term is 0 when no clip is used.",
        "Its sign is the one printed in the paper and used by reference implementations: it RAISES the "
        "cross-entropy of the average prediction with the batch's (eq. 11), although the text describes "
        "bringing the two closer.",
        "Everything else is as in FixMatch here: passes, batches, evaluated network.",
    )

    whole_batch = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        decay: Fraction = 0.999,
        weight: NonNegative = 1.0,
        fairness_weight: NonNegative = 0.001,
        passes: Passes = "separate",
    ) -> None:
        super().__init__(task, model, weight=weight, passes=passes)
        self.fairness_weight = fairness_weight
        self.select: AdaptiveThreshold = AdaptiveThreshold(task.num_classes, decay)

    def further_terms(self, strong: Tensor, pseudo: Pseudo) -> dict[str, Tensor]:
        """Return the self-adaptive fairness term."""
        seen = self.select.prediction.value, self.select.histogram.value
        return {
            "unlabeled/fairness": self.fairness_weight
            * fairness(gather(strong), gather(pseudo.weight), *seen)
        }
