"""CMPL: a backbone and a light auxiliary network label unlabeled clips for each other.

Xu et al., "Cross-Model Pseudo-Labeling for Semi-Supervised Action Recognition", CVPR 2022,
arXiv:2112.09690.

From the paper: two networks trained together, a 3D-ResNet50 and the same network at a quarter of its
width; both predict on weakly augmented clips, the confident prediction of each (stop-gradient) supervises
the other on the strongly augmented clip; supervised cross-entropy on both; the two take the video at
different frame rates; the primary alone is used for inference.

Differences from the paper, and choices of ours where no public source gives a value:
- `threshold` 0.8 and `weight` 1.0 are ours.
- Which network has the higher frame rate is ours: the auxiliary one, at twice the frames and half the
  stride (the light pathway of SlowFast is the fast one, too).
- The two clips of a video span the same time and share their crop and colours.
- Each network's labeled, weak and strong clips are normalised by their own batch-norm statistics (`passes`).
- Labels are one-hot, as in FixMatch, on which the method is built.
- Optimizer, schedule, batch sizes and evaluation views are the run's.
"""

from torch import nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.passes import Passes, in_passes
from ssl_video.algorithms.parts.pseudo import Threshold, masked_cross_entropy
from ssl_video.contract import Algorithm, Batch, LossOutput, Network, NotNegative, Share, Task, View
from ssl_video.registry import algorithm


@algorithm("cmpl")
class CMPL(Algorithm):
    """Two networks, each taught by the other's confident predictions; inference by the primary alone.

    Args:
        task: the problem.
        primary: the network that is kept.
        auxiliary: the light network that is thrown away after training.
        threshold: confidence from which a prediction is used (ours).
        weight: weight of the unlabeled terms (ours).
        passes: "separate" or "joint", see `parts.in_passes` (ours).
    """

    roles = {"primary": Network(), "auxiliary": Network(width=0.25, rate=2)}
    labeled = {role: View("weak", network=role) for role in roles}
    unlabeled = {f"{kind}/{role}": View(kind, network=role) for role in roles for kind in ("weak", "strong")}

    def __init__(
        self,
        task: Task,
        primary: nn.Module,
        auxiliary: nn.Module,
        *,
        threshold: Share = 0.8,
        weight: NotNegative = 1.0,
        passes: Passes = "separate",
    ) -> None:
        super().__init__()
        self.primary, self.auxiliary = primary, auxiliary
        self.select, self.weight, self.passes = Threshold(threshold), weight, passes

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Supervised terms of both networks + weight * cross-labeled terms of both."""
        clips, u = batch.labeled, batch.unlabeled
        p_labeled, p_weak, p_strong = in_passes(
            self.primary, clips["primary"], u["weak/primary"], u["strong/primary"], self.passes
        )
        a_labeled, a_weak, a_strong = in_passes(
            self.auxiliary, clips["auxiliary"], u["weak/auxiliary"], u["strong/auxiliary"], self.passes
        )
        by_primary = self.select(p_weak, batch.positions)
        by_auxiliary = self.select(a_weak, batch.positions)
        terms = {
            "labeled/primary": F.cross_entropy(p_labeled, batch.labels),
            "labeled/auxiliary": F.cross_entropy(a_labeled, batch.labels),
            "unlabeled/primary": self.weight * masked_cross_entropy(p_strong, by_auxiliary),
            "unlabeled/auxiliary": self.weight * masked_cross_entropy(a_strong, by_primary),
        }
        return LossOutput(terms, {"primary": by_primary, "auxiliary": by_auxiliary})
