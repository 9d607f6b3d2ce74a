"""Accuracies of a trained model on test clips with their time changed, see `temporal_robustness`."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ssl_video.data.dataset import Data
from ssl_video.inference.ahead import decoding_threads
from ssl_video.inference.evaluate import accuracy, probabilities
from ssl_video.inference.temporal_robustness import CHANGES, ORIGINAL, Scores, positions
from ssl_video.inference.testing_data import labeled_rows

if TYPE_CHECKING:
    from ssl_video.inference.model import Model


def sensitivity(model: "Model", data: Data, progress: Callable[[int, int], None] | None) -> Scores:
    """Measure the accuracy of every predictor by every change, see `Model.sensitivity`."""
    rows, labels = labeled_rows(data.index, None, model.classes)
    predictors, shape_for = model.predictors, model.assembly.shape_for
    # A network on one change's clips counts as a predictor, so that clips are cut once for all of them.
    pairs = {f"{name} on {change} clips": (name, change) for name in predictors for change in CHANGES}

    def changed(pair: str, clips: Tensor, some: Sequence[int]) -> Tensor:
        names = [data.index.ids[row] for row in some]
        return _changed(clips, pairs[pair][1], model.spec.seed, names)

    scores = probabilities(
        {pair: predictors[name] for pair, (name, _) in pairs.items()},
        lambda pair: shape_for(pairs[pair][0]),
        data.store,
        rows.tolist(),
        model.inference,
        model.device,
        progress,
        changed=changed,
        threads=decoding_threads(None),
    )
    found: Scores = {name: {} for name in predictors}
    for pair, (name, change) in pairs.items():
        found[name][change] = accuracy(scores[pair], labels)
    return found


def _changed(clips: Tensor, change: str, seed: int, names: Sequence[str]) -> Tensor:
    """Rearrange the frames of clips (N, 3, T, H, W), of as many clips for each of the named videos."""
    if change == ORIGINAL:
        return clips
    orders = np.stack([positions(change, clips.shape[2], seed, name) for name in names])
    places = torch.from_numpy(orders.repeat(len(clips) // len(names), 0)).to(clips.device)
    # (N, 3, T, H, W) -> (N, T, 3, H, W), as indices on both sides of a slice bring their axes to the front
    frames = clips[torch.arange(len(clips), device=clips.device)[:, None], :, places]
    return frames.transpose(1, 2).contiguous(memory_format=torch.channels_last_3d)
