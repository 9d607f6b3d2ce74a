"""MvPL: one network sees appearance and motion, and both views together give the label of each.

Xiong et al., "Multiview Pseudo-Labeling for Semi-supervised Learning from Video", ICCV 2021,
arXiv:2104.00682.

Differences from the paper:
- Two views, RGB and temporal gradient; the paper's third, optical flow, is left out.
- The temporal gradient is the difference of neighbouring frames of the clip; the last one is repeated.
- The views of a clip share their crop, flip and colours, since one is computed from the other.
- The predictions of the weak views are aggregated by averaging their logits, as in the re-run of MvPL in the
  code of LTG (Xiao et al., CVPR 2022); the authors published no code.
- `threshold`, the equal weights of both views and `supervised_share` are of that re-run (threshold 0.3, 30 of
  240 epochs, both terms averaged over the views); the paper's values are not known to us.
- Each kind of clip of each view is normalised by its own batch-norm statistics (`passes`), and the running
  averages are those of RGB, which is what is tested; the re-run passes everything together.
"""

from torch import nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.passes import Passes, averages_untouched, in_passes
from ssl_video.algorithms.parts.pseudo import Threshold, masked_cross_entropy, started
from ssl_video.algorithms.parts.temporal_gradient import temporal_gradient
from ssl_video.contract import Algorithm, Batch, LossOutput, NotNegative, Share, Task, View
from ssl_video.registry import algorithm


@algorithm("mvpl")
class MvPL(Algorithm):
    """The mean prediction on RGB and temporal gradient is the label of both; inference by RGB alone.

    Args:
        task: the problem.
        model: the network, shared by both views.
        threshold: confidence from which the mean prediction is used (LTG's re-run).
        weight: weight of the unlabeled terms (LTG's re-run).
        supervised_share: share of training with labeled clips alone (30 of 240 epochs; LTG's re-run).
        passes: "separate" or "joint", see `parts.in_passes`; each view has its own in any case (ours).
    """

    unlabeled = {"weak": View("weak"), "strong": View("strong")}

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        threshold: Share = 0.3,
        weight: NotNegative = 1.0,
        supervised_share: Share = 0.125,
        passes: Passes = "separate",
    ) -> None:
        super().__init__()
        self.model, self.select, self.weight = model, Threshold(threshold), weight
        self.supervised_share, self.passes = supervised_share, passes

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Labeled cross-entropy + masked cross-entropy on strong clips, each the mean of both views."""
        clips = batch.labeled["weak"], batch.unlabeled["weak"], batch.unlabeled["strong"]
        rgb_labeled, rgb_weak, rgb_strong = in_passes(self.model, *clips, self.passes)
        labeled, weak, strong = (temporal_gradient(c) for c in clips)
        with averages_untouched(self.model):
            labeled, weak, strong = in_passes(self.model, labeled, weak, strong, self.passes)
        pseudo = self.select((rgb_weak + weak) / 2, batch.positions)
        weight = self.weight * started(progress, self.supervised_share) / 2
        terms = {
            "labeled/rgb": F.cross_entropy(rgb_labeled, batch.labels) / 2,
            "labeled/gradient": F.cross_entropy(labeled, batch.labels) / 2,
            "unlabeled/rgb": weight * masked_cross_entropy(rgb_strong, pseudo),
            "unlabeled/gradient": weight * masked_cross_entropy(strong, pseudo),
        }
        return LossOutput(terms, {"model": pseudo})
