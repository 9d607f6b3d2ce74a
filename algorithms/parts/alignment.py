"""Distribution alignment: classes are predicted as often as they occur among the labeled clips."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.algorithms.parts.averages import Average
from ssl_video.algorithms.parts.memory import Memory
from ssl_video.algorithms.parts.processes import gather

_DECAY = 0.99  # about the last hundred steps, as ReMixMatch averages over 128


class Alignment(nn.Module):
    """Distribution alignment of ReMixMatch (Berthelot et al. 2020, arXiv:1911.09785, section 3.2).

    A prediction q becomes q * labels / predictions, normalised: `labels` is the moving average of the classes
    in the labeled batches, `predictions` that of the predictions on unlabeled clips. Without it, the class
    that a network predicts most often gets ever more pseudo-labels.

    An algorithm that uses it needs the whole batch: `whole_batch`.

    Attributes:
        labels: average distribution of labels, (classes,).
        predictions: average prediction, (classes,).
    """

    def __init__(self, num_classes: int, decay: float = _DECAY) -> None:
        super().__init__()
        uniform = torch.full((num_classes,), 1 / num_classes)
        self.labels, self.predictions = Average(uniform, decay), Average(uniform, decay)

    @torch.no_grad()
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Map logits (U, classes), with the batch's labels (B,), to the logs of aligned predictions.

        The averages are updated first.
        """
        predicted = logits.float().softmax(-1)
        classes = F.one_hot(labels, predicted.shape[-1]).to(predicted)
        wanted = self.labels.update(gather(classes).mean(0))
        found = self.predictions.update(gather(predicted).mean(0))
        tiny = torch.finfo(predicted.dtype).tiny
        aligned: Tensor = (predicted * wanted / found.clamp(min=tiny)).clamp(min=tiny).log().log_softmax(-1)
        return aligned


class UniformAlignment(nn.Module):
    """Distribution alignment to equally frequent classes, as in the code of CoMatch, SimMatch and USB.

    A prediction q becomes q / predictions, normalised; `predictions` is the mean of the latest steps'.

    An algorithm that uses it needs the whole batch: `whole_batch`.

    Attributes:
        predictions: the mean predictions of the latest steps.
    """

    def __init__(self, num_classes: int, steps: int = 32) -> None:
        super().__init__()
        self.predictions = Memory(steps, num_classes)

    @torch.no_grad()
    def forward(self, probability: Tensor) -> Tensor:
        """Map predictions (U, classes) to aligned ones; their mean is remembered first."""
        self.predictions.add(gather(probability).mean(0, keepdim=True))
        found = self.predictions.mean().clamp(min=torch.finfo(probability.dtype).tiny)
        aligned = probability / found
        return aligned / aligned.sum(-1, keepdim=True)
