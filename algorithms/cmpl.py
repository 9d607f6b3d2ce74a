"""CMPL: a backbone and a light auxiliary network pseudo-label clips for each other.

From the paper: two networks are trained together, a 3D-ResNet50 and the same network at a quarter of its
width; both predict on weakly augmented clips, and the confident prediction of each (stop-gradient) supervises
the other on the strongly augmented clip; both have a supervised cross-entropy; their inputs have different
frame rates; only the primary network is used for inference.
"""

from torch import nn

from ssl_video.algorithms.parts.alignment import Alignment
from ssl_video.algorithms.parts.passes import Passes, forward_views
from ssl_video.algorithms.parts.pseudo import Threshold, masked_cross_entropy
from ssl_video.contract import Algorithm, Batch, Fraction, LossOutput, Network, NonNegative, Paper, Task, View
from ssl_video.registry import algorithm


@algorithm("cmpl")
class CMPL(Algorithm):
    """Each of two networks learns the other's confident predictions; inference uses only the primary.

    Args:
        task: the problem.
        primary: the network used for inference.
        auxiliary: the light network, discarded after training.
        threshold: minimum confidence of a used prediction (ours).
        weight: weight of the unlabeled terms (ours).
        passes: "separate" or "joint", see `parts.passes.forward_views` (ours).
        alignment: correct each network's predictions so that classes are labeled as often as they occur, see
            `parts.alignment` (ours).
    """

    paper = Paper(
        "Cross-Model Pseudo-Labeling for Semi-Supervised Action Recognition",
        authors="Xu et al.",
        venue="CVPR",
        year=2022,
        arxiv="2112.09690",
    )
    differences: tuple[str, ...] = (
        "`threshold` 0.8 and `weight` 1.0 are ours.",
        "The auxiliary network has the higher frame rate: twice the frames at half the stride. This choice "
        "is ours (the light pathway of SlowFast is also the fast one).",
        "The two clips of a video span the same time and share their crop and colours.",
        "Each network's labeled, weak and strong clips are normalised by their own batch-norm statistics "
        "(`passes`).",
        "Labels are one-hot, as in FixMatch, on which the method builds.",
        "The run sets the optimizer, the schedule, the batch sizes and the evaluation views.",
    )

    roles = {"primary": Network(), "auxiliary": Network(width=0.25, rate=2)}
    labeled = {role: View("weak", network=role) for role in roles}
    unlabeled = {f"{kind}/{role}": View(kind, network=role) for role in roles for kind in ("weak", "strong")}
    weak_gradient = False

    def __init__(
        self,
        task: Task,
        primary: nn.Module,
        auxiliary: nn.Module,
        *,
        threshold: Fraction = 0.8,
        weight: NonNegative = 1.0,
        passes: Passes = "separate",
        alignment: bool = False,
    ) -> None:
        super().__init__()
        self.primary, self.auxiliary = primary, auxiliary
        self.align = (
            nn.ModuleDict({r: Alignment(task.num_classes) for r in self.roles}) if alignment else None
        )
        self.whole_batch = self.whole_batch or alignment
        self.select, self.weight, self.passes = Threshold(threshold), weight, passes

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Return supervised terms of both networks + weight * cross-labeled terms of both."""
        clips, u = batch.labeled, batch.unlabeled
        (p_labeled, p_weak, p_strong), (a_labeled, a_weak, a_strong) = (
            forward_views(
                self.get_submodule(role),
                clips[role],
                u[f"weak/{role}"],
                u[f"strong/{role}"],
                self.passes,
                weak_gradient=self.weak_gradient,
            )
            for role in ("primary", "auxiliary")
        )
        if self.align:
            p_weak = self.align["primary"](p_weak, batch.labels)
            a_weak = self.align["auxiliary"](a_weak, batch.labels)
        by_primary = self.select(p_weak, batch.indices)
        by_auxiliary = self.select(a_weak, batch.indices)
        terms = {
            "labeled/primary": self.labeled_cross_entropy(p_labeled, batch.labels),
            "labeled/auxiliary": self.labeled_cross_entropy(a_labeled, batch.labels),
            "unlabeled/primary": self.weight * masked_cross_entropy(p_strong, by_auxiliary),
            "unlabeled/auxiliary": self.weight * masked_cross_entropy(a_strong, by_primary),
        }
        return LossOutput(terms, {"primary": by_primary, "auxiliary": by_auxiliary})
