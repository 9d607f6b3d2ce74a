"""Pseudo-labels: thresholds, ramps, and the loss of those that are used."""

import math

import pytest
import torch
from helpers.losses import logits
from helpers.numbers import close

from ssl_video.algorithms.parts.pseudo import Threshold, masked_cross_entropy, ramp, step_after
from ssl_video.contract import Pseudo

INDICES = torch.arange(3)


def test_masked_cross_entropy_averages_over_all_clips() -> None:
    """-ln 0.5 of one used clip, one not used, one of weight 0.5 with -ln 0.25: (ln 2 + 0.5 * 2 ln 2) / 3."""
    predicted = logits((0.5, 0.25, 0.25), (0.9, 0.05, 0.05), (0.5, 0.25, 0.25))
    pseudo = Pseudo(torch.tensor([0, 2, 1]), torch.tensor([1.0, 0.0, 0.5]))
    assert masked_cross_entropy(predicted, pseudo).item() == close(2 / 3 * math.log(2))


def test_masked_cross_entropy_learns_a_distribution_where_there_is_one() -> None:
    """Half of ln 2 and half of ln 4 is 1.5 ln 2, with weight 0.5, averaged over two clips: 0.375 ln 2."""
    predicted = logits((0.5, 0.25, 0.25), (0.9, 0.05, 0.05))
    soft = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    pseudo = Pseudo(torch.tensor([0, 2]), torch.tensor([0.5, 0.0]), soft)
    assert masked_cross_entropy(predicted, pseudo).item() == close(0.375 * math.log(2))


@pytest.mark.parametrize(
    ("progress", "fraction", "height"),
    [(0.0, 0.4, 0.0), (0.1, 0.4, 0.25), (0.4, 0.4, 1.0), (0.9, 0.4, 1.0), (0.0, 0.0, 1.0)],
)
def test_the_ramp(progress: float, fraction: float, height: float) -> None:
    assert ramp(progress, fraction) == close(height)


@pytest.mark.parametrize(
    ("progress", "fraction", "on"),
    [(0.0, 0.0, 1), (0.0, 0.5, 0), (0.499, 0.5, 0), (0.5, 0.5, 1), (0.9, 0.5, 1)],
)
def test_a_phase_has_started_at_its_first_step(progress: float, fraction: float, on: float) -> None:
    assert step_after(progress, fraction) == on


def test_masked_cross_entropy_of_nothing_is_zero_and_has_a_gradient() -> None:
    predicted = logits((0.5, 0.25, 0.25)).requires_grad_()
    loss = masked_cross_entropy(predicted, Pseudo(torch.tensor([0]), torch.tensor([0.0])))
    loss.backward()
    assert loss.item() == 0
    assert predicted.grad is not None
    assert not predicted.grad.any()


def test_the_threshold_is_reached_by_equal_confidence() -> None:
    """Two equal logits have confidence 0.5 exactly, in floating point, too."""
    predicted = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])  # 0.5, 0.731, 0.953
    assert Threshold(0.5)(predicted, INDICES).weight.tolist() == [1, 1, 1]
    assert Threshold(0.5 + 1e-6)(predicted, INDICES).weight.tolist() == [0, 1, 1]
    assert Threshold(0.9)(predicted, INDICES).weight.tolist() == [0, 0, 1]
    assert Threshold(1.1)(predicted, INDICES).weight.tolist() == [0, 0, 0]
    assert Threshold(0.9)(predicted, INDICES).label.tolist() == [0, 0, 1]


def test_the_threshold_gives_labels_without_gradient() -> None:
    pseudo = Threshold(0.0)(torch.randn(3, 4, requires_grad=True), INDICES)
    assert not pseudo.weight.requires_grad
    assert pseudo.label.dtype == torch.long


def test_the_threshold_compares_in_float32() -> None:
    """softmax(3, 0)'s confidence 0.9526 is 0.953 in bfloat16: a threshold between must not be reached."""
    predicted = torch.tensor([[3.0, 0.0]], dtype=torch.bfloat16)
    assert Threshold(0.9528)(predicted, INDICES[:1]).weight.tolist() == [0]
    assert Threshold(0.9524)(predicted, INDICES[:1]).weight.tolist() == [1]
