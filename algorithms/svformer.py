"""SVFormer: a moving average of the network gives the labels of clips strongly augmented, mixed and warped.

Xing et al., "SVFormer: Semi-supervised Video Transformer for Action Recognition", CVPR 2023,
arXiv:2211.13222.

From the paper and its code: the teacher is the moving average; its confident prediction on the weak clip is
the label of the strong one; Tube TokenMix replaces whole patches of a clip, the same in every frame, by those
of another clip, which is also warped in time; the mixed clip learns the mixed predictions.

Differences from the paper:
- Patches are mixed in pixels, not as tokens, and at multiples of `patch`. For a network whose first layer
  cuts the frame into patches of that size (stride = kernel) both are exactly the same, as it treats every
  patch alone; here the method runs with any backbone. The paper's is TimeSformer: `timesformer_s`.
- The code's mixed loss is the distance of raw logits to probabilities; here both are probabilities.
- The code's warp writes into the strong clip in place, so that both are warped. Here the strong clip is not.
- The code drops channels of the strong clips at random (dropout of 0.2 on pixels); this is left out.
- Threshold, weights and the concentration of the Beta distribution are in no released configuration.
  The weights 2 and the concentration 10 are those of a later method on the same code (SeFAR, AAAI 2025,
  arXiv:2501.01245), where the weights rise over training; here they do not. `threshold` is ours.
- With several processes, each mixes its own share of the batch, by draws of its own.
- The share of the mixed labels is that of the mixed area; the code's is drawn before it is rounded to
  patches.
- Until the decay is reached, the teacher is the plain mean of all weights so far.
- Labeled, strong and mixed clips are normalised by their own batch-norm statistics where there are any, and
  only the labeled ones count in the running averages; the paper's network has none.
- The code trains some epochs on labels alone first, and does not say how many (the later method 5):
  `supervised_share`, by default none.
"""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.mixing import beta_share, mix, patch_tube
from ssl_video.algorithms.parts.passes import averages_untouched, together
from ssl_video.algorithms.parts.pseudo import Threshold, masked_cross_entropy, started
from ssl_video.algorithms.parts.teacher import Taught
from ssl_video.contract import Batch, Bounds, LossOutput, NotNegative, Pseudo, Share, Task, View
from ssl_video.registry import algorithm


@algorithm("svformer")
class SVFormer(Taught):
    """The average's labels of weak clips are learned from strong clips and from mixtures of two clips.

    Args:
        task: the problem.
        model: the network.
        threshold: confidence from which a prediction is used (ours).
        weight: weight of the strong clips' term.
        mix_weight: weight of the mixed clips' term.
        concentration: c of the distribution Beta(c, c) of the mixed share; 0 mixes nothing.
        patch: side of a patch in pixels (the paper's network has 16).
        decay: of the teacher's average, per step (the code's value).
        supervised_share: share of training on labels alone (ours).
    """

    unlabeled = {"weak": View("weak"), "strong": View("strong"), "warped": View("strong+timewarp")}
    whole_batch = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        threshold: Share = 0.3,
        weight: NotNegative = 2.0,
        mix_weight: NotNegative = 2.0,
        concentration: NotNegative = 10.0,
        patch: Annotated[int, Bounds(1)] = 16,
        decay: Share = 0.9999,
        supervised_share: Share = 0.0,
    ) -> None:
        super().__init__(model, decay)
        self.select, self.weight, self.mix_weight = Threshold(threshold), weight, mix_weight
        self.concentration, self.patch, self.supervised_share = concentration, patch, supervised_share

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Labeled cross-entropy + masked cross-entropy on strong clips + squared distance on mixed ones."""
        u, on = batch.unlabeled, started(progress, self.supervised_share)
        (guessed,) = together(self.teacher, u["weak"])
        pseudo = self.select(guessed, batch.positions)
        other = torch.randperm(len(guessed)).to(guessed.device)
        mask = patch_tube(u["strong"], self.patch, beta_share(self.concentration))
        (labeled,) = together(self.model, batch.labeled["weak"])
        with averages_untouched(self.model):
            (strong,) = together(self.model, u["strong"])
            (mixed,) = together(self.model, mix(u["strong"], u["warped"][other], mask))
        terms = {
            "labeled": F.cross_entropy(labeled, batch.labels),
            "unlabeled": on * self.weight * masked_cross_entropy(strong, pseudo),
            "unlabeled/mixed": on * self.mix_weight * _distance(mixed, guessed, pseudo, other, mask.mean()),
        }
        return LossOutput(terms, {"teacher": pseudo})


def _distance(mixed: Tensor, guessed: Tensor, pseudo: Pseudo, other: Tensor, share: Tensor) -> Tensor:
    """Mean squared distance of mixed clips' probabilities to the mixture of their labels.

    A confident label counts as certain, any other as the teacher gives it; the weights are mixed, too.

    Args:
        mixed: logits of the mixed clips, (U, classes).
        guessed: the teacher's logits, (U, classes).
        pseudo: the labels that it gave.
        other: which clip each is mixed with, (U,).
        share: of the other clip, a scalar.
    """
    certain = F.one_hot(pseudo.label, guessed.shape[-1]).float()
    target = torch.where(pseudo.weight[:, None] > 0, certain, guessed.softmax(-1))
    target, weight = mix(target, target[other], share), mix(pseudo.weight, pseudo.weight[other], share)
    return ((mixed.softmax(-1) - target).square().mean(-1) * weight).mean()
