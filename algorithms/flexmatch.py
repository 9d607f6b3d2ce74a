"""FlexMatch: FixMatch with a threshold per class, lower for classes that are learned less."""

import torch
from torch import Tensor, nn

from ssl_video.algorithms.fixmatch import FixMatch
from ssl_video.algorithms.parts.passes import Passes
from ssl_video.algorithms.parts.processes import gather
from ssl_video.contract import Fraction, NonNegative, Paper, Pseudo, Task
from ssl_video.registry import algorithm


class CurriculumThreshold(nn.Module):
    """Thresholds per class that rise with the number of unlabeled indices confidently predicted as it.

    All start at 0, so every prediction is used at first.
    """

    def __init__(self, task: Task, threshold: float, threshold_warmup: bool) -> None:
        super().__init__()
        self.num_classes, self.threshold, self.warmup = task.num_classes, threshold, threshold_warmup
        self.labels: Tensor
        self.register_buffer("labels", torch.full((task.num_unlabeled,), -1))

    @torch.no_grad()
    def forward(self, logits: Tensor, indices: Tensor) -> Pseudo:
        """Map logits (U, classes) and indices (U,) in the unlabeled set to pseudo-labels (U,)."""
        confidence, label = logits.float().softmax(-1).max(-1)
        pseudo = Pseudo(label, (confidence >= self.thresholds()[label]).float())
        self._remember(gather(confidence), gather(label), gather(indices))
        return pseudo

    def thresholds(self) -> Tensor:
        """Return threshold * beta / (2 - beta), (classes,), for learning effects beta (eq. 11, 12)."""
        counts = torch.zeros(self.num_classes + 1, dtype=torch.long, device=self.labels.device)
        counts.scatter_add_(0, self.labels + 1, torch.ones_like(self.labels))
        unused, learned = counts[0], counts[1:]
        most = torch.maximum(learned.max(), unused) if self.warmup else learned.max()
        effect = learned / most.clamp(min=1)
        return self.threshold * effect / (2 - effect)

    def _remember(self, confidence: Tensor, label: Tensor, indices: Tensor) -> None:
        """Store the labels whose confidence reaches the fixed threshold."""
        sure = torch.where(confidence >= self.threshold, label, -1)
        found = self.labels.scatter_reduce(0, indices, sure, "amax", include_self=False)
        self.labels.copy_(torch.where(found >= 0, found, self.labels))


@algorithm("flexmatch")
class FlexMatch(FixMatch):
    """FixMatch with lower thresholds for classes that are rarely predicted with confidence.

    Args:
        task: the problem.
        model: the network.
        threshold: the threshold of the best learned class (tau; the paper's value).
        threshold_warmup: count unlabeled clips without any confident label so far as a class, so that all
            thresholds rise from 0 (the paper's choice).
        weight: weight of the unlabeled term (the paper's value).
        passes: "separate" or "joint", see `parts.passes.forward_views`.
        alignment: correct the predictions so that classes are labeled as often as they occur, see
            `parts.alignment` (not in the paper).
    """

    paper = Paper(
        "FlexMatch: Boosting Semi-Supervised Learning with Curriculum Pseudo Labeling",
        authors="Zhang et al.",
        venue="NeurIPS",
        year=2021,
        arxiv="2110.08263",
    )
    differences: tuple[str, ...] = (
        "None in the rule. As in its Algorithm 1, a step's thresholds come from the labels stored before "
        "the step, and a position keeps its last confident label until it gets another one.",
        "Everything else is as in FixMatch here: passes, batches, evaluated network.",
        "When a step contains a position twice, with two confident labels, the higher class number is "
        "stored. The paper does not specify this, and a run must not depend on the order in which a GPU "
        "writes.",
    )

    whole_batch = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        threshold: Fraction = 0.95,
        threshold_warmup: bool = True,
        weight: NonNegative = 1.0,
        passes: Passes = "separate",
        alignment: bool = False,
    ) -> None:
        super().__init__(task, model, threshold=threshold, weight=weight, passes=passes, alignment=alignment)
        self.select = CurriculumThreshold(task, threshold, threshold_warmup)
