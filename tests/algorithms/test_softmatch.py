"""SoftMatch against numbers worked out by hand.

Clips hold the logits that the network reads from them, so the probabilities below are what it predicts, and
the cross-entropy of a clip is -ln of the probability of its label. LN2 = ln 2.
"""

import math

import pytest
import torch
from helpers.losses import LABELS, LN2, TASK, Clips, Network, logits, terms, weights
from helpers.numbers import close
from torch import Tensor

from ssl_video.algorithms.softmatch import GaussianWeight, SoftMatch
from ssl_video.contract import Batch


def test_weights_fall_off_below_the_average() -> None:
    """Decay 0, sigmas 2, and predictions that are uniform in the mean, so that alignment changes nothing.

    Confidences 0.6, 0.6, 0.6, 0.8, 0.8, 0.8: mean 0.7, unbiased variance 6 * 0.01 / 5 = 0.012.
    0.1 below: exp(-(2 * 0.1)^2 / (2 * 0.012)) = exp(-5/3); from the mean on 1.
    """
    select = GaussianWeight(3, sigmas=2.0, decay=0.0)
    low = [(0.6, 0.2, 0.2), (0.2, 0.6, 0.2), (0.2, 0.2, 0.6)]
    high = [(0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8)]
    found = weights(select, list(range(6)), *low, *high)
    assert select.mean.value.item() == close(0.7)
    assert select.variance.value.item() == close(0.012)
    assert found.tolist() == pytest.approx([math.exp(-5 / 3)] * 3 + [1.0] * 3, rel=1e-4)


def test_alignment_moves_weights_and_no_labels() -> None:
    """Decay 0, sigmas 1. Two classes, mean prediction (0.7, 0.3), mean confidence 0.7, variance 0.02.

    (0.8, 0.2) aligned: 8/7 to 2/3, that is 12/19 = 0.6316; 0.0684 below: exp(-0.00468 / 0.04) = 0.8895
    (0.6, 0.4) aligned: 6/7 to 4/3: 14/23 = 0.6087 of the OTHER class; the label stays 0; 0.0913: 0.8119
    """
    select = GaussianWeight(2, sigmas=1.0, decay=0.0)
    for _ in range(2):  # the second time the average is known beforehand
        pseudo = select(logits((0.8, 0.2), (0.6, 0.4)), torch.arange(2))
    assert pseudo.label.tolist() == [0, 0]
    assert pseudo.weight.tolist() == pytest.approx(
        [math.exp(-((0.7 - 12 / 19) ** 2) / 0.04), math.exp(-((0.7 - 14 / 23) ** 2) / 0.04)], rel=1e-4
    )
    assert pseudo.distribution is None


def test_of_a_single_clip_is_finite() -> None:
    select = GaussianWeight(3, sigmas=2.0, decay=0.0)
    assert weights(select, [0], (0.5, 0.3, 0.2)).isfinite().all()
    assert select.variance.value.item() == 0


def test_starts_from_the_papers_values(readout: Network, labeled: dict[str, Tensor], clips: Clips) -> None:
    """And its loss is FixMatch's with these weights, which are 1 for sigmas 0."""
    algorithm = SoftMatch(TASK, readout(), sigmas=0.0)
    assert isinstance(algorithm.select, GaussianWeight)
    assert algorithm.select.mean.value.item() == close(1 / 3)
    assert algorithm.select.variance.value.item() == 1
    weak, strong = clips((0.8, 0.1, 0.1), (0.3, 0.4, 0.3)), clips((0.5, 0.4, 0.1), (0.5, 0.25, 0.25))
    batch = Batch(labeled, LABELS, {"weak": weak, "strong": strong}, torch.arange(2))
    assert terms(algorithm, batch) == close({"labeled": 1.5 * LN2, "unlabeled": 1.5 * LN2})
