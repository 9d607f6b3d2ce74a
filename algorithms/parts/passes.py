"""Forward passes over several kinds of clips, with joint or separate batch-norm statistics."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn


def forward_joint(model: nn.Module, *clips: Tensor) -> list[Tensor]:
    """Run one pass over several batches of clips, which therefore share their batch-norm statistics.

    Args:
        model: a network, (N, 3, T, H, W) -> (N, classes).
        clips: batches (N_i, 3, T, H, W) of one clip shape.

    Returns:
        Logits (N_i, classes) in float32, one tensor per batch.
    """
    logits: Tensor = model(torch.cat(clips)).float()
    return list(logits.split([len(c) for c in clips]))


Passes = Literal["separate", "joint"]


def forward_views(
    model: nn.Module,
    labeled: Tensor,
    weak: Tensor,
    strong: Tensor,
    passes: Passes,
    *,
    weak_gradient: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits of labeled, weakly and strongly augmented clips, from separate passes or a joint one.

    "separate": each kind has its own pass and is normalised by its own batch-norm statistics. Strong clips do
    not update the running averages, because test clips are not strongly augmented. Weak clips need no
    gradient, because they only give labels. "joint": all kinds share one pass with gradient and its
    statistics, as in most implementations of FixMatch. Without batch norm, both give the same losses and
    gradients. In both, the network sees labeled, weak and strong clips in this order; `Features.captured`
    counts from its end.

    Args:
        model: a network, (N, 3, T, H, W) -> (N, classes).
        labeled: (B, 3, T, H, W).
        weak: (U, 3, T, H, W).
        strong: (U, 3, T, H, W).
        passes: "separate" or "joint".
        weak_gradient: keep the gradient of weak clips in separate passes, for methods that compare features.

    Returns:
        Logits (B, classes), (U, classes), (U, classes) in float32.
    """
    if passes == "joint":
        of_labeled, of_weak, of_strong = forward_joint(model, labeled, weak, strong)
        return of_labeled, of_weak, of_strong
    (of_labeled,) = forward_joint(model, labeled)
    with torch.set_grad_enabled(weak_gradient and torch.is_grad_enabled()):
        (of_weak,) = forward_joint(model, weak)
    with averages_untouched(model):
        (of_strong,) = forward_joint(model, strong)
    return of_labeled, of_weak, of_strong


@contextmanager
def averages_untouched(model: nn.Module) -> Iterator[None]:
    """Let batch norms of any dimension use a batch's statistics without updating their running averages."""
    tracking = [norm for norm in _norms(model) if norm.track_running_stats]
    for norm in tracking:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in tracking:
            norm.track_running_stats = True


def _norms(module: nn.Module) -> Iterator[nn.modules.batchnorm._BatchNorm]:
    """Yield the batch norms of a network, without those of a probe's frozen part, which update nothing.

    To walk through a frozen network takes longer than a step of its head.
    """
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        yield module
    frozen = getattr(module, "frozen", None)
    for child in module.children():
        if child is not frozen:
            yield from _norms(child)
