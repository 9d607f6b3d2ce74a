"""CutMix: FixMatch whose strong clips contain a piece of another video."""

from torch import nn

from ssl_video.algorithms.fixmatch import FixMatch
from ssl_video.algorithms.parts.mixing import beta_fraction, box_tube, mix
from ssl_video.algorithms.parts.passes import Passes, forward_views
from ssl_video.algorithms.parts.pseudo import masked_cross_entropy
from ssl_video.contract import Batch, Fraction, LossOutput, NonNegative, Paper, Pseudo, Task
from ssl_video.registry import algorithm


@algorithm("cutmix")
class CutMix(FixMatch):
    """FixMatch on strong clips that contain a tube of another clip; both labels are weighted by area.

    Args:
        task: the problem.
        model: the network.
        threshold: minimum confidence of a used prediction (tau; the value of FixMatch and of Zou et al.).
        weight: weight of the unlabeled term (the value of FixMatch and of Zou et al.).
        concentration: of the Beta distribution of the box's area (alpha; CutMix's value); 0 pastes nothing.
        passes: "separate" or "joint", see `parts.passes.forward_views`.
    """

    paper = Paper(
        "Learning Representational Invariances for Data-Efficient Action Recognition",
        authors="Zou et al.",
        venue="CVIU",
        year=2023,
        arxiv="2103.16565",
    )
    based_on = (
        Paper(
            "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features",
            authors="Yun et al.",
            venue="ICCV",
            year=2019,
            arxiv="1905.04899",
        ),
        Paper(
            "VideoMix: Rethinking Data Augmentation for Video Classification",
            authors="Yun et al.",
            venue="arXiv",
            year=2020,
            arxiv="2012.03457",
        ),
    )
    differences: tuple[str, ...] = (
        "ActorCutMix pastes detected people into another video's scene. No detector is used here: the piece "
        "is a random box, the same in all frames (a tube), as in CutMix and the spatial VideoMix. All clips "
        "of a batch share one box.",
        "The two labels are weighted by the box's area, as in CutMix and VideoMix. ActorCutMix gives people "
        "of area r the weight 1 - (1 - r)^4, because people are more informative than their area. A random "
        "box is not.",
        "The label of each part has the weight of its own prediction. The authors' code thresholds only the "
        "confidence of the foreground and also uses the background's label, however uncertain it is.",
        "The piece is always pasted, and into strong clips. The authors' code pastes weak clips, in every "
        "second batch on average, without further augmentation.",
        "As in the authors' code, the batch in reverse order gives the partners.",
        "The distribution of the area (`concentration` 1, which is uniform) is CutMix's for ImageNet.",
        "With several processes, each draws its own box and pastes within its own shard of the batch.",
        "The differences of FixMatch apply here, too.",
    )

    whole_batch = True
    works_on_pixels = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        threshold: Fraction = 0.95,
        weight: NonNegative = 1.0,
        concentration: NonNegative = 1.0,
        passes: Passes = "separate",
    ) -> None:
        super().__init__(task, model, threshold=threshold, weight=weight, passes=passes)
        self.concentration = concentration

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Return labeled + weight * masked cross-entropy, the latter with both labels of each mixed clip."""
        strong = batch.unlabeled["strong"]
        tube = box_tube(strong, beta_fraction(self.concentration))
        fraction = tube.float().mean()
        mixed = mix(strong, strong.flip(0), tube)
        clips = batch.labeled["weak"], batch.unlabeled["weak"], mixed
        labeled, weak, of_mixed = forward_views(self.model, *clips, self.passes)
        pseudo = self.select(weak, batch.indices)
        partner = Pseudo(pseudo.label.flip(0), pseudo.weight.flip(0))
        outside, inside = (masked_cross_entropy(of_mixed, p) for p in (pseudo, partner))
        terms = {
            "labeled": self.labeled_cross_entropy(labeled, batch.labels),
            "unlabeled": self.weight * ((1 - fraction) * outside + fraction * inside),
        }
        return LossOutput(terms, {"model": pseudo})
