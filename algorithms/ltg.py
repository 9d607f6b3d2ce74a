"""LTG: a network learns from a second one that sees motion alone.

Xiao et al., "Learning from Temporal Gradient for Semi-supervised Action Recognition", CVPR 2022,
arXiv:2111.13241.

Differences from the paper:
- The temporal gradient is the difference of neighbouring frames of the clip, the last one repeated, and is
  taken after augmentation. The paper takes frames that follow each other in the file (its "fast" gradient),
  and augments strong gradients on their own.
- Features are aligned where the classifiers read them; the paper also aligns three earlier stages, each with
  a weight of 1.
- The two predictions on a weak clip are averaged before the softmax, as in the authors' code.
- Contrast is between the two networks' features of the same clip, as in the configurations that the authors
  published (one clip a video); clips of one network are negatives of each other, too. Its heads have SimCLR's
  two layers and 128 outputs, without batch norm; the authors' have three layers, 512 outputs and batch norm.
- `contrast_weight` 1 of the mean over both directions is the authors' 0.5 of their sum.
- Strong clips have batch-norm statistics of their own and leave the running averages alone; the authors pass
  all clips together and measure the averages again every five epochs.
- Optimizer, schedule, batch sizes and evaluation views are the run's.
"""

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.contrast import info_nce, projection
from ssl_video.algorithms.parts.features import Features
from ssl_video.algorithms.parts.passes import averages_untouched, together
from ssl_video.algorithms.parts.processes import gather
from ssl_video.algorithms.parts.pseudo import Threshold, masked_cross_entropy, started
from ssl_video.algorithms.parts.temporal_gradient import temporal_gradient
from ssl_video.contract import Algorithm, Batch, LossOutput, Network, NotNegative, Share, Task, View
from ssl_video.errors import InputError
from ssl_video.registry import algorithm


class _Seen(NamedTuple):
    """What a network makes of a batch: logits of each kind of clip, features of labeled and weak clips."""

    labeled: Tensor  # (B, classes)
    weak: Tensor  # (U, classes)
    strong: Tensor  # (U, classes)
    features: Tensor  # (B + U, C)


@algorithm("ltg")
class LTG(Algorithm):
    """A network of RGB clips and one of temporal gradients label clips together; inference by RGB alone.

    Args:
        task: the problem.
        model: the network that is kept, of RGB clips.
        gradient: the network of temporal gradients, thrown away after training.
        threshold: confidence from which the mean prediction is used (tau; the paper's value).
        weight: weight of the pseudo-labels' terms (the authors' code).
        alignment_weight: weight of the distance to the features of the temporal gradient (the authors' code).
        contrast_weight: weight of the contrast between the networks' features (the authors' code).
        temperature: by which similarities are divided there (the authors' code).
        supervised_share: share of training without pseudo-labels (30 of 180 epochs; the authors' code).
    """

    roles = {"model": Network(), "gradient": Network()}
    labeled = {role: View("weak", network=role) for role in roles}
    unlabeled = {f"{kind}/{role}": View(kind, network=role) for role in roles for kind in ("weak", "strong")}
    whole_batch = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        gradient: nn.Module,
        *,
        threshold: Share = 0.3,
        weight: NotNegative = 1.0,
        alignment_weight: NotNegative = 1.0,
        contrast_weight: NotNegative = 1.0,
        temperature: NotNegative = 0.5,
        supervised_share: Share = 0.167,
    ) -> None:
        super().__init__()
        self.model, self.gradient, self.select = model, gradient, Threshold(threshold)
        self.weight, self.alignment_weight, self.contrast_weight = weight, alignment_weight, contrast_weight
        self.temperature, self.supervised_share = temperature, supervised_share
        self.features = {role: Features(self.get_submodule(role), task.num_classes) for role in self.roles}
        sizes = [features.size for features in self.features.values()]
        if len(set(sizes)) > 1:
            raise InputError(
                "ltg aligns the features of its two networks, which must be as many: model has "
                f"{sizes[0]}, gradient has {sizes[1]}; give both the same backbone and width"
            )
        self.heads = nn.ModuleDict(
            {role: projection(size) for role, size in zip(self.roles, sizes, strict=True)}
        )

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Both networks' labeled and masked cross-entropy + alignment + contrast."""
        rgb, motion = self._see(batch, "model"), self._see(batch, "gradient")
        pseudo = self.select((rgb.weak + motion.weak) / 2, batch.positions)
        weight = self.weight * started(progress, self.supervised_share)
        alike = F.cosine_similarity(rgb.features, motion.features.detach()).mean()
        one = gather(self.heads["model"](rgb.features))
        other = gather(self.heads["gradient"](motion.features))
        terms = {
            "labeled/model": F.cross_entropy(rgb.labeled, batch.labels) / 2,
            "labeled/gradient": F.cross_entropy(motion.labeled, batch.labels) / 2,
            "unlabeled/model": weight * masked_cross_entropy(rgb.strong, pseudo) / 2,
            "unlabeled/gradient": weight * masked_cross_entropy(motion.strong, pseudo) / 2,
            "unlabeled/alignment": self.alignment_weight * (1 - alike),
            "unlabeled/contrast": self.contrast_weight * info_nce(one, other, self.temperature),
        }
        return LossOutput(terms, {"model": pseudo})

    def predictors(self) -> dict[str, nn.Module]:
        """The network of RGB clips alone."""
        return {"model": self.model}

    def _see(self, batch: Batch, role: str) -> _Seen:
        network = self.get_submodule(role)
        clips = [batch.labeled[role], *(batch.unlabeled[f"{kind}/{role}"] for kind in ("weak", "strong"))]
        if role == "gradient":
            clips = [temporal_gradient(c) for c in clips]
        with self.features[role].captured() as last:
            labeled, weak = together(network, clips[0], clips[1])
        features = last(len(labeled) + len(weak))
        with averages_untouched(network):
            (strong,) = together(network, clips[2])
        return _Seen(labeled, weak, strong, features)
