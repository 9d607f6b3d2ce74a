"""Supervised-only: the baseline that every semi-supervised method has to beat."""

from torch import nn

from ssl_video.contract import Algorithm, Batch, LossOutput, Task
from ssl_video.registry import algorithm


@algorithm("supervised")
class Supervised(Algorithm):
    """Cross-entropy on the labeled clips only; unlabeled clips are neither read nor decoded."""

    differences: tuple[str, ...] = (
        "It runs the same number of steps as the methods it is compared with (matched steps, not matched "
        "epochs), and sees only the labeled part of each batch.",
    )

    def __init__(self, task: Task, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Return the cross-entropy of the labeled clips."""
        return LossOutput(
            {"labeled": self.labeled_cross_entropy(self.model(batch.labeled["weak"]).float(), batch.labels)}
        )
