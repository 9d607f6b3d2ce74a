"""FlexMatch: FixMatch with a bar for each class, lower where less has been learned.

Zhang et al., "FlexMatch: Boosting Semi-Supervised Learning with Curriculum Pseudo Labeling", NeurIPS 2021,
arXiv:2110.08263.

Differences from the paper:
- None in the rule. As in its Algorithm 1, a step's bars come from what was remembered before the step, and a
  position keeps its last confident label until it gets another one.
- Everything else is as in FixMatch here: passes, batches, what is evaluated.
- Where a step holds a position twice, with two confident labels, the higher class number is remembered:
  the paper says nothing, and a run must not depend on the order in which a GPU writes.
"""

import torch
from torch import Tensor, nn

from ssl_video.algorithms.fixmatch import FixMatch
from ssl_video.algorithms.parts.passes import Passes
from ssl_video.algorithms.parts.processes import gather
from ssl_video.contract import NotNegative, Pseudo, Share, Task
from ssl_video.registry import algorithm


class CurriculumThreshold(nn.Module):
    """Bars that rise with the number of unlabeled positions that are confidently given a class.

    All start at 0, so that at first every prediction is used.
    """

    def __init__(self, task: Task, threshold: float, threshold_warmup: bool) -> None:
        super().__init__()
        self.num_classes, self.threshold, self.warmup = task.num_classes, threshold, threshold_warmup
        self.labels: Tensor
        self.register_buffer("labels", torch.full((task.num_unlabeled,), -1))

    @torch.no_grad()
    def forward(self, logits: Tensor, positions: Tensor) -> Pseudo:
        """Logits (U, classes) and positions (U,) in the unlabeled set -> pseudo-labels (U,)."""
        confidence, label = logits.float().softmax(-1).max(-1)
        pseudo = Pseudo(label, (confidence >= self.bars()[label]).float())
        self._remember(gather(confidence), gather(label), gather(positions))
        return pseudo

    def bars(self) -> Tensor:
        """(classes,): threshold * beta / (2 - beta); beta is how well a class is learned (eq. 11, 12)."""
        counts = torch.zeros(self.num_classes + 1, dtype=torch.long, device=self.labels.device)
        unused, *_ = counts.scatter_add_(0, self.labels + 1, torch.ones_like(self.labels))
        learned = counts[1:]
        most = torch.maximum(learned.max(), unused) if self.warmup else learned.max()
        effect = learned / most.clamp(min=1)
        return self.threshold * effect / (2 - effect)

    def _remember(self, confidence: Tensor, label: Tensor, positions: Tensor) -> None:
        """The labels of those that reach the fixed threshold."""
        sure = torch.where(confidence >= self.threshold, label, -1)
        found = self.labels.scatter_reduce(0, positions, sure, "amax", include_self=False)
        self.labels.copy_(torch.where(found >= 0, found, self.labels))


@algorithm("flexmatch")
class FlexMatch(FixMatch):
    """FixMatch, in which classes that are rarely predicted with confidence get a lower threshold.

    Args:
        task: the problem.
        model: the network.
        threshold: the bar of the class that is learned best (tau; the paper's value).
        threshold_warmup: unlabeled clips that never had a confident label count as a class, so that all bars
            rise from 0 (the paper's choice).
        weight: weight of the unlabeled term (the paper's value).
        passes: "separate" or "joint", see `parts.in_passes`.
    """

    whole_batch = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        threshold: Share = 0.95,
        threshold_warmup: bool = True,
        weight: NotNegative = 1.0,
        passes: Passes = "separate",
    ) -> None:
        super().__init__(task, model, threshold=threshold, weight=weight, passes=passes)
        self.select = CurriculumThreshold(task, threshold, threshold_warmup)
