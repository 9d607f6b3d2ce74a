"""MixMatch: sharpened mean predictions as labels, and MixUp of labeled and unlabeled clips."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.mixing import beta_fractions, mix
from ssl_video.algorithms.parts.passes import averages_untouched, forward_joint
from ssl_video.algorithms.parts.pseudo import ramp, sharpen
from ssl_video.contract import Algorithm, Batch, Fraction, LossOutput, NonNegative, Paper, Pseudo, Task, View
from ssl_video.registry import algorithm


@algorithm("mixmatch")
class MixMatch(Algorithm):
    """Train on mixtures of labeled and unlabeled clips, with their labels mixed in the same way.

    Args:
        task: the problem.
        model: the network.
        temperature: of the sharpening; smaller is sharper, 0 gives hard labels (T; the paper's value).
        concentration: of the Beta distribution of the mixing fractions; 0 never mixes (alpha; the paper's
            value).
        weight: weight of the unlabeled term after the ramp (lambda_U; ours, the paper's is 75 for CIFAR-10).
        ramp: fraction of training over which that weight rises from 0 (TorchSSL's value).
    """

    paper = Paper(
        "MixMatch: A Holistic Approach to Semi-Supervised Learning",
        authors="Berthelot et al.",
        venue="NeurIPS",
        year=2019,
        arxiv="1905.02249",
    )
    differences: tuple[str, ...] = (
        "Two weak clips per video (K = 2), cut and transformed independently; pixels of whole clips are "
        "mixed.",
        "`weight` 5 is ours. The paper has 75 for CIFAR-10, with a million steps, and other weights for its "
        "other data sets; in short runs, 75 drowns the labels. `concentration` 0.75 is the paper's.",
        "`weight` rises linearly over the first 40 % of training, as in TorchSSL; in the paper it rises "
        "over 16,000 steps, which is 2 % of its training.",
        "All mixed clips, labeled and unlabeled, share one forward pass and its batch-norm statistics; the "
        "authors' code interleaves them into batches of equal composition for the same purpose.",
        "Test clips are not mixed, so the running averages come from one pass without gradient over the "
        "unmixed clips, labeled ones included. Mixed clips do not update them. In the authors' code they "
        "come from mixed clips.",
        "The network itself is evaluated; the paper evaluates a moving average of its weights (decay 0.999).",
        "With several processes, each mixes its own shard of the batch, with its own draws.",
    )

    unlabeled = {"first": View("weak"), "second": View("weak", copy=1)}
    whole_batch = True
    works_on_pixels = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        temperature: NonNegative = 0.5,
        concentration: NonNegative = 0.75,
        weight: NonNegative = 5.0,
        ramp: Fraction = 0.4,
    ) -> None:
        super().__init__()
        self.model, self.num_classes = model, task.num_classes
        self.temperature, self.concentration = temperature, concentration
        self.weight, self.ramp = weight, ramp

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Return mixed labeled cross-entropy + ramped squared error of mixed unlabeled clips (eq. 3-5)."""
        whole = batch.labeled["weak"], batch.unlabeled["first"], batch.unlabeled["second"]
        guess = self.guess(*whole)
        labels = F.one_hot(batch.labels, self.num_classes).to(guess)
        clips, targets = self.mixed(torch.cat(whole), torch.cat([labels, guess, guess]))
        with averages_untouched(self.model):
            logits = self.model(clips).float()
        count = len(labels)
        weight = self.weight * ramp(progress, self.ramp)
        terms = {
            "labeled": self.labeled_cross_entropy(logits[:count], targets[:count]),
            "unlabeled": weight * F.mse_loss(logits[count:].softmax(-1), targets[count:]),
        }
        return LossOutput(terms, {"model": Pseudo(guess.argmax(-1), torch.ones_like(guess[:, 0]), guess)})

    @torch.no_grad()
    def guess(self, labeled: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Return sharpened mean predictions on two clips per video, each (U, 3, T, H, W) -> (U, classes).

        Labeled clips (B, 3, T, H, W) join the pass only to update the running averages of batch norm.
        """
        _, one, other = forward_joint(self.model, labeled, first, second)
        # The logarithm of twice the mean probabilities.
        return sharpen(torch.logaddexp(one.log_softmax(-1), other.log_softmax(-1)), self.temperature)

    def mixed(self, clips: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Mix clips (N, 3, T, H, W) and targets (N, classes), each with at most as much of another one."""
        fraction = beta_fractions(self.concentration, len(clips))
        fraction = torch.minimum(fraction, 1 - fraction).to(clips.device)
        other = torch.randperm(len(clips)).to(clips.device)
        return (
            mix(clips, clips[other], fraction.to(clips).view(-1, 1, 1, 1, 1)),
            mix(targets, targets[other], fraction[:, None]),
        )
