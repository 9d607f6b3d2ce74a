"""MixMatch: labels averaged over two clips and sharpened, and everything mixed with everything.

Berthelot et al., "MixMatch: A Holistic Approach to Semi-Supervised Learning", NeurIPS 2019,
arXiv:1905.02249.

Differences from the paper:
- Two weak clips per video (K = 2), cut and transformed independently; pixels of whole clips are mixed.
- `weight` 75 and `concentration` 0.75 are the paper's for CIFAR-10; its other data sets have other weights.
- `weight` rises linearly over the first 40 % of training, as in TorchSSL; in the paper over 16,000 steps,
  which is 2 % of its training.
- All mixed clips, from labeled and unlabeled ones, share one forward pass and its batch-norm statistics; the
  authors' code interleaves them into batches of equal make-up to the same end.
- Test clips are not mixed: running averages are of one pass, without gradient, over the clips as they were,
  the labeled ones among them, and mixed clips leave them alone. In the authors' code they are those of mixed
  clips.
- The network itself is evaluated; the paper evaluates a moving average of its weights (decay 0.999).
- With several processes, each mixes its own share of the batch, by draws of its own.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.mixing import beta_shares, mix
from ssl_video.algorithms.parts.passes import averages_untouched, together
from ssl_video.algorithms.parts.pseudo import ramp, sharpen
from ssl_video.contract import Algorithm, Batch, LossOutput, NotNegative, Pseudo, Share, Task, View
from ssl_video.registry import algorithm


@algorithm("mixmatch")
class MixMatch(Algorithm):
    """Learns mixtures of labeled and unlabeled clips, whose labels are mixed like the clips.

    Args:
        task: the problem.
        model: the network.
        temperature: of the sharpening; smaller is sharper, 0 gives hard labels (T; the paper's value).
        concentration: of the Beta distribution that shares are drawn from; 0 never mixes (alpha; the
            paper's value).
        weight: weight of the unlabeled term after the ramp (lambda_U; the paper's value for CIFAR-10).
        ramp: share of training over which that weight rises from 0 (TorchSSL's value).
    """

    unlabeled = {"first": View("weak"), "second": View("weak", copy=1)}
    whole_batch = True

    def __init__(
        self,
        task: Task,
        model: nn.Module,
        *,
        temperature: NotNegative = 0.5,
        concentration: NotNegative = 0.75,
        weight: NotNegative = 75.0,
        ramp: Share = 0.4,
    ) -> None:
        super().__init__()
        self.model, self.num_classes = model, task.num_classes
        self.temperature, self.concentration = temperature, concentration
        self.weight, self.ramp = weight, ramp

    def loss(self, batch: Batch, progress: float) -> LossOutput:
        """Cross-entropy of mixed labeled clips + ramped squared error of mixed unlabeled ones (eq. 3-5)."""
        whole = batch.labeled["weak"], batch.unlabeled["first"], batch.unlabeled["second"]
        guess = self.guess(*whole)
        labels = F.one_hot(batch.labels, self.num_classes).to(guess)
        clips, targets = self.mixed(torch.cat(whole), torch.cat([labels, guess, guess]))
        with averages_untouched(self.model):
            logits = self.model(clips).float()
        count = len(labels)
        weight = self.weight * ramp(progress, self.ramp)
        terms = {
            "labeled": F.cross_entropy(logits[:count], targets[:count]),
            "unlabeled": weight * F.mse_loss(logits[count:].softmax(-1), targets[count:]),
        }
        return LossOutput(terms, {"model": Pseudo(guess.argmax(-1), torch.ones_like(guess[:, 0]), guess)})

    @torch.no_grad()
    def guess(self, labeled: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """The sharpened mean prediction on two clips of each video, each (U, 3, T, H, W) -> (U, classes).

        Labeled clips (B, 3, T, H, W) pass with them for the running averages of batch norm alone.
        """
        _, one, other = together(self.model, labeled, first, second)
        return sharpen((one.softmax(-1) + other.softmax(-1)) / 2, self.temperature)

    def mixed(self, clips: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Clips (N, 3, T, H, W) and targets (N, classes), each mixed with as much or less of another."""
        share = beta_shares(self.concentration, len(clips))
        share = torch.minimum(share, 1 - share).to(clips.device)
        other = torch.randperm(len(clips)).to(clips.device)
        return (
            mix(clips, clips[other], share.to(clips).view(-1, 1, 1, 1, 1)),
            mix(targets, targets[other], share[:, None]),
        )
