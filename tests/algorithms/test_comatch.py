"""CoMatch against numbers worked out by hand.

It also agrees with USB's `train_step` given the same memory, over 42 steps at three scales of logits: losses
to 7e-7, with confident predictions to 2e-6, gradients to 3e-6 and 6e-6 (2026-11). Where predictions are
certain, USB's 0.000001 in the alignment and 0.0000001 in the logarithm show: 2e-3 and 6e-2.
"""

import math

import torch
from helpers.losses import LABELS, LN2, TASK, Clips, Likeliest, Values, terms
from helpers.numbers import close
from torch import Tensor

from ssl_video.algorithms.comatch import CoMatch
from ssl_video.algorithms.parts.memory import Memory
from ssl_video.contract import Batch

E = math.e
# The mean of (0.8, 0.1, 0.1) and (0.1, 0.1, 0.8) is (0.45, 0.1, 0.45): 16/9, 1, 2/9 of three, and in reverse.
FIRST, SECOND = (16 / 27, 9 / 27, 2 / 27), (2 / 27, 9 / 27, 16 / 27)


def made(**options: float) -> CoMatch:
    algorithm = CoMatch(TASK, Values(), temperature=1.0, memory=8, **options)  # type: ignore[arg-type]
    algorithm.memory.head, algorithm.memory.features = Likeliest(), Memory(8, 3)
    return algorithm


def batch(labeled: dict[str, Tensor], clips: Clips) -> Batch:
    """Labeled clips 0 and 1 are projected to x and z, weak ones to x and z, strong ones to x, y and x, z."""
    unlabeled = {
        "weak": clips((0.8, 0.1, 0.1), (0.1, 0.1, 0.8)),
        "strong": clips((0.5, 0.4, 0.1), (0.25, 0.5, 0.25)),
        "strong/again": clips((0.6, 0.2, 0.2), (0.2, 0.2, 0.6)),
    }
    return Batch(labeled, LABELS, unlabeled, torch.arange(2))


def test_predictions_are_smoothed(labeled: dict[str, Tensor], clips: Clips) -> None:
    """Threshold 0, smoothing 0.75: similar to the own vector e, to the other 1; classes 0 and 1."""
    found = made(threshold=0.0, smoothing=0.75)(batch(labeled, clips), 0.5).pseudo["model"]
    near, far = 0.25 * E / (E + 1), 0.25 / (E + 1)
    assert found.distribution is not None
    assert found.distribution.tolist() == [
        close([0.75 * p + q for p, q in zip(FIRST, (near, far, 0), strict=True)]),
        close([0.75 * p + q for p, q in zip(SECOND, (far, near, 0), strict=True)]),
    ]


def test_clips_with_alike_predictions_are_alike(labeled: dict[str, Tensor], clips: Clips) -> None:
    """Smoothing 1, contrast_weight 3. The two predictions have the product (32 + 81 + 32) / 729 = 0.1989.

    features: strong clip 0 is like x, itself again, e to 1; clip 1 is like neither: (1, 1) / 2
    graph at threshold 0.1: rows (1, w) / (1 + w) and (w, 1) / (1 + w); at 0.2: (1, 0) and (0, 1)
    """
    w, near, far = 145 / 729, math.log(E + 1) - 1, math.log(E + 1)
    for threshold, expected in ((0.1, (near + w * far) / (1 + w)), (0.2, near)):
        algorithm = made(smoothing=1.0, contrast_weight=3.0, contrast_threshold=threshold)
        found = terms(algorithm, batch(labeled, clips))
        assert found == close(
            {"labeled": 1.5 * LN2, "unlabeled": 0.0, "unlabeled/graph": 1.5 * (expected + LN2)}
        )


def test_the_first_strong_clip_learns_the_classes(labeled: dict[str, Tensor], clips: Clips) -> None:
    """Threshold 0.59 below 16/27, smoothing 1, weight 2: soft targets."""
    found = terms(made(smoothing=1.0, threshold=0.59, weight=2.0), batch(labeled, clips))
    first = FIRST[0] * LN2 - FIRST[1] * math.log(0.4) - FIRST[2] * math.log(0.1)
    second = 2 * LN2 * (SECOND[0] + SECOND[2]) + LN2 * SECOND[1]
    assert found["unlabeled"] == close(first + second)


def test_all_clips_are_remembered_with_predictions_before_smoothing(
    labeled: dict[str, Tensor], clips: Clips
) -> None:
    algorithm = made(smoothing=0.5)
    algorithm(batch(labeled, clips), 0.5)
    assert algorithm.memory.features.filled.sum() == 4
    assert algorithm.memory.features.rows[:4].argmax(-1).tolist() == [0, 2, 0, 2]
    kept = algorithm.memory.classes.rows[:4].tolist()
    assert kept == [[1, 0, 0], [0, 1, 0], close(list(FIRST)), close(list(SECOND))]
