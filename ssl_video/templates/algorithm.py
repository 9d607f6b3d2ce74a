"""MyMethod: what it does, in one line."""

from torch import nn

from ssl_video import (
    Algorithm,
    Batch,
    Fraction,
    LossOutput,
    Network,
    NonNegative,
    Task,
    Threshold,
    View,
    algorithm,
    forward_views,
    masked_cross_entropy,
)


@algorithm("my-method")
class MyMethod(Algorithm):
    """One sentence, which `ssl-video list` and the tables of methods show.

    Args:
        task: the problem; `num_classes` and `num_unlabeled` are its attributes that an algorithm may use.
        model: the network.
        threshold: minimum confidence at which a prediction becomes a label.
        weight: weight of the unlabeled term.
    """

    # paper = Paper("Title", authors="Roe et al.", venue="CVPR", year=2026, arxiv="2601.00001")
    differences = ("Every deviation from the paper, and every value here that the paper does not give.",)

    # The networks to train. The training engine builds them and passes them by these names.
    # A second one might be "auxiliary": Network(width=0.25, rate=2), narrower and with twice the frames.
    roles = {"model": Network()}
    # The views to read of labeled and of unlabeled videos; exactly these are decoded. Other examples are
    # View("strong", frames=4, stride=8), View("weak", window="own"), View("strong", copy=1), ...
    labeled = {"weak": View("weak")}
    unlabeled = {"weak": View("weak"), "strong": View("strong")}
    # predictions_from = "teacher" names an option `teacher: str = ""`: the table of another model's
    # predictions of the unlabeled clips. self.teacher holds it, and batches have `batch.predictions`.

    # Keyword arguments are the options of the method: --set options.threshold=0.9
    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        threshold: Fraction = 0.95,
        weight: NonNegative = 1.0,
    ) -> None:
        super().__init__()
        # State that changes in training must be a sub-module or a buffer: only those are saved and resumed.
        self.model, self.select = model, Threshold(threshold)
        self.weight = weight

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Compute a step's loss terms; `progress` is the fraction of training done, in [0, 1), for ramps."""
        # Clips (N, 3, T, H, W) become logits (N, classes); the weak ones without gradient.
        labeled, weak, strong = forward_views(
            self.model, batch.labeled["weak"], batch.unlabeled["weak"], batch.unlabeled["strong"], "separate"
        )
        # Labels (U,) and weights (U,): 1 where the network is confident enough, else 0.
        pseudo = self.select(weak, batch.indices)
        terms = {
            # The sum of these terms is minimised, and each of them is logged.
            "labeled": self.labeled_cross_entropy(labeled, batch.labels),
            "unlabeled": self.weight * masked_cross_entropy(strong, pseudo),
        }
        # Runs compare the pseudo-labels, by the network's name, with the hidden labels, which no method sees.
        return LossOutput(terms, {"model": pseudo})
