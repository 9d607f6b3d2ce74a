"""SVFormer: a moving average of the network labels strongly augmented, mixed and time-warped clips.

From the paper and its code: the teacher is the moving average; its confident prediction on the weak clip is
the label of the strong clip; Tube TokenMix replaces whole patches of a clip, the same in every frame, by
those of another clip, which is also warped in time; the target of the mixed clip is the mixed prediction.
The student is tested, as in the authors' code, which never tests the teacher.
"""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.mixing import beta_fraction, mix, patch_tube
from ssl_video.algorithms.parts.passes import averages_untouched, forward_joint
from ssl_video.algorithms.parts.pseudo import Threshold, masked_cross_entropy, step_after
from ssl_video.algorithms.parts.teacher import EMATeacherAlgorithm
from ssl_video.contract import Batch, Fraction, LossOutput, NonNegative, Paper, Pseudo, Task, View
from ssl_video.registry import algorithm


@algorithm("svformer")
class SVFormer(EMATeacherAlgorithm):
    """A moving average labels weak clips; the network learns from strong clips and mixtures of two clips.

    Args:
        task: the problem.
        model: the network.
        threshold: minimum confidence of a used prediction (ours).
        weight: weight of the strong clips' term.
        mix_weight: weight of the mixed clips' term.
        concentration: c of the distribution Beta(c, c) of the mixed fraction; 0 mixes nothing.
        patch: side of a patch in pixels (the paper's network has 16).
        decay: of the teacher's average, per step (the value of SeFAR's code).
        supervised_fraction: fraction of training on labels only (ours).
    """

    paper = Paper(
        "SVFormer: Semi-supervised Video Transformer for Action Recognition",
        authors="Xing et al.",
        venue="CVPR",
        year=2023,
        arxiv="2211.13222",
    )
    differences: tuple[str, ...] = (
        "Patches are mixed as pixels, not as tokens, and at multiples of `patch`. For a network whose first "
        "layer cuts the frame into patches of that size (stride = kernel), both are exactly the same, "
        "because it embeds every patch independently. Here the method runs with any backbone. The paper's "
        "is TimeSformer: `timesformer_s`.",
        "The code's mixed loss is the distance of raw logits to probabilities; here both are probabilities.",
        "The code's warp writes into the strong clip in place, so that both are warped. Here the strong "
        "clip is not.",
        "The code drops channels of the strong clips at random (dropout of 0.2 on pixels); this is left out.",
        "No released configuration has the threshold, the weights or the concentration of the Beta "
        "distribution. The weights 2 and the concentration 10 are those of a later method on the same code "
        "(SeFAR, AAAI 2025, arXiv:2501.01245). Its weights rise over training; here they do not. So is the "
        "decay 0.9999: the code's own configurations have none. `threshold` is ours.",
        "The code draws one order of frames for all warped clips of a batch; here each clip has its own.",
        "With several processes, each mixes its own shard of the batch, with its own draws.",
        "The labels are mixed by the mixed area; the code uses the fraction drawn before it is rounded to "
        "patches.",
        "Until the decay is reached, the teacher is an average of about the last tenth of the steps so far "
        "(`parts.teacher.teacher_decay`).",
        "Labeled, strong and mixed clips are normalised by their own batch-norm statistics, if the network "
        "has batch norm, and only the labeled clips update the running averages. The paper's network has no "
        "batch norm.",
        "The code first trains some epochs on labels only, an unspecified number (the later method 5). Here "
        "this is `supervised_fraction`, by default 0.",
    )

    unlabeled = {"weak": View("weak"), "strong": View("strong"), "warped": View("strong+timewarp")}
    whole_batch = True
    works_on_pixels = True
    student_first = True  # as the authors' code tests and saves it

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        threshold: Fraction = 0.3,
        weight: NonNegative = 2.0,
        mix_weight: NonNegative = 2.0,
        concentration: NonNegative = 10.0,
        patch: Annotated[int, Ge(1)] = 16,
        decay: Fraction = 0.9999,
        supervised_fraction: Fraction = 0.0,
    ) -> None:
        super().__init__(model, decay)
        self.select, self.weight, self.mix_weight = Threshold(threshold), weight, mix_weight
        self.concentration, self.patch, self.supervised_fraction = concentration, patch, supervised_fraction

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Return labeled + masked strong cross-entropy + squared distance on mixed clips."""
        u, on = batch.unlabeled, step_after(progress, self.supervised_fraction)
        (guessed,) = forward_joint(self.teacher, u["weak"])
        pseudo = self.select(guessed, batch.indices)
        other = torch.randperm(len(guessed)).to(guessed.device)
        mask = patch_tube(u["strong"], self.patch, beta_fraction(self.concentration))
        (labeled,) = forward_joint(self.model, batch.labeled["weak"])
        with averages_untouched(self.model):
            (strong,) = forward_joint(self.model, u["strong"])
            (mixed,) = forward_joint(self.model, mix(u["strong"], u["warped"][other], mask))
        terms = {
            "labeled": self.labeled_cross_entropy(labeled, batch.labels),
            "unlabeled": on * self.weight * masked_cross_entropy(strong, pseudo),
            "unlabeled/mixed": on * self.mix_weight * _distance(mixed, guessed, pseudo, other, mask.mean()),
        }
        return LossOutput(terms, {"teacher": pseudo})


def _distance(mixed: Tensor, guessed: Tensor, pseudo: Pseudo, other: Tensor, fraction: Tensor) -> Tensor:
    """Return the mean squared distance of mixed clips' probabilities to the mixture of their labels.

    A confident label is one-hot; any other is the teacher's prediction. The weights are mixed, too.

    Args:
        mixed: logits of the mixed clips, (U, classes).
        guessed: the teacher's logits, (U, classes).
        pseudo: the teacher's pseudo-labels.
        other: for each clip the index of its mixing partner, (U,).
        fraction: that of the other clip, a scalar.
    """
    certain = F.one_hot(pseudo.label, guessed.shape[-1]).float()
    target = torch.where(pseudo.weight[:, None] > 0, certain, guessed.softmax(-1))
    target, weight = mix(target, target[other], fraction), mix(pseudo.weight, pseudo.weight[other], fraction)
    return ((mixed.softmax(-1) - target).square().mean(-1) * weight).mean()
