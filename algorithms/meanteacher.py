"""Mean Teacher: a network learns the predictions of a moving average of its weights."""

import torch
from torch import nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.passes import forward_joint
from ssl_video.algorithms.parts.pseudo import ramp
from ssl_video.algorithms.parts.teacher import EMATeacherAlgorithm
from ssl_video.contract import Batch, Fraction, LossOutput, NonNegative, Paper, Pseudo, Task, View
from ssl_video.registry import algorithm


@algorithm("meanteacher")
class MeanTeacher(EMATeacherAlgorithm):
    """The network learns the predictions of its moving average, on another weak augmentation of the clip.

    Args:
        task: the problem.
        model: the student.
        decay: of the teacher's average, per step (the paper's value).
        weight: weight of the unlabeled term after the ramp (ours, TorchSSL's is 50).
        ramp: fraction of training over which that weight rises from 0 (TorchSSL's value).
    """

    paper = Paper(
        "Mean teachers are better role models: Weight-averaged consistency targets "
        "improve semi-supervised deep learning results",
        authors="Tarvainen and Valpola",
        venue="NeurIPS",
        year=2017,
        arxiv="1703.01780",
    )
    differences: tuple[str, ...] = (
        "Teacher and student see two draws of the weak augmentation, because the paper draws its two noises "
        "from one distribution (its code and TorchSSL do the same; USB gives the student a strongly "
        "augmented image).",
        "The consistency term contains only unlabeled clips; the paper's mean also includes labeled ones. A "
        "run may add the labeled clips to the unlabeled ones (`labeled_in_unlabeled`).",
        "`weight` 10 is ours; TorchSSL has 50, with a million steps, which in short runs drowns the labels. "
        "The linear rise over the first 40 % of training is TorchSSL's; the paper's weight rises along a "
        "sigmoid.",
        "`decay` is the paper's value after its ramp; the paper uses 0.99 before. Until the decay is "
        "reached, the teacher is an average of about the last tenth of the steps so far "
        "(`parts.teacher.teacher_decay`); in the paper's code, it is the plain mean of all states, which "
        "lags behind in short runs.",
        "The teacher is in evaluation mode: it uses the averaged batch-norm statistics and no dropout.",
        "Labeled and unlabeled clips share one forward pass and its batch-norm statistics, as in the paper.",
    )

    unlabeled = {"teacher": View("weak"), "student": View("weak", copy=1)}

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        decay: Fraction = 0.999,
        weight: NonNegative = 10.0,
        ramp: Fraction = 0.4,
    ) -> None:
        super().__init__(model, decay)
        self.weight, self.ramp = weight, ramp

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Return labeled cross-entropy + ramped squared distance of the predictions (J of section 2)."""
        target = self.teacher(batch.unlabeled["teacher"]).float().softmax(-1)
        labeled, student = forward_joint(self.model, batch.labeled["weak"], batch.unlabeled["student"])
        weight = self.weight * ramp(progress, self.ramp)
        terms = {
            "labeled": self.labeled_cross_entropy(labeled, batch.labels),
            "unlabeled": weight * F.mse_loss(student.softmax(-1), target),
        }
        label = target.argmax(-1)
        return LossOutput(terms, {"teacher": Pseudo(label, torch.ones_like(target[:, 0]), target)})
