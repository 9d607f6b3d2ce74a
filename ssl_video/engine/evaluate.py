"""Test accuracy: the softmax of several clips and crops of each video, averaged."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

import numpy as np
import torch
from torch import nn

from ssl_video.data.frames.store import FrameStore
from ssl_video.data.pool import evaluation_clips, unreadable
from ssl_video.data.video.decode import DecodeError
from ssl_video.data.views.sampling import ClipShape
from ssl_video.engine.processes import Processes
from ssl_video.errors import InputError
from ssl_video.spec import Spec

_CLIPS_AT_ONCE = 32


def autocast(spec: Spec, device: torch.device) -> AbstractContextManager[None]:
    """The arithmetic of a resolved specification."""
    enabled = spec.precision == "bfloat16"
    # Up to torch 2.9, the cache of converted weights keeps what a pass without gradient has put into it, so
    # that the passes after it give these weights no gradient (pytorch issues 65766, 112583, 158232; seen with
    # 2.4.1). FixMatch's weak clips are such a pass. Without it, gradients of passes add up in float32.
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled, cache_enabled=False)


# Not inference_mode: torch 2.4 cannot gather from processes what was made in it.
@torch.no_grad()
def probabilities(
    predictors: Mapping[str, nn.Module],
    shape_for: Callable[[str], ClipShape],
    store: FrameStore,
    rows: Sequence[int],
    spec: Spec,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
    processes: Processes | None = None,
    changed: Callable[[str, torch.Tensor, Sequence[int]], torch.Tensor] | None = None,
) -> dict[str, np.ndarray]:
    """Every predictor's class probabilities for videos.

    Videos pass through a network in the same groups however many processes share them, so that the numbers
    are the same to the last bit.

    Args:
        predictors: networks, clip (N, 3, T, H, W) -> logits (N, classes).
        shape_for: the clip shape a predictor is fed, by its name.
        store: where frames come from.
        rows: which videos, in the store's numbering.
        spec: number of clips and crops, crop size and precision.
        device: where the predictors are.
        progress: called with the number of videos done and to do.
        processes: those that share the work, all of which call this; None: this process alone.
        changed: given a predictor's name, the clips (videos * views, 3, T, H, W) of some rows and these rows,
            the clips that it sees in their place; None: the clips themselves.

    Returns:
        By predictor: float64 (len(rows), classes), the mean over clips and crops of the softmax.

    Raises:
        InputError: a predictor's outputs are not finite; ranking them would mean nothing. Or a video cannot
            be decoded, though it could be when its dataset was opened.
    """
    rank, size = (processes.rank, processes.size) if processes else (0, 1)
    views = spec.test_clips * spec.test_crops
    at_once = max(1, _CLIPS_AT_ONCE // views)
    parts: dict[str, dict[int, np.ndarray]] = {name: {} for name in predictors}
    with _evaluating(predictors.values()):
        for first in range(rank * at_once, len(rows), size * at_once):
            some = rows[first : first + at_once]
            made: dict[ClipShape, torch.Tensor] = {}
            for name, network in predictors.items():
                shape = shape_for(name)
                if shape not in made:
                    made[shape] = _clips(store, some, shape, spec).to(
                        device, memory_format=torch.channels_last_3d
                    )
                clips = changed(name, made[shape], some) if changed else made[shape]
                with autocast(spec, device):
                    logits = network(clips)
                parts[name][first] = _mean_over_views(name, logits, len(some))
            if progress:
                progress(min(first + at_once * (size - rank), len(rows)), len(rows))
    shares = processes.gather(parts) if processes else [parts]
    merged = {name: dict(sorted(pair for share in shares for pair in share[name].items())) for name in parts}
    return {name: np.concatenate(list(part.values())) for name, part in merged.items()}


def _mean_over_views(name: str, logits: torch.Tensor, videos: int) -> np.ndarray:
    """Logits (videos * views, classes) of a predictor -> probabilities (videos, classes)."""
    scores = logits.double().softmax(-1).unflatten(0, (videos, -1)).mean(1).cpu().numpy()
    if not np.isfinite(scores).all():
        raise InputError(f"the network {name!r} gives outputs that are not finite")
    return np.asarray(scores)


def accuracy(scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Top-1, top-5 and mean-class accuracy.

    Args:
        scores: (N, classes).
        labels: (N,).

    Returns:
        Shares in [0, 1]: "top1", "top5" (1 where there are five classes or fewer), and "mean_class", the
        mean over the classes that occur of their top-1 accuracy.
    """
    # A label's rank counts the classes scored higher; ties go to the lower class number.
    own = scores[np.arange(len(labels)), labels][:, None]
    lower = np.arange(scores.shape[1]) < labels[:, None]
    rank = ((scores > own) | ((scores == own) & lower)).sum(1)
    by_class = [(rank[labels == label] == 0).mean() for label in np.unique(labels)]
    return {
        "top1": float((rank == 0).mean()),
        "top5": float((rank < 5).mean()),
        "mean_class": float(np.mean(by_class)),
    }


def _clips(store: FrameStore, rows: Sequence[int], shape: ClipShape, spec: Spec) -> torch.Tensor:
    """All clips and crops of some videos, (videos * clips * crops, 3, T, size, size)."""
    made = []
    for row in rows:
        try:
            made.append(evaluation_clips(store, row, shape, spec.test_clips, spec.test_crops, spec.size))
        except DecodeError as error:
            raise unreadable(store.paths[row], error) from None
    return torch.cat(made)


@contextmanager
def _evaluating(networks: Collection[nn.Module]) -> Iterator[None]:
    """Evaluation mode; afterwards each module has the mode that it had, be it another than its parent's."""
    modes = {module: module.training for network in networks for module in network.modules()}
    try:
        for network in networks:
            network.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training
