"""Pseudo-label: a network trained on its own confident predictions."""

from torch import nn

from ssl_video.algorithms.parts.alignment import Alignment
from ssl_video.algorithms.parts.passes import forward_joint
from ssl_video.algorithms.parts.pseudo import Threshold, masked_cross_entropy, ramp
from ssl_video.contract import Algorithm, Batch, Fraction, LossOutput, NonNegative, Paper, Task, View
from ssl_video.registry import algorithm


@algorithm("pseudolabel")
class PseudoLabel(Algorithm):
    """The network's confident predictions on a clip are the labels of the same clip.

    Args:
        task: the problem.
        model: the network.
        threshold: minimum confidence of a used prediction.
        weight: weight of the unlabeled term after the ramp (USB's `ulb_loss_ratio`).
        ramp: fraction of training over which that weight rises from 0 (USB's `unsup_warm_up`).
        alignment: correct the predictions so that classes are labeled as often as they occur, see
            `parts.alignment` (not in the paper).
    """

    paper = Paper(
        "Pseudo-Label: The Simple and Efficient Semi-Supervised Learning Method for Deep Neural Networks",
        authors="Lee",
        venue="ICML workshop",
        year=2013,
    )
    differences: tuple[str, ...] = (
        "Only predictions whose confidence reaches `threshold` are used, as in the reference "
        "implementations of TorchSSL and USB (0.95); the paper uses all of them.",
        "The weight of the unlabeled term rises linearly over the first `ramp` of training and is constant "
        "afterwards, as in USB. The paper's schedule (eq. 16), counted in epochs, also rises linearly; "
        "before that it is 0 for some time, and it ends at a weight of its own.",
        "Labeled and unlabeled clips share one forward pass and its batch-norm statistics; in USB, "
        "unlabeled clips do not update the statistics.",
    )

    unlabeled = {"weak": View("weak")}

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        threshold: Fraction = 0.95,
        weight: NonNegative = 1.0,
        ramp: Fraction = 0.4,
        alignment: bool = False,
    ) -> None:
        super().__init__()
        self.align = Alignment(task.num_classes) if alignment else None
        self.whole_batch = self.whole_batch or alignment
        self.model, self.select = model, Threshold(threshold)
        self.weight, self.ramp = weight, ramp

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Return labeled cross-entropy + ramped cross-entropy with the network's own labels (eq. 15)."""
        labeled, weak = forward_joint(self.model, batch.labeled["weak"], batch.unlabeled["weak"])
        aligned = self.align(weak, batch.labels) if self.align else weak
        pseudo = self.select(aligned, batch.indices)
        weight = self.weight * ramp(progress, self.ramp)
        return LossOutput(
            {
                "labeled": self.labeled_cross_entropy(labeled, batch.labels),
                "unlabeled": weight * masked_cross_entropy(weak, pseudo),
            },
            {"model": pseudo},
        )
