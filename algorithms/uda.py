"""UDA: the sharpened predictions on weak clips are the soft labels of strong clips."""

import torch
from torch import Tensor, nn

from ssl_video.algorithms.fixmatch import FixMatch
from ssl_video.algorithms.parts.passes import Passes
from ssl_video.algorithms.parts.pseudo import Threshold, sharpen
from ssl_video.contract import Fraction, NonNegative, Paper, Pseudo, Task
from ssl_video.registry import algorithm


class SharpenedThreshold(Threshold):
    """The threshold of FixMatch, with the sharpened prediction as the target."""

    def __init__(self, threshold: float, temperature: float) -> None:
        super().__init__(threshold)
        self.temperature = temperature

    @torch.no_grad()
    def forward(self, logits: Tensor, indices: Tensor) -> Pseudo:
        """Map logits (U, classes) and indices (U,) in the unlabeled set to pseudo-labels (U,)."""
        sharp = sharpen(logits.float(), self.temperature)
        return super().forward(logits, indices)._replace(distribution=sharp)


@algorithm("uda")
class UDA(FixMatch):
    """FixMatch with soft labels: the sharpened prediction on the weak clip, if it is confident.

    Args:
        task: the problem.
        model: the network.
        threshold: minimum confidence, before sharpening, of a used prediction (beta; the code's value for
            CIFAR-10 and SVHN).
        temperature: of the sharpening; smaller is sharper, 0 gives hard labels (tau; the code's
            value for CIFAR-10 and SVHN).
        weight: weight of the unlabeled term (lambda; the paper's value).
        passes: "separate" or "joint", see `parts.passes.forward_views`.
        alignment: correct the predictions so that classes are labeled as often as they occur, see
            `parts.alignment` (not in the paper).
    """

    paper = Paper(
        "Unsupervised Data Augmentation for Consistency Training",
        authors="Xie et al.",
        venue="NeurIPS",
        year=2020,
        arxiv="1904.12848",
    )
    differences: tuple[str, ...] = (
        "The labels are predicted on weakly augmented clips, as in TorchSSL and USB; the paper's formula "
        "uses unaugmented images.",
        "Cross-entropy replaces the KL divergence: they differ by the entropy of the label, which is a "
        "constant.",
        "Training signal annealing is left out. TorchSSL and USB implement it, and do not use it by "
        "default. The filter of out-of-domain data is left out, too, as in both.",
        "The threshold 0.8 and the temperature 0.4 are those of the authors' scripts for CIFAR-10 and SVHN.",
        "Everything else is as in FixMatch here: passes, batches, evaluated network.",
    )

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        threshold: Fraction = 0.8,
        temperature: NonNegative = 0.4,
        weight: NonNegative = 1.0,
        passes: Passes = "separate",
        alignment: bool = False,
    ) -> None:
        super().__init__(task, model, threshold=threshold, weight=weight, passes=passes, alignment=alignment)
        self.select = SharpenedThreshold(threshold, temperature)
