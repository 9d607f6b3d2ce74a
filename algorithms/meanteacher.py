"""Mean Teacher: a network learns the predictions of the average of its own weights.

Tarvainen and Valpola, "Mean teachers are better role models: Weight-averaged consistency targets improve
semi-supervised deep learning results", NeurIPS 2017, arXiv:1703.01780.

Differences from the paper:
- Teacher and student see two draws of the weak augmentation, as the paper's two noises are drawn from one
  distribution (its code and TorchSSL do the same; USB gives the student a strongly augmented image).
- Only unlabeled clips are in the consistency term; the paper's mean is over labeled ones, too. A run may
  make labeled clips unlabeled ones as well (`labeled_in_unlabeled`).
- `weight` 50 and its linear rise over the first 40 % of training are TorchSSL's; the paper's weight rises
  along a sigmoid.
- `decay` is the value that the paper has after its ramp, and 0.99 before. As in the paper's code, the average
  is the plain mean of all states until the decay is reached (`parts.averages.kept`).
- The teacher is in evaluation mode: it normalises by averaged batch-norm statistics and drops nothing.
- Labeled and unlabeled clips share one forward pass and its batch-norm statistics, as in the paper.
"""

import torch
from torch import nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.passes import together
from ssl_video.algorithms.parts.pseudo import ramp
from ssl_video.algorithms.parts.teacher import Taught
from ssl_video.contract import Batch, LossOutput, NotNegative, Pseudo, Share, Task, View
from ssl_video.registry import algorithm


@algorithm("meanteacher")
class MeanTeacher(Taught):
    """The prediction of a moving average of the network is what the network learns on another weak clip.

    Args:
        task: the problem.
        model: the student.
        decay: of the teacher's average, per step (the paper's value).
        weight: weight of the unlabeled term after the ramp (TorchSSL's value).
        ramp: share of training over which that weight rises from 0 (TorchSSL's value).
    """

    unlabeled = {"teacher": View("weak"), "student": View("weak", copy=1)}

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        decay: Share = 0.999,
        weight: NotNegative = 50.0,
        ramp: Share = 0.4,
    ) -> None:
        super().__init__(model, decay)
        self.weight, self.ramp = weight, ramp

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Labeled cross-entropy + ramped squared distance of the two predictions (J of section 2)."""
        target = self.teacher(batch.unlabeled["teacher"]).float().softmax(-1)
        labeled, student = together(self.model, batch.labeled["weak"], batch.unlabeled["student"])
        weight = self.weight * ramp(progress, self.ramp)
        terms = {
            "labeled": F.cross_entropy(labeled, batch.labels),
            "unlabeled": weight * F.mse_loss(student.softmax(-1), target),
        }
        label = target.argmax(-1)
        return LossOutput(terms, {"teacher": Pseudo(label, torch.ones_like(target[:, 0]), target)})
