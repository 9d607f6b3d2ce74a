"""CutMix: FixMatch whose strong clips have a piece of another video in them.

Zou et al., "Learning Representational Invariances for Data-Efficient Action Recognition", CVIU 2023,
arXiv:2103.16565 (ActorCutMix), with the boxes of Yun et al., "CutMix: Regularization Strategy to Train Strong
Classifiers with Localizable Features", ICCV 2019, arXiv:1905.04899, and Yun et al., "VideoMix: Rethinking
Data Augmentation for Video Classification", arXiv:2012.03457.

Differences from the papers:
- ActorCutMix pastes detected people into another video's scene. Without a detector, the piece is a random
  box held over all frames (a tube), as in CutMix and the spatial VideoMix; one box serves a batch.
- The two labels are weighted by the box's area, as there. ActorCutMix gives people of area r the weight
  1 - (1 - r)^4, since they say more of the action than their area; a random box does not.
- Each part's label counts as far as its own prediction is used. The authors' code asks for the confidence of
  the foreground alone, and takes the background's label, however uncertain, with it.
- The piece is pasted into strong clips and always; the authors' code pastes weak clips, in every second batch
  on average, without further augmentation.
- As in the authors' code the partner is the clip at the opposite place of the batch.
- The distribution of the area (`concentration` 1, that is uniform) is CutMix's for ImageNet.
- With several processes, each draws a box of its own, and pastes among its own share of the batch.
- What FixMatch says of its own differences holds here, too.
"""

from torch import nn
from torch.nn import functional as F

from ssl_video.algorithms.fixmatch import FixMatch
from ssl_video.algorithms.parts.mixing import beta_share, box_tube, mix
from ssl_video.algorithms.parts.passes import Passes, in_passes
from ssl_video.algorithms.parts.pseudo import masked_cross_entropy
from ssl_video.contract import Batch, LossOutput, NotNegative, Pseudo, Share, Task
from ssl_video.registry import algorithm


@algorithm("cutmix")
class CutMix(FixMatch):
    """Strong clips with a tube of another one learn the labels of both, by area.

    Args:
        task: the problem.
        model: the network.
        threshold: confidence from which a prediction is used (tau; FixMatch's, and Zou et al.'s).
        weight: weight of the unlabeled term (FixMatch's, and Zou et al.'s).
        concentration: of the Beta distribution of the box's area (alpha; CutMix's); 0 pastes nothing.
        passes: "separate" or "joint", see `parts.in_passes`.
    """

    whole_batch = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        threshold: Share = 0.95,
        weight: NotNegative = 1.0,
        concentration: NotNegative = 1.0,
        passes: Passes = "separate",
    ) -> None:
        super().__init__(task, model, threshold=threshold, weight=weight, passes=passes)
        self.concentration = concentration

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Labeled cross-entropy + weight * masked cross-entropy against both labels of each mixed clip."""
        strong = batch.unlabeled["strong"]
        tube = box_tube(strong, beta_share(self.concentration))
        share = tube.float().mean()
        mixed = mix(strong, strong.flip(0), tube)
        clips = batch.labeled["weak"], batch.unlabeled["weak"], mixed
        labeled, weak, of_mixed = in_passes(self.model, *clips, self.passes)
        pseudo = self.select(weak, batch.positions)
        partner = Pseudo(pseudo.label.flip(0), pseudo.weight.flip(0))
        outside, inside = (masked_cross_entropy(of_mixed, p) for p in (pseudo, partner))
        terms = {
            "labeled": F.cross_entropy(labeled, batch.labels),
            "unlabeled": self.weight * ((1 - share) * outside + share * inside),
        }
        return LossOutput(terms, {"model": pseudo})
