"""FixMatch: weak clips give the labels, strong clips learn them.

Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence",
NeurIPS 2020, arXiv:2001.07685.

Differences from the paper:
- Clips instead of images; every transform is drawn once per clip and held over its frames.
- The network itself is evaluated; the paper evaluates a moving average of its weights (decay 0.999).
- Whether labeled clips are also unlabeled ones is a setting of the run (`labeled_in_unlabeled`), not of
  the method; the paper includes them.
- By default labeled, weak and strong clips are normalised by their own batch-norm statistics (`passes`);
  most implementations run them through the network together. On the demo joint passes cost accuracy with
  four labels a class (docs/training.md).
- The batch sizes, optimizer and schedule are the run's.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.passes import Passes, in_passes
from ssl_video.algorithms.parts.pseudo import Threshold, masked_cross_entropy
from ssl_video.contract import Algorithm, Batch, LossOutput, NotNegative, Pseudo, Share, Task, View
from ssl_video.registry import algorithm


@algorithm("fixmatch")
class FixMatch(Algorithm):
    """The confident prediction on a weakly augmented clip is the label of its strongly augmented copy.

    Args:
        task: the problem.
        model: the network.
        threshold: confidence from which a prediction is used (tau; the paper's value).
        weight: weight of the unlabeled term (lambda_u; the paper's value).
        passes: "separate" or "joint", see `parts.in_passes`.
    """

    unlabeled = {"weak": View("weak"), "strong": View("strong")}

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        threshold: Share = 0.95,
        weight: NotNegative = 1.0,
        passes: Passes = "separate",
    ) -> None:
        super().__init__()
        self.model, self.weight, self.passes = model, weight, passes
        # What turns weak predictions into pseudo-labels; methods with another rule put theirs here.
        self.select: nn.Module = Threshold(threshold)

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Labeled cross-entropy (eq. 3) + weight * masked cross-entropy on strong clips (eq. 4)."""
        u = batch.unlabeled
        labeled, weak, strong = in_passes(
            self.model, batch.labeled["weak"], u["weak"], u["strong"], self.passes
        )
        pseudo = self.select(weak, batch.positions)
        terms = {
            "labeled": F.cross_entropy(labeled, batch.labels),
            "unlabeled": self.weight * masked_cross_entropy(strong, pseudo),
        }
        return LossOutput(terms | self.further_terms(strong, pseudo), {"model": pseudo})

    def further_terms(self, strong: Tensor, pseudo: Pseudo) -> dict[str, Tensor]:
        """Terms that a method adds, from the logits of the strong clips (U, classes); FixMatch has none."""
        return {}
