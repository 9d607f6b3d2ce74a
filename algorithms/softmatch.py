"""SoftMatch: FixMatch with weights that fall off smoothly below the average confidence.

Chen et al., "SoftMatch: Addressing the Quantity-Quality Tradeoff in Semi-supervised Learning", ICLR 2023,
arXiv:2301.10921.

Differences from the paper:
- `sigmas` 2, as in TorchSSL and USB: the curve is half as wide as the plain variance makes it.
- Mean and variance are of the confidence before uniform alignment, which decides weights alone, as in the
  paper and TorchSSL; USB aligns first, for all three.
- Until the decay is reached the averages are plain means over the steps so far (`parts.averages.kept`), with
  the paper's starting values (1 / classes, variance 1) as one more step.
- Everything else is as in FixMatch here: passes, batches, what is evaluated.
"""

import torch
from torch import Tensor, nn

from ssl_video.algorithms.fixmatch import FixMatch
from ssl_video.algorithms.parts.averages import Average
from ssl_video.algorithms.parts.passes import Passes
from ssl_video.algorithms.parts.processes import gather
from ssl_video.contract import NotNegative, Pseudo, Share, Task
from ssl_video.registry import algorithm


class GaussianWeight(nn.Module):
    """Weight 1 from the average confidence on, and below it that of a Gaussian, after uniform alignment.

    Attributes:
        mean: average of the mean confidence of a batch, a scalar (mu_t).
        variance: average of its variance, a scalar (sigma_t^2).
        prediction: average prediction, (classes,), which alignment divides by.
    """

    def __init__(self, num_classes: int, sigmas: float, decay: float) -> None:
        super().__init__()
        self.sigmas = sigmas
        uniform = torch.full((num_classes,), 1 / num_classes)
        self.mean, self.variance = Average(uniform[0], decay), Average(torch.ones(()), decay)
        self.prediction = Average(uniform, decay)

    @torch.no_grad()
    def forward(self, logits: Tensor, positions: Tensor) -> Pseudo:
        """Logits (U, classes) and positions (U,) in the unlabeled set -> pseudo-labels (U,)."""
        probability = logits.float().softmax(-1)
        confidence, label = probability.max(-1)
        everyone = gather(confidence)
        mean = self.mean.update(everyone.mean())
        # A single clip has no variance to speak of, and NaN would stay in the average.
        variance = self.variance.update(everyone.var(correction=min(1, len(everyone) - 1)))
        tiny = torch.finfo(probability.dtype).tiny
        aligned = probability / self.prediction.update(gather(probability).mean(0)).clamp(min=tiny)
        missing = (mean - aligned.amax(-1) / aligned.sum(-1)).clamp(min=0)
        return Pseudo(label, torch.exp(-((self.sigmas * missing) ** 2) / (2 * variance).clamp(min=tiny)))

    def extra_repr(self) -> str:
        """Shown by `print(algorithm)`."""
        return f"sigmas={self.sigmas}"


@algorithm("softmatch")
class SoftMatch(FixMatch):
    """FixMatch that uses every prediction, with a weight by how far its confidence is below the average.

    Args:
        task: the problem.
        model: the network.
        sigmas: what the distance below the average is multiplied by; 0 gives all clips the weight 1 (USB).
        decay: of the averages, per step (m; the paper's value).
        weight: weight of the unlabeled term (the paper's value).
        passes: "separate" or "joint", see `parts.in_passes`.
    """

    whole_batch = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        sigmas: NotNegative = 2.0,
        decay: Share = 0.999,
        weight: NotNegative = 1.0,
        passes: Passes = "separate",
    ) -> None:
        super().__init__(task, model, weight=weight, passes=passes)
        self.select = GaussianWeight(task.num_classes, sigmas, decay)
