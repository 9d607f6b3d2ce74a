"""TCL: one video at two speeds should have similar predictions, different from those of other videos."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.contrast import info_nce
from ssl_video.algorithms.parts.passes import averages_untouched, forward_joint
from ssl_video.algorithms.parts.processes import gather
from ssl_video.algorithms.parts.pseudo import Threshold, step_after
from ssl_video.contract import Algorithm, Batch, Fraction, LossOutput, NonNegative, Paper, Task, View
from ssl_video.registry import algorithm


@algorithm("tcl")
class TCL(Algorithm):
    """Contrast between videos at two speeds, and between the mean predictions of each predicted class.

    Args:
        task: the problem.
        model: the network; takes clips of the run's length and of half of it.
        weight: weight of the contrast between videos (gamma; ours, the authors' command has 9).
        group_weight: weight of the contrast between classes (beta; the authors' command).
        temperature: divisor of the similarities (tau; the authors' code).
        supervised_fraction: fraction of training on labeled clips only (50 of 400 epochs; the authors'
            command).
    """

    paper = Paper(
        "Semi-Supervised Action Recognition with Temporal Contrastive Learning",
        authors="Singh et al.",
        venue="CVPR",
        year=2021,
        arxiv="2102.02751",
    )
    differences: tuple[str, ...] = (
        "The two speeds are clips of one window, the second with half the frames at twice the stride (the "
        "paper's 8 and 4). The paper spreads both over the whole video, each frame at a random place of its "
        "segment.",
        "The prediction at base speed is a fixed target, as in the authors' code: the gradient flows only "
        "through the other speed. The pass at base speed therefore needs no gradient.",
        "Labeled clips and those of each speed are normalised by their own batch-norm statistics. Clips at "
        "the other speed do not update the running averages, because the network is tested at base speed.",
        "With several processes, the contrast covers the clips of all of them; the authors use one process.",
        "The variants with a self-supervised first phase and with a last phase of fine-tuning on "
        "pseudo-labels (threshold 0.8, a tenth of the learning rate) are left out.",
        "`weight` 1 is ours. The command in the authors' README (Mini-Something-V2, 400 epochs) has 9, which "
        "in short runs drowns the labels. `group_weight` and `supervised_fraction` are from that command, "
        "`temperature` is from their code.",
    )

    waived: Mapping[str, str] = {
        "no-waiting": "the number of groups is read once in a step; it decides how many rows are compared"
    }
    unlabeled = {"base": View("weak"), "auxiliary": View("weak", rate=0.5, copy=1)}
    whole_batch = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        weight: NonNegative = 1.0,
        group_weight: NonNegative = 1.0,
        temperature: NonNegative = 0.5,
        supervised_fraction: Fraction = 0.125,
    ) -> None:
        super().__init__()
        self.model, self.select = model, Threshold(0.0)
        self.weight, self.group_weight = weight, group_weight
        self.temperature, self.supervised_fraction = temperature, supervised_fraction

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Return labeled cross-entropy + contrast between instances and between groups."""
        with torch.no_grad():
            (base,) = forward_joint(self.model, batch.unlabeled["base"])
        (labeled,) = forward_joint(self.model, batch.labeled["weak"])
        with averages_untouched(self.model):
            (auxiliary,) = forward_joint(self.model, batch.unlabeled["auxiliary"])
        pair = gather(base.softmax(-1)), gather(auxiliary.softmax(-1))
        weight = step_after(progress, self.supervised_fraction)
        terms = {
            "labeled": self.labeled_cross_entropy(labeled, batch.labels),
            "unlabeled/instance": weight * self.weight * info_nce(*pair, self.temperature),
            "unlabeled/group": weight * self.group_weight * info_nce(*groups(*pair), self.temperature),
        }
        return LossOutput(terms, {"model": self.select(base, batch.indices)})


def groups(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean predictions of the clips that have the same likeliest class, at each of two speeds.

    A clip may be in different groups at its two speeds. Classes that are not the likeliest of any clip at one
    of the speeds are left out, because they have no partner there.

    Args:
        one: probabilities (N, classes) of all clips at one speed.
        other: probabilities (N, classes) at the other speed.

    Returns:
        Two tensors (groups, classes) whose rows with the same index belong to the same class; (0, classes)
        without groups.
    """
    # A mean under autocast would be rounded to three digits.
    with torch.autocast(one.device.type, enabled=False):
        members = [F.one_hot(p.argmax(-1), p.shape[-1]).to(p).T for p in (one, other)]
        both = (members[0].any(1) & members[1].any(1)).nonzero().squeeze(1)
        first, second = (F.normalize(m[both], p=1) @ p for m, p in zip(members, (one, other), strict=True))
    return first, second
