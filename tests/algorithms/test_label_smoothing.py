"""Label smoothing is part of the labeled terms of every method, and of no other term."""

import math

import pytest
import torch
from helpers.numbers import close

from ssl_video.contract import Algorithm
from ssl_video.registry import algorithms
from ssl_video.testing.clips import moving
from ssl_video.testing.subject import seeded, subject


def test_a_label_is_spread_over_all_classes() -> None:
    """Of 0.3, each of 3 classes gets 0.1: 0.8 * ln 2 + 0.1 * ln 4 + 0.1 * ln 4 for p = (1/2, 1/4, 1/4)."""
    algorithm, logits = Algorithm(), torch.tensor([[0.5, 0.25, 0.25]]).log()
    hard, soft = torch.tensor([0]), torch.tensor([[1.0, 0.0, 0.0]])
    assert algorithm.labeled_cross_entropy(logits, hard).item() == close(math.log(2))
    algorithm.label_smoothing = 0.3
    expected = 0.8 * math.log(2) + 0.2 * math.log(4)
    assert algorithm.labeled_cross_entropy(logits, hard).item() == close(expected)
    assert algorithm.labeled_cross_entropy(logits, soft).item() == close(expected)


@pytest.mark.parametrize("name", algorithms.builtin())
def test_of_every_method_the_labeled_terms_alone(name: str) -> None:
    made = subject(name)
    found = []
    for smoothing in (0.0, 0.5):
        # Built anew, as some methods remember what they saw.
        algorithm = made.build(**made.eager)
        algorithm.label_smoothing = smoothing
        losses = seeded(algorithm, moving(algorithm)).terms
        found.append({key: term.item() for key, term in losses.items()})
        assert algorithm.smoothed == (smoothing > 0)
    before, after = found
    changed = {key for key in before if before[key] != after[key]}
    # A teacher's predictions are no labels.
    assert changed == {key for key in before if key.startswith("labeled") and key != "labeled/teachers"}
