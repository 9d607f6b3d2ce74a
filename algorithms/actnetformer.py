"""ActNetFormer: CMPL with a transformer as the second network, and a contrastive loss between the two.

From the paper: a 3D-ResNet50 and a small video transformer (ViT-S) at different frame rates pseudo-label
clips for each other, as in CMPL; a contrastive loss makes their features of the same video more similar than
those of different videos; only the first network is used for inference. From the authors' README: the
contrast compares weakly augmented clips, in SimCLR's form; the transformer is a TimeSformer of 384
dimensions, 6 heads and 12 layers; clips have 8 frames of 224 pixels.
"""

from dataclasses import replace

from torch import nn

from ssl_video.algorithms.cmpl import CMPL
from ssl_video.algorithms.parts.contrast import info_nce, projection
from ssl_video.algorithms.parts.features import Features
from ssl_video.algorithms.parts.passes import Passes
from ssl_video.algorithms.parts.processes import gather
from ssl_video.contract import Batch, Fraction, LossOutput, Network, NonNegative, Paper, Task
from ssl_video.registry import algorithm


@algorithm("actnetformer")
class ActNetFormer(CMPL):
    """Two architectures learn each other's pseudo-labels; a contrastive loss aligns their features.

    Args:
        task: the problem.
        primary: the network used for inference.
        auxiliary: the transformer, discarded after training.
        threshold: minimum confidence of a used prediction (ours).
        weight: weight of CMPL's unlabeled terms (ours).
        contrast_weight: weight of the contrast between the networks (ours).
        temperature: divisor of the similarities in the contrast (ours).
        passes: "separate" or "joint", see `parts.passes.forward_views` (ours).
    """

    paper = Paper(
        "ActNetFormer: Transformer-ResNet Hybrid Method for Semi-Supervised Action Recognition in Videos",
        authors="Dass et al.",
        venue="ICPR",
        year=2024,
        arxiv="2404.06243",
    )
    differences: tuple[str, ...] = (
        "There is no public code. Threshold, weights and temperature are ours. The run sets the clips: 8 "
        "frames of 224 pixels are the authors'.",
        "The contrast compares the inputs of the two classifiers for the two weak clips of a video, which "
        "therefore have a gradient. Each network has its own projection head (two linear layers, as in "
        "SimCLR).",
        "The transformer has the higher frame rate: twice the frames at half the stride, like the auxiliary "
        "network of CMPL here.",
        "The differences of CMPL in clips, batch norm and labels apply here, too.",
    )

    roles = {"primary": Network(), "auxiliary": Network(backbone="timesformer_s", rate=2)}
    whole_batch = True
    weak_gradient = True

    def __init__(
        self,
        task: Task,
        primary: nn.Module,
        auxiliary: nn.Module,
        *,
        threshold: Fraction = 0.8,
        weight: NonNegative = 1.0,
        contrast_weight: NonNegative = 1.0,
        temperature: NonNegative = 0.5,
        passes: Passes = "separate",
    ) -> None:
        super().__init__(task, primary, auxiliary, threshold=threshold, weight=weight, passes=passes)
        self.contrast_weight, self.temperature = contrast_weight, temperature
        self.features = [Features(network, task.num_classes) for network in (primary, auxiliary)]
        self.heads = nn.ModuleList(projection(features.size) for features in self.features)

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Return CMPL's terms + contrast_weight * contrast of the networks' features of weak clips."""
        with self.features[0].captured() as of_primary, self.features[1].captured() as of_auxiliary:
            output = super().loss(batch, progress)
        # The weak clips pass before the strong ones, both in separate and in joint passes.
        count = len(batch.indices)
        one = self.heads[0](of_primary(2 * count)[:count])
        other = self.heads[1](of_auxiliary(2 * count)[:count])
        contrast = info_nce(gather(one), gather(other), self.temperature)
        return replace(output, terms=output.terms | {"unlabeled/contrast": self.contrast_weight * contrast})
