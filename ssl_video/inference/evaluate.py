"""Test accuracy from softmax probabilities, averaged over several clips and crops of each video."""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from ssl_video.data.frames.store import FrameStore
from ssl_video.data.views.sampling import ClipShape
from ssl_video.errors import InputError
from ssl_video.inference.prepared import VideoGroup, prepared
from ssl_video.networks.precision import autocast
from ssl_video.spec import Spec

CLIPS_AT_ONCE = 32


class ProcessGroup(Protocol):
    """Processes that share work, such as `training.distributed.Processes`."""

    rank: int
    size: int

    def gather(self, value: Any) -> list[Any]:
        """Return every process's value, in the order of ranks."""


# Not inference_mode: torch 2.4 cannot gather its tensors from processes.
@torch.no_grad()
def probabilities(
    predictors: Mapping[str, nn.Module],
    shape_for: Callable[[str], ClipShape],
    store: FrameStore,
    rows: Sequence[int],
    spec: Spec,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
    processes: ProcessGroup | None = None,
    changed: Callable[[str, torch.Tensor, Sequence[int]], torch.Tensor] | None = None,
    features: Callable[[str, Sequence[int]], torch.Tensor | None] = lambda *_: None,
    average: Callable[[str, torch.Tensor, int], np.ndarray] | None = None,
    threads: int = 0,
) -> dict[str, np.ndarray]:
    """Return every predictor's class probabilities for videos.

    Videos are grouped in the same way for any number of processes, so the numbers are the same bit for bit.

    Args:
        predictors: networks, clip (N, 3, T, H, W) -> logits (N, classes).
        shape_for: maps a predictor's name to its clip shape.
        store: source of frames.
        rows: the videos, as rows of the store.
        spec: number of clips and crops, crop size and precision.
        device: the device of the predictors.
        progress: called with the number of videos done and in total.
        processes: the processes that share the work, all of which call this; None: only this one.
        changed: maps a predictor's name, the clips (videos * views, 3, T, H, W) of some rows and these rows
            to the clips that the predictor sees instead; None: no change.
        features: maps a predictor's name and rows to the features that the predictor takes in place of clips
            (videos * views, ...); None: it takes clips.
        average: maps a predictor's name, its logits (videos * views, classes) and the number of videos to
            the array (videos, ...) that is returned of them; None: `mean_over_views`.
        threads: threads that prepare clips ahead; 0: none.

    Returns:
        By predictor: float64 (len(rows), classes), the mean over clips and crops of the softmax; or what
        `average` returns, (len(rows), ...).

    Raises:
        InputError: a predictor's outputs are not finite, so ranking them would be meaningless; or a video
            cannot be decoded, although it could be when its data set was opened.
    """
    rank, size = (processes.rank, processes.size) if processes else (0, 1)
    views = spec.test_clips * spec.test_crops
    at_once = max(1, CLIPS_AT_ONCE // views)
    parts: dict[str, dict[int, np.ndarray]] = {name: {} for name in predictors}

    def groups() -> Iterator[VideoGroup]:
        for first in range(rank * at_once, len(rows), size * at_once):
            some = rows[first : first + at_once]
            yield VideoGroup(first, some, {name: features(name, some) for name in predictors})

    def shapes(group: VideoGroup) -> list[ClipShape]:
        return [shape_for(name) for name, stored in group.stored.items() if stored is None]

    ready = prepared(groups(), shapes, store, spec, threads)
    with evaluating(predictors.values()), contextlib.closing(ready):
        for group, made in ready:
            first, some = group.first, group.rows
            there = {
                shape: clips.to(device, memory_format=torch.channels_last_3d) for shape, clips in made.items()
            }
            for name, network in predictors.items():
                stored = group.stored[name]
                clips = there[shape_for(name)] if stored is None else stored.to(device)
                clips = changed(name, clips, some) if changed else clips
                with autocast(spec, device):
                    logits = network(clips)
                parts[name][first] = (average or mean_over_views)(name, logits, len(some))
            if progress:
                progress(min(first + at_once * (size - rank), len(rows)), len(rows))
    gathered = processes.gather(parts) if processes else [parts]
    merged = {name: dict(sorted(pair for one in gathered for pair in one[name].items())) for name in parts}
    return {name: np.concatenate(list(part.values())) for name, part in merged.items()}


def mean_over_views(
    name: str, logits: torch.Tensor, videos: int, temperature: float | None = None
) -> np.ndarray:
    """Average logits (videos * views, classes) of a predictor to probabilities (videos, classes).

    Args:
        name: the predictor.
        logits: its logits.
        videos: number of videos.
        temperature: divides the logits before the softmax of each view; None: nothing does.

    Raises:
        InputError: the logits are not finite.
    """
    # In main memory, because MPS has no double precision.
    logits = logits.float().cpu().double()
    logits = logits if temperature is None else logits / temperature
    scores = logits.softmax(-1).unflatten(0, (videos, -1)).mean(1).numpy()
    if not np.isfinite(scores).all():
        raise InputError(f"the network {name!r} gives outputs that are not finite")
    return np.asarray(scores)


def both(temperatures: Mapping[str, float]) -> Callable[[str, torch.Tensor, int], np.ndarray]:
    """Return an `average` for `probabilities`: (videos, 2, classes), without and with the temperatures."""

    def average(name: str, logits: torch.Tensor, videos: int) -> np.ndarray:
        plain = mean_over_views(name, logits, videos)
        by = temperatures.get(name)
        return np.stack([plain, plain if by is None else mean_over_views(name, logits, videos, by)], 1)

    return average


def each_view(_: str, logits: torch.Tensor, videos: int) -> np.ndarray:
    """Return logits (videos, views, classes): an `average` for `probabilities` that averages nothing."""
    return np.asarray(logits.float().unflatten(0, (videos, -1)).cpu().numpy())


def accuracy(scores: np.ndarray, labels: np.ndarray) -> dict[str, float | None]:
    """Return top-1, top-5 and mean-class accuracy.

    Args:
        scores: (N, classes).
        labels: (N,).

    Returns:
        Fractions in [0, 1]: "top1", "top5" (None for five classes or fewer, of which every guess is right),
        and "mean_class", the mean top-1 accuracy over the classes that occur.
    """
    # A label's rank is the number of classes scored higher; ties go to the lower class number.
    own = scores[np.arange(len(labels)), labels][:, None]
    lower = np.arange(scores.shape[1]) < labels[:, None]
    rank = ((scores > own) | ((scores == own) & lower)).sum(1)
    by_class = [(rank[labels == label] == 0).mean() for label in np.unique(labels)]
    return {
        "top1": float((rank == 0).mean()),
        "top5": float((rank < 5).mean()) if scores.shape[1] > 5 else None,
        "mean_class": float(np.mean(by_class)),
    }


@contextmanager
def evaluating(networks: Collection[nn.Module]) -> Iterator[None]:
    """Set evaluation mode, and restore each module's own mode afterwards, even if its parent's differs."""
    modes = {module: module.training for network in networks for module in network.modules()}
    try:
        for network in networks:
            network.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training
