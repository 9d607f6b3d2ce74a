"""UDA: strong clips learn the sharpened prediction on weak ones.

Xie et al., "Unsupervised Data Augmentation for Consistency Training", NeurIPS 2020, arXiv:1904.12848.

Differences from the paper:
- The labels are predicted on weakly augmented clips, as in TorchSSL and USB; in the paper's formula on
  unaugmented images.
- Cross-entropy instead of the KL divergence: they differ by the entropy of the label, which is a constant.
- Training signal annealing and the filter of out-of-domain data are left out, as in TorchSSL and USB.
- Everything else is as in FixMatch here: passes, batches, what is evaluated.
"""

import torch
from torch import Tensor, nn

from ssl_video.algorithms.fixmatch import FixMatch
from ssl_video.algorithms.parts.passes import Passes
from ssl_video.algorithms.parts.pseudo import Threshold, sharpen
from ssl_video.contract import NotNegative, Pseudo, Share, Task
from ssl_video.registry import algorithm


class SharpenedThreshold(Threshold):
    """The threshold of FixMatch, with the sharpened prediction as what is learned."""

    def __init__(self, threshold: float, temperature: float) -> None:
        super().__init__(threshold)
        self.temperature = temperature

    @torch.no_grad()
    def forward(self, logits: Tensor, positions: Tensor) -> Pseudo:
        """Logits (U, classes) and positions (U,) in the unlabeled set -> pseudo-labels (U,)."""
        prediction = logits.float().softmax(-1)
        return super().forward(logits, positions)._replace(distribution=sharpen(prediction, self.temperature))


@algorithm("uda")
class UDA(FixMatch):
    """FixMatch with soft labels: the weak prediction, sharpened, where it is confident.

    Args:
        task: the problem.
        model: the network.
        threshold: confidence, before sharpening, from which a prediction is used (beta; the paper's value).
        temperature: of the sharpening; smaller is sharper, 0 gives hard labels (tau; the paper's value).
        weight: weight of the unlabeled term (lambda; the paper's value).
        passes: "separate" or "joint", see `parts.in_passes`.
    """

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        threshold: Share = 0.8,
        temperature: NotNegative = 0.4,
        weight: NotNegative = 1.0,
        passes: Passes = "separate",
    ) -> None:
        super().__init__(task, model, threshold=threshold, weight=weight, passes=passes)
        self.select = SharpenedThreshold(threshold, temperature)
