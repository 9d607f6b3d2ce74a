"""FixMatch: confident predictions on weak clips are the labels of strong clips."""

from torch import Tensor, nn

from ssl_video.algorithms.parts.alignment import Alignment
from ssl_video.algorithms.parts.passes import Passes, forward_views
from ssl_video.algorithms.parts.pseudo import Threshold, masked_cross_entropy
from ssl_video.contract import Algorithm, Batch, Fraction, LossOutput, NonNegative, Paper, Pseudo, Task, View
from ssl_video.registry import algorithm


@algorithm("fixmatch")
class FixMatch(Algorithm):
    """The confident prediction on a weakly augmented clip is the label of its strongly augmented copy.

    Args:
        task: the problem.
        model: the network.
        threshold: minimum confidence of a used prediction (tau; the paper's value).
        weight: weight of the unlabeled term (lambda_u; the paper's value).
        passes: "separate" or "joint", see `parts.passes.forward_views`.
        alignment: correct the predictions so that classes are labeled as often as they occur, see
            `parts.alignment` (not in the paper).
    """

    paper = Paper(
        "FixMatch: Simplifying Semi-Supervised Learning with Consistency and Confidence",
        authors="Sohn et al.",
        venue="NeurIPS",
        year=2020,
        arxiv="2001.07685",
    )
    differences: tuple[str, ...] = (
        "Clips instead of images; every transform is drawn once per clip and applied to all its frames.",
        "The network itself is evaluated; the paper evaluates a moving average of its weights (decay 0.999).",
        "The run, not the method, sets whether labeled clips are also unlabeled ones "
        "(`labeled_in_unlabeled`); the paper includes them.",
        "By default labeled, weak and strong clips are normalised by their own batch-norm statistics "
        "(`passes`); most implementations use one joint pass. On the demo, joint passes cost accuracy with "
        "four labels per class (docs/training.md).",
        "The run sets the batch sizes, the optimizer and the schedule.",
    )

    unlabeled = {"weak": View("weak"), "strong": View("strong")}

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        threshold: Fraction = 0.95,
        weight: NonNegative = 1.0,
        passes: Passes = "separate",
        alignment: bool = False,
    ) -> None:
        super().__init__()
        self.model, self.weight, self.passes = model, weight, passes
        self.align = Alignment(task.num_classes) if alignment else None
        self.whole_batch = self.whole_batch or alignment
        # Turns weak predictions into pseudo-labels; methods with another rule replace it.
        self.select: nn.Module = Threshold(threshold)

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Return labeled cross-entropy (eq. 3) + weight * masked cross-entropy on strong clips (eq. 4)."""
        u = batch.unlabeled
        labeled, weak, strong = forward_views(
            self.model, batch.labeled["weak"], u["weak"], u["strong"], self.passes
        )
        if self.align:
            weak = self.align(weak, batch.labels)
        pseudo = self.select(weak, batch.indices)
        terms = {
            "labeled": self.labeled_cross_entropy(labeled, batch.labels),
            "unlabeled": self.weight * masked_cross_entropy(strong, pseudo),
        }
        return LossOutput(terms | self.further_terms(strong, pseudo), {"model": pseudo})

    def further_terms(self, strong: Tensor, pseudo: Pseudo) -> dict[str, Tensor]:
        """Return further terms of a subclass, from the strong clips' logits (U, classes); here none."""
        return {}
