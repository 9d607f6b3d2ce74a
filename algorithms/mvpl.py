"""MvPL: one network sees appearance and motion views, and their mean prediction labels both."""

from torch import nn

from ssl_video.algorithms.parts.passes import Passes, averages_untouched, forward_views
from ssl_video.algorithms.parts.pseudo import Threshold, masked_cross_entropy, step_after
from ssl_video.algorithms.parts.temporal_gradient import temporal_gradient
from ssl_video.contract import Algorithm, Batch, Fraction, LossOutput, NonNegative, Paper, Task, View
from ssl_video.registry import algorithm


@algorithm("mvpl")
class MvPL(Algorithm):
    """The mean prediction on RGB and temporal gradient labels both views; inference uses only RGB.

    Args:
        task: the problem.
        model: the network, shared by both views.
        threshold: minimum confidence of a used mean prediction (LTG's reimplementation).
        weight: weight of the unlabeled terms (LTG's reimplementation).
        supervised_fraction: fraction of training on labeled clips only (30 of 240 epochs; LTG's
            reimplementation).
        passes: "separate" or "joint", see `parts.passes.forward_views`; the views never share a pass (ours).
    """

    paper = Paper(
        "Multiview Pseudo-Labeling for Semi-supervised Learning from Video",
        authors="Xiong et al.",
        venue="ICCV",
        year=2021,
        arxiv="2104.00682",
    )
    differences: tuple[str, ...] = (
        "Two views, RGB and temporal gradient; the paper's third, optical flow, is left out.",
        "The temporal gradient is (before - after + 255) / 2 of neighbouring frames of the clip, normalised "
        "like frames, as in LTG's code; the last difference is repeated.",
        "The views of a clip share their crop, flip and colours, because one is computed from the other.",
        "The predictions on the weak views are aggregated by averaging their logits, as in the "
        "reimplementation of MvPL in the code of LTG (Xiao et al., CVPR 2022); the authors published no "
        "code.",
        "`threshold`, the equal weights of both views and `supervised_fraction` are from that "
        "reimplementation (threshold 0.3, 30 of 240 epochs, both terms averaged over the views); we do not "
        "know the paper's values.",
        "Each kind of clip of each view is normalised by its own batch-norm statistics (`passes`). The "
        "running averages come from RGB, the view that is tested. The reimplementation uses one joint pass.",
    )

    unlabeled = {"weak": View("weak"), "strong": View("strong")}
    works_on_pixels = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        threshold: Fraction = 0.3,
        weight: NonNegative = 1.0,
        supervised_fraction: Fraction = 0.125,
        passes: Passes = "separate",
    ) -> None:
        super().__init__()
        self.model, self.select, self.weight = model, Threshold(threshold), weight
        self.supervised_fraction, self.passes = supervised_fraction, passes

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Return labeled + masked strong cross-entropy, each the mean of both views."""
        clips = batch.labeled["weak"], batch.unlabeled["weak"], batch.unlabeled["strong"]
        rgb_labeled, rgb_weak, rgb_strong = forward_views(self.model, *clips, self.passes)
        labeled, weak, strong = (temporal_gradient(c) for c in clips)
        with averages_untouched(self.model):
            labeled, weak, strong = forward_views(self.model, labeled, weak, strong, self.passes)
        pseudo = self.select((rgb_weak + weak) / 2, batch.indices)
        weight = self.weight * step_after(progress, self.supervised_fraction) / 2
        terms = {
            "labeled/rgb": self.labeled_cross_entropy(rgb_labeled, batch.labels) / 2,
            "labeled/gradient": self.labeled_cross_entropy(labeled, batch.labels) / 2,
            "unlabeled/rgb": weight * masked_cross_entropy(rgb_strong, pseudo),
            "unlabeled/gradient": weight * masked_cross_entropy(strong, pseudo),
        }
        return LossOutput(terms, {"model": pseudo})
