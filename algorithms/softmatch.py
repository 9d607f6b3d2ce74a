"""SoftMatch: FixMatch with weights that decrease smoothly below the average confidence."""

import torch
from torch import Tensor, nn

from ssl_video.algorithms.fixmatch import FixMatch
from ssl_video.algorithms.parts.averages import Average
from ssl_video.algorithms.parts.passes import Passes
from ssl_video.algorithms.parts.processes import gather
from ssl_video.contract import Fraction, NonNegative, Paper, Pseudo, Task
from ssl_video.registry import algorithm


class GaussianWeight(nn.Module):
    """Weight 1 at or above the average confidence, a Gaussian below it, after uniform alignment.

    Attributes:
        mean: average of the mean confidence of a batch, a scalar (mu_t).
        variance: average of its variance, a scalar (sigma_t^2).
        prediction: average prediction, (classes,), the divisor of the alignment.
    """

    def __init__(self, num_classes: int, sigmas: float, decay: float) -> None:
        super().__init__()
        self.sigmas = sigmas
        uniform = torch.full((num_classes,), 1 / num_classes)
        self.mean, self.variance = Average(uniform[0], decay), Average(torch.ones(()), decay)
        self.prediction = Average(uniform, decay)

    @torch.no_grad()
    def forward(self, logits: Tensor, indices: Tensor) -> Pseudo:
        """Map logits (U, classes) and indices (U,) in the unlabeled set to pseudo-labels (U,)."""
        probability = logits.float().softmax(-1)
        confidence, label = probability.max(-1)
        everyone = gather(confidence)
        mean = self.mean.update(everyone.mean())
        # The unbiased variance of a single clip is NaN, which would stay in the average.
        variance = self.variance.update(everyone.var(correction=min(1, len(everyone) - 1)))
        tiny = torch.finfo(probability.dtype).tiny
        aligned = probability / self.prediction.update(gather(probability).mean(0)).clamp(min=tiny)
        missing = (mean - aligned.amax(-1) / aligned.sum(-1)).clamp(min=0)
        return Pseudo(label, torch.exp(-((self.sigmas * missing) ** 2) / (2 * variance).clamp(min=tiny)))

    def extra_repr(self) -> str:
        """Return the text that `print(algorithm)` shows."""
        return f"sigmas={self.sigmas}"


@algorithm("softmatch")
class SoftMatch(FixMatch):
    """FixMatch that uses every prediction, weighted by the distance of its confidence below the average.

    Args:
        task: the problem.
        model: the network.
        sigmas: factor of the distance below the average; 0 gives all clips the weight 1 (USB).
        decay: of the averages, per step (m; the paper's value).
        weight: weight of the unlabeled term (the paper's value).
        passes: "separate" or "joint", see `parts.passes.forward_views`.
    """

    paper = Paper(
        "SoftMatch: Addressing the Quantity-Quality Tradeoff in Semi-supervised Learning",
        authors="Chen et al.",
        venue="ICLR",
        year=2023,
        arxiv="2301.10921",
    )
    differences: tuple[str, ...] = (
        "`sigmas` 2, as in TorchSSL and USB: the curve is half as wide as with the plain variance.",
        "Mean and variance are computed from the confidence before uniform alignment; the alignment affects "
        "only the weights. TorchSSL has the same order; USB aligns first, for all three.",
        "Predictions are aligned to equal classes, as in the paper and USB. TorchSSL aligns them to the "
        "average prediction on labeled clips.",
        "Until the decay is reached, the averages are plain means over the steps so far "
        "(`parts.averages.effective_decay`), with the paper's initial values (1 / classes, variance 1) as "
        "one more step.",
        "Everything else is as in FixMatch here: passes, batches, evaluated network.",
    )

    whole_batch = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        sigmas: NonNegative = 2.0,
        decay: Fraction = 0.999,
        weight: NonNegative = 1.0,
        passes: Passes = "separate",
    ) -> None:
        super().__init__(task, model, weight=weight, passes=passes)
        self.select = GaussianWeight(task.num_classes, sigmas, decay)
