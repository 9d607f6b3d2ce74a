"""Ways to run a network over several kinds of clips."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn


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
