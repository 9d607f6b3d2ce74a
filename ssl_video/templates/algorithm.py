"""MyMethod: what it does, in one line.

Authors, "Title of the paper", venue and year, arXiv number.

Differences from the paper:
- What you do otherwise, and every value here that the paper does not give.
"""

from torch import nn
from torch.nn import functional as F

from ssl_video import (
    Algorithm,
    Batch,
    LossOutput,
    Network,
    NotNegative,
    Share,
    Task,
    Threshold,
    View,
    algorithm,
    in_passes,
    masked_cross_entropy,
)


@algorithm("my-method")
class MyMethod(Algorithm):
    """One sentence, which `ssl-video list` and the tables of methods show.

    Args:
        task: the problem, of which an algorithm may know `num_classes` and `num_unlabeled`.
        model: the network.
        threshold: confidence from which a prediction becomes a label.
        weight: weight of the unlabeled term.
    """

    # The networks that it trains. They are built for it and given to the constructor by these names.
    # A second one might be "auxiliary": Network(width=0.25, rate=2), narrower and with twice the frames.
    roles = {"model": Network()}
    # The clips that it reads of labeled and of unlabeled videos; exactly these are decoded. Others are
    # View("strong", frames=4, stride=8), View("weak", window="own"), View("strong", copy=1), ...
    labeled = {"weak": View("weak")}
    unlabeled = {"weak": View("weak"), "strong": View("strong")}

    # Keyword arguments are the options of the method: --set options.threshold=0.9
    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        threshold: Share = 0.95,
        weight: NotNegative = 1.0,
    ) -> None:
        super().__init__()
        # Whatever changes in training is a sub-module or a buffer: only those are saved and resumed.
        self.model, self.select = model, Threshold(threshold)
        self.weight = weight

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Loss terms of a step; `progress` is the share of training done, in [0, 1), for ramps."""
        # Clips (N, 3, T, H, W) become logits (N, classes); the weak ones without gradient.
        labeled, weak, strong = in_passes(
            self.model, batch.labeled["weak"], batch.unlabeled["weak"], batch.unlabeled["strong"], "separate"
        )
        # Labels (U,) and weights (U,): 1 where the network is confident enough, else 0.
        pseudo = self.select(weak, batch.positions)
        terms = {
            # The sum of these is minimised, and exactly they are logged.
            "labeled": F.cross_entropy(labeled, batch.labels),
            "unlabeled": self.weight * masked_cross_entropy(strong, pseudo),
        }
        # Runs compare the pseudo-labels with the hidden labels, which no method sees, by the network's name.
        return LossOutput(terms, {"model": pseudo})
