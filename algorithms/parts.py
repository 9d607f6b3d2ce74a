"""Parts shared by algorithms: forward passes, thresholding, masked cross-entropy, moving average."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.contract import Pseudo


def together(model: nn.Module, *clips: Tensor) -> list[Tensor]:
    """One pass over several batches of clips, which therefore share their batch-norm statistics.

    Args:
        model: a network, (N, 3, T, H, W) -> (N, classes).
        clips: batches (N_i, 3, T, H, W) of one clip shape.

    Returns:
        Logits (N_i, classes) in float32, one tensor per batch.
    """
    logits: Tensor = model(torch.cat(clips)).float()
    return list(logits.split([len(c) for c in clips]))


Passes = Literal["separate", "joint"]


def in_passes(
    model: nn.Module, labeled: Tensor, weak: Tensor, strong: Tensor, passes: Passes
) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of labeled, weakly and strongly augmented clips, by one of two ways to run a network over them.

    "separate": each kind in a pass of its own and normalised by its own batch-norm statistics. Test clips are
    not strongly augmented, so strong clips leave the running averages alone; weak clips only give labels, so
    they need no gradient. "joint": one pass with gradient, whose statistics all kinds share, as in most
    implementations of FixMatch. Without batch norm both give the same losses and gradients.

    Args:
        model: a network, (N, 3, T, H, W) -> (N, classes).
        labeled: (B, 3, T, H, W).
        weak: (U, 3, T, H, W), without gradient in separate passes.
        strong: (U, 3, T, H, W).
        passes: "separate" or "joint".

    Returns:
        Logits (B, classes), (U, classes), (U, classes) in float32.
    """
    if passes == "joint":
        of_labeled, of_weak, of_strong = together(model, labeled, weak, strong)
        return of_labeled, of_weak, of_strong
    with torch.no_grad():
        (of_weak,) = together(model, weak)
    (of_labeled,) = together(model, labeled)
    with averages_untouched(model):
        (of_strong,) = together(model, strong)
    return of_labeled, of_weak, of_strong


@contextmanager
def averages_untouched(model: nn.Module) -> Iterator[None]:
    """Inside, batch norms of any dimension use a batch's statistics, but do not average them."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    tracking = [norm for norm in norms if norm.track_running_stats]
    for norm in tracking:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in tracking:
            norm.track_running_stats = True


def masked_cross_entropy(logits: Tensor, pseudo: Pseudo) -> Tensor:
    """Weighted cross-entropy, averaged over ALL clips, so that an unused clip counts as 0.

    FixMatch (Sohn et al. 2020), eq. 4. Averaging over the used clips instead would give the few confident
    clips of early training the weight of a full batch.

    Args:
        logits: (U, classes).
        pseudo: labels and weights, each (U,).

    Returns:
        A scalar.
    """
    return (F.cross_entropy(logits, pseudo.label, reduction="none") * pseudo.weight).mean()


class Threshold(nn.Module):
    """Pseudo-labels from predictions whose confidence reaches a fixed bar, without gradient."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    @torch.no_grad()
    def forward(self, logits: Tensor, positions: Tensor) -> Pseudo:
        """Logits (U, classes) and positions (U,) in the unlabeled set -> pseudo-labels (U,)."""
        confidence, label = logits.float().softmax(-1).max(-1)
        return Pseudo(label, (confidence >= self.threshold).float())

    def extra_repr(self) -> str:
        """Shown by `print(algorithm)`."""
        return f"threshold={self.threshold}"


class Teacher(nn.Module):
    """Exponential moving average of a network: never trained, always in evaluation mode.

    Floating-point buffers (batch-norm statistics) are averaged like the parameters, integer ones copied.
    """

    def __init__(self, student: nn.Module, decay: float) -> None:
        super().__init__()
        self.network = copy.deepcopy(student).requires_grad_(False)
        self.decay = decay
        self.train(False)

    def train(self, mode: bool = True) -> "Teacher":
        """Stays in evaluation mode whatever is asked."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, clip: Tensor) -> Any:
        """The averaged network's logits, without gradient."""
        return self.network(clip)

    @torch.no_grad()
    def update(self, student: nn.Module) -> None:
        """teacher <- decay * teacher + (1 - decay) * student."""
        for mine, theirs in zip(
            self.network.state_dict().values(), student.state_dict().values(), strict=True
        ):
            if mine.is_floating_point():
                mine.lerp_(theirs, 1 - self.decay)
            else:
                mine.copy_(theirs)
