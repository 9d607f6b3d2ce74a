"""ActNetFormer: CMPL with a transformer beside the convolutional network, and contrast between the two.

Dass et al., "ActNetFormer: Transformer-ResNet Hybrid Method for Semi-Supervised Action Recognition in
Videos", ICPR 2024, arXiv:2404.06243.

From the paper: a 3D-ResNet50 and a small video transformer (ViT-S) at different frame rates label unlabeled
clips for each other, as in CMPL; the features that both have of the same video are more alike than those of
different videos; the first network alone is used for inference.

Differences from the paper, and choices of ours where no public source gives a value:
- There is no public code. Threshold, weights and temperature are ours.
- What is compared is what the classifiers are given of the two strong clips of a video, each network's
  projected by a head of its own (two linear layers, SimCLR's).
- The transformer is the one with the higher frame rate, at twice the frames and half the stride, as the
  auxiliary network of CMPL is here.
- Everything that is said of CMPL's clips, batch norm and labels.
"""

from dataclasses import replace

from torch import nn

from ssl_video.algorithms.cmpl import CMPL
from ssl_video.algorithms.parts.contrast import info_nce, projection
from ssl_video.algorithms.parts.features import Features
from ssl_video.algorithms.parts.passes import Passes
from ssl_video.algorithms.parts.processes import gather
from ssl_video.contract import Batch, LossOutput, Network, NotNegative, Share, Task
from ssl_video.registry import algorithm


@algorithm("actnetformer")
class ActNetFormer(CMPL):
    """Two networks of different architectures, taught by each other's labels and told to see the same.

    Args:
        task: the problem.
        primary: the network that is kept.
        auxiliary: the transformer that is thrown away after training.
        threshold: confidence from which a prediction is used (ours).
        weight: weight of the unlabeled terms of CMPL (ours).
        contrast_weight: weight of the contrast between the networks (ours).
        temperature: by which similarities are divided there (ours).
        passes: "separate" or "joint", see `parts.in_passes` (ours).
    """

    roles = {"primary": Network(), "auxiliary": Network(backbone="timesformer_s", rate=2)}
    whole_batch = True

    def __init__(
        self,
        task: Task,
        primary: nn.Module,
        auxiliary: nn.Module,
        *,
        threshold: Share = 0.8,
        weight: NotNegative = 1.0,
        contrast_weight: NotNegative = 1.0,
        temperature: NotNegative = 0.5,
        passes: Passes = "separate",
    ) -> None:
        super().__init__(task, primary, auxiliary, threshold=threshold, weight=weight, passes=passes)
        self.contrast_weight, self.temperature = contrast_weight, temperature
        self.features = [Features(network, task.num_classes) for network in (primary, auxiliary)]
        self.heads = nn.ModuleList(projection(features.size) for features in self.features)

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """CMPL's terms + contrast_weight * contrast of the two networks' features of strong clips."""
        with self.features[0].captured() as of_primary, self.features[1].captured() as of_auxiliary:
            output = super().loss(batch, progress)
        # In separate and in joint passes alike, the strong clips are the last.
        count = len(batch.positions)
        one, other = self.heads[0](of_primary(count)), self.heads[1](of_auxiliary(count))
        contrast = info_nce(gather(one), gather(other), self.temperature)
        return replace(output, terms=output.terms | {"unlabeled/contrast": self.contrast_weight * contrast})
