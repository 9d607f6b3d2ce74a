"""Distillation: another model's predictions of the unlabeled clips are their labels."""

from torch import nn

from ssl_video.algorithms.parts.passes import averages_untouched, forward_joint
from ssl_video.algorithms.parts.pseudo import masked_cross_entropy, sharpen
from ssl_video.contract import Algorithm, Batch, Fraction, LossOutput, NonNegative, Paper, Pseudo, Task, View
from ssl_video.registry import algorithm


@algorithm("distill")
class Distill(Algorithm):
    """Strong clips learn the predictions of another model, which are read from a table.

    The other model may be larger, a run with another network, or one of images and texts that knows the
    classes by their names and has seen no label.

    Args:
        task: the problem.
        model: the network.
        teacher: table of the predictions, with a column for each class: that of `ssl-video predict
            --probabilities`, or one of your own.
        threshold: minimum confidence of a used prediction; 0 uses all.
        weight: weight of the unlabeled term.
        temperature: of the predictions; 1 leaves them as they are, larger is softer, 0 gives hard labels.
    """

    paper = Paper(
        "Distilling the Knowledge in a Neural Network",
        authors="Hinton et al.",
        venue="arXiv",
        year=2015,
        arxiv="1503.02531",
    )
    based_on = (
        Paper(
            "Self-training with Noisy Student improves ImageNet classification",
            authors="Xie et al.",
            venue="CVPR",
            year=2020,
            arxiv="1911.04252",
        ),
    )
    differences: tuple[str, ...] = (
        "The teacher's predictions are a table that is made once, of clips without augmentation. Hinton et "
        "al. compute them at every step.",
        "The student learns from strongly augmented clips, as in Noisy Student.",
        "The student's own logits are not divided by the temperature, which sharpens or softens the targets "
        "alone.",
        "Strong clips do not update the running averages of batch norm, because test clips are not strongly "
        "augmented.",
    )

    unlabeled = {"strong": View("strong")}
    predictions_from = "teacher"

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        teacher: str = "",
        threshold: Fraction = 0.0,
        weight: NonNegative = 1.0,
        temperature: NonNegative = 1.0,
    ) -> None:
        super().__init__()
        self.model, self.teacher = model, teacher
        self.threshold, self.weight, self.temperature = threshold, weight, temperature

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Return labeled cross-entropy + weight * cross-entropy of strong clips and predictions."""
        assert batch.predictions is not None
        (labeled,) = forward_joint(self.model, batch.labeled["weak"])
        with averages_untouched(self.model):
            (strong,) = forward_joint(self.model, batch.unlabeled["strong"])
        confidence, label = batch.predictions.max(-1)
        targets = sharpen(batch.predictions.log(), self.temperature)
        pseudo = Pseudo(label, (confidence >= self.threshold).float(), targets)
        terms = {
            "labeled": self.labeled_cross_entropy(labeled, batch.labels),
            "unlabeled": self.weight * masked_cross_entropy(strong, pseudo),
        }
        return LossOutput(terms, {"teacher": pseudo})
