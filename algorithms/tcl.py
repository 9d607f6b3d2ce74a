"""TCL: a video shown at two speeds should look the same, and other than other videos.

Singh et al., "Semi-Supervised Action Recognition with Temporal Contrastive Learning", CVPR 2021,
arXiv:2102.02751.

Differences from the paper:
- The two speeds are clips of one window, the second with half the frames at twice the stride (the paper's 8
  and 4); the paper spreads both over the whole video, each frame at a random place of its segment.
- The prediction at base speed is a fixed target, as in the authors' code: the gradient flows through the
  other speed alone. So the pass at base speed needs no gradient.
- Labeled clips and those of each speed are normalised by their own batch-norm statistics, and clips at the
  other speed leave the running averages alone: the network is tested at base speed.
- Several processes compare the clips of all of them; the authors use one process.
- The variants with a self-supervised first phase and with a last phase of fine-tuning on pseudo-labels
  (threshold 0.8, a tenth of the learning rate) are left out.
- `weight`, `group_weight` and `supervised_share` are those of the command in the authors' README
  (Mini-Something-V2), `temperature` is their code's.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.contrast import info_nce
from ssl_video.algorithms.parts.passes import averages_untouched, together
from ssl_video.algorithms.parts.processes import gather
from ssl_video.algorithms.parts.pseudo import Threshold, started
from ssl_video.contract import Algorithm, Batch, LossOutput, NotNegative, Share, Task, View
from ssl_video.registry import algorithm


@algorithm("tcl")
class TCL(Algorithm):
    """Two speeds of one video agree more than two videos, and so do the means of each predicted class.

    Args:
        task: the problem.
        model: the network, which takes clips of the run's length and of half of it.
        weight: weight of the contrast between videos (gamma; the authors' command).
        group_weight: weight of the contrast between classes (beta; the authors' command).
        temperature: by which similarities are divided (tau; the authors' code).
        supervised_share: share of training with labeled clips alone (50 of 400 epochs; the authors' command).
    """

    unlabeled = {"base": View("weak"), "auxiliary": View("weak", rate=0.5, copy=1)}
    whole_batch = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        weight: NotNegative = 9.0,
        group_weight: NotNegative = 1.0,
        temperature: NotNegative = 0.5,
        supervised_share: Share = 0.125,
    ) -> None:
        super().__init__()
        self.model, self.select = model, Threshold(0.0)
        self.weight, self.group_weight = weight, group_weight
        self.temperature, self.supervised_share = temperature, supervised_share

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Labeled cross-entropy + contrast between instances and between groups."""
        with torch.no_grad():
            (base,) = together(self.model, batch.unlabeled["base"])
        (labeled,) = together(self.model, batch.labeled["weak"])
        with averages_untouched(self.model):
            (auxiliary,) = together(self.model, batch.unlabeled["auxiliary"])
        pair = gather(base.softmax(-1)), gather(auxiliary.softmax(-1))
        weight = started(progress, self.supervised_share)
        terms = {
            "labeled": F.cross_entropy(labeled, batch.labels),
            "unlabeled/instance": weight * self.weight * info_nce(*pair, self.temperature),
            "unlabeled/group": weight * self.group_weight * info_nce(*groups(*pair), self.temperature),
        }
        return LossOutput(terms, {"model": self.select(base, batch.positions)})


def groups(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Mean predictions of the clips that have the same likeliest class, at each of two speeds.

    A clip may stand in different groups at its two speeds. Classes that are nobody's likeliest at one of the
    speeds have no partner there and are left out.

    Args:
        one: probabilities (N, classes) of all clips at one speed.
        other: at the other speed, likewise.

    Returns:
        (groups, classes) twice, rows of the same class beside each other; without groups (0, classes).
    """
    # A mean under autocast would be rounded to three digits.
    with torch.autocast(one.device.type, enabled=False):
        members = [F.one_hot(p.argmax(-1), p.shape[-1]).to(p).T for p in (one, other)]
        both = (members[0].any(1) & members[1].any(1)).nonzero().squeeze(1)
        first, second = (F.normalize(m[both], p=1) @ p for m, p in zip(members, (one, other), strict=True))
    return first, second
