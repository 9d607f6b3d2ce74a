"""LTG: a network learns from a second one that sees only motion."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.contrast import info_nce, projection
from ssl_video.algorithms.parts.features import FeatureMaps, Features
from ssl_video.algorithms.parts.passes import averages_untouched, forward_joint
from ssl_video.algorithms.parts.processes import gather
from ssl_video.algorithms.parts.pseudo import Threshold, masked_cross_entropy, step_after
from ssl_video.algorithms.parts.temporal_gradient import temporal_gradient
from ssl_video.contract import Algorithm, Batch, Fraction, LossOutput, Network, NonNegative, Paper, Task, View
from ssl_video.errors import InputError
from ssl_video.registry import algorithm


class _Seen(NamedTuple):
    """A network's outputs for a batch: logits of each kind of clip, features of labeled and weak clips.

    Features are aligned where there are maps of the stages, (B + U, C, T, H, W), and after pooling otherwise.
    """

    labeled: Tensor  # (B, classes)
    weak: Tensor  # (U, classes)
    strong: Tensor  # (U, classes)
    features: Tensor  # (B + U, C)
    aligned: list[Tensor]  # (B + U, C, ...)


@algorithm("ltg")
class LTG(Algorithm):
    """An RGB network and a temporal-gradient network pseudo-label clips together; inference uses RGB only.

    Args:
        task: the problem.
        model: the RGB network, used for inference.
        gradient: the temporal-gradient network, discarded after training.
        threshold: minimum confidence of a used mean prediction (tau; the paper's value).
        weight: weight of the pseudo-labels' terms (the authors' code).
        alignment_weight: weight of the distance to the temporal gradient's features (the authors' code).
        contrast_weight: weight of the contrast between the networks' features (the authors' code).
        temperature: divisor of the similarities in the contrast (the authors' code).
        supervised_fraction: fraction of training without pseudo-labels (30 of 180 epochs; the authors' code).
    """

    paper = Paper(
        "Learning from Temporal Gradient for Semi-supervised Action Recognition",
        authors="Xiao et al.",
        venue="CVPR",
        year=2022,
        arxiv="2111.13241",
    )
    differences: tuple[str, ...] = (
        "The temporal gradient is (before - after + 255) / 2 of neighbouring frames of the clip, normalised "
        "like frames, as in the authors' code, but computed after augmentation and without JPEG compression; "
        "the last difference is repeated. The paper uses adjacent frames of the file (its "
        '"fast" gradient) and augments strong gradients independently.',
        "The outputs of all four stages are aligned, at every place and time, each with a weight of 1, as in "
        "the authors' code, if both networks are 3D-ResNets, X3D or tiny3d, or name their stages (`stages`). "
        "Of other networks the inputs of the classifiers alone are aligned, after pooling.",
        "The two predictions on a weak clip are averaged before the softmax, as in the authors' code.",
        "The contrast compares the two networks' features of the same clip, as in the configurations that "
        "the authors published (one clip per video). Clips of one network are also negatives of each other. "
        "The heads have SimCLR's two layers and 128 outputs, without batch norm; the authors' have three "
        "layers, 512 outputs and batch norm.",
        "`contrast_weight` 1 of the mean over both directions equals the authors' 0.5 of their sum.",
        "Strong clips have their own batch-norm statistics and do not update the running averages. The "
        "authors use one joint pass and recompute the averages every five epochs.",
        "The run sets the optimizer, the schedule, the batch sizes and the evaluation views.",
    )

    roles = {"model": Network(), "gradient": Network()}
    labeled = {role: View("weak", network=role) for role in roles}
    unlabeled = {f"{kind}/{role}": View(kind, network=role) for role in roles for kind in ("weak", "strong")}
    whole_batch = True
    works_on_pixels = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        gradient: nn.Module,
        *,
        threshold: Fraction = 0.3,
        weight: NonNegative = 1.0,
        alignment_weight: NonNegative = 1.0,
        contrast_weight: NonNegative = 1.0,
        temperature: NonNegative = 0.5,
        supervised_fraction: Fraction = 0.167,
    ) -> None:
        super().__init__()
        self.model, self.gradient, self.select = model, gradient, Threshold(threshold)
        self.weight, self.alignment_weight, self.contrast_weight = weight, alignment_weight, contrast_weight
        self.temperature, self.supervised_fraction = temperature, supervised_fraction
        self.features = {role: Features(self.get_submodule(role), task.num_classes) for role in self.roles}
        self.maps = {role: FeatureMaps(self.get_submodule(role)) for role in self.roles}
        numbers = {len(maps.stages) for maps in self.maps.values()}
        self.dense = len(numbers) == 1 and 0 not in numbers
        sizes = [features.size for features in self.features.values()]
        if len(set(sizes)) > 1:
            raise InputError(
                "ltg aligns the features of its two networks, whose numbers must be equal: model has "
                f"{sizes[0]}, gradient has {sizes[1]}; give both the same backbone and width"
            )
        self.heads = nn.ModuleDict(
            {role: projection(size) for role, size in zip(self.roles, sizes, strict=True)}
        )

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Return both networks' labeled and masked cross-entropy + alignment + contrast."""
        rgb, motion = self._see(batch, "model"), self._see(batch, "gradient")
        pseudo = self.select((rgb.weak + motion.weak) / 2, batch.indices)
        weight = self.weight * step_after(progress, self.supervised_fraction)
        one = gather(self.heads["model"](rgb.features))
        other = gather(self.heads["gradient"](motion.features))
        terms = {
            "labeled/model": self.labeled_cross_entropy(rgb.labeled, batch.labels) / 2,
            "labeled/gradient": self.labeled_cross_entropy(motion.labeled, batch.labels) / 2,
            "unlabeled/model": weight * masked_cross_entropy(rgb.strong, pseudo) / 2,
            "unlabeled/gradient": weight * masked_cross_entropy(motion.strong, pseudo) / 2,
            "unlabeled/alignment": self.alignment_weight * _distance(rgb.aligned, motion.aligned),
            "unlabeled/contrast": self.contrast_weight * info_nce(one, other, self.temperature),
        }
        return LossOutput(terms, {"model": pseudo})

    def predictors(self) -> dict[str, nn.Module]:
        """Return only the RGB network."""
        return {"model": self.model}

    def _see(self, batch: Batch, role: str) -> _Seen:
        network = self.get_submodule(role)
        clips = [batch.labeled[role], *(batch.unlabeled[f"{kind}/{role}"] for kind in ("weak", "strong"))]
        if role == "gradient":
            clips = [temporal_gradient(c) for c in clips]
        with self.features[role].captured() as last, self.maps[role].captured() as maps:
            labeled, weak = forward_joint(network, clips[0], clips[1])
        features = last(len(labeled) + len(weak))
        with averages_untouched(network):
            (strong,) = forward_joint(network, clips[2])
        return _Seen(labeled, weak, strong, features, maps if self.dense else [features])


def _distance(rgb: list[Tensor], motion: list[Tensor]) -> Tensor:
    """Return 1 - the mean cosine of RGB's channels and motion's, which get no gradient, summed over maps.

    Raises:
        InputError: two maps have different shapes.
    """
    total = rgb[0].new_zeros((), dtype=torch.float32)
    for one, other in zip(rgb, motion, strict=True):
        if one.shape != other.shape:
            raise InputError(
                f"ltg aligns the stages of its two networks, whose maps must have one shape: model's is "
                f"{tuple(one.shape[1:])}, gradient's {tuple(other.shape[1:])}; give both the same backbone, "
                "width and number of frames"
            )
        total = total + 1 - F.cosine_similarity(one.float(), other.detach().float(), dim=1).mean()
    return total
