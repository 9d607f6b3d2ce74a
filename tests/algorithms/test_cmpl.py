"""CMPL against numbers worked out by hand.

Clips hold the logits that the network reads from them, so the probabilities below are what it predicts, and
the cross-entropy of a clip is -ln of the probability of its label. LN2 = ln 2.
"""

import pytest
import torch
from helpers.losses import LABELS, LN2, TASK, Clips, Network, terms
from helpers.numbers import close
from torch import Tensor, nn

from ssl_video.algorithms.cmpl import CMPL
from ssl_video.contract import Batch


@pytest.fixture
def cross(clips: Clips) -> Batch:
    """A batch for CMPL in which every pairing of strong clips and labels has another cross-entropy.

    Labels by the primary network: 0 (used), 1 (not used); by the auxiliary one: 2 (used), 1 (used).
    """
    return Batch(
        {
            "primary": clips((0.5, 0.25, 0.25), (0.25, 0.25, 0.5)),
            "auxiliary": clips((0.25, 0.5, 0.25), (0.5, 0.25, 0.25), frames=4),
        },
        LABELS,
        {
            "weak/primary": clips((0.9, 0.05, 0.05), (0.3, 0.4, 0.3)),
            "weak/auxiliary": clips((0.05, 0.05, 0.9), (0.1, 0.8, 0.1), frames=4),
            "strong/primary": clips((0.25, 0.625, 0.125), (0.25, 0.5, 0.25)),
            "strong/auxiliary": clips((0.5, 0.25, 0.25), (0.5, 0.25, 0.25), frames=4),
        },
        torch.arange(2),
    )


def test_each_network_learns_the_other_ones_labels(readout: Network, cross: Batch) -> None:
    """Threshold 0.75, weight 2.

    labeled/primary = (LN2 + 2 LN2) / 2 = 1.5 LN2;  labeled/auxiliary = (2 LN2 + 2 LN2) / 2 = 2 LN2

    unlabeled/primary: the primary's strong clips with the auxiliary's labels 2 and 1, both used:
        -ln 0.125 = 3 LN2 and -ln 0.5 = LN2, so 2 * (3 LN2 + LN2) / 2 = 4 LN2   (own labels: 2 LN2)
    unlabeled/auxiliary: the auxiliary's strong clips with the primary's labels 0 (used) and 1 (not used):
        -ln 0.5 = LN2, so 2 * (LN2 + 0) / 2 = LN2   (own labels: 4 LN2)
    """
    algorithm = CMPL(TASK, readout(), readout(), threshold=0.75, weight=2.0)
    assert terms(algorithm, cross) == close(
        {
            "labeled/primary": 1.5 * LN2,
            "labeled/auxiliary": 2 * LN2,
            "unlabeled/primary": 4 * LN2,
            "unlabeled/auxiliary": LN2,
        }
    )
    given = algorithm(cross, 0.5).pseudo
    assert {name: (p.label.tolist(), p.weight.tolist()) for name, p in given.items()} == {
        "primary": ([0, 1], [1, 0]),
        "auxiliary": ([2, 1], [1, 1]),
    }


@pytest.mark.parametrize(("learner", "giver"), [("primary", "auxiliary"), ("auxiliary", "primary")])
def test_the_giver_of_a_label_gets_no_gradient(
    readout: Network, cross: Batch, learner: str, giver: str
) -> None:
    algorithm = CMPL(TASK, readout(), readout(), threshold=0.0)
    algorithm(cross, 0.5).terms[f"unlabeled/{learner}"].backward()
    assert algorithm.get_submodule(giver).scale.grad is None
    moved = algorithm.get_submodule(learner).scale.grad
    assert isinstance(moved, Tensor)
    assert moved.any()


def test_is_inferred_by_the_primary_network() -> None:
    primary, auxiliary = nn.Linear(1, 1), nn.Linear(1, 1)
    predictors = CMPL(TASK, primary, auxiliary).predictors()
    assert list(predictors) == ["primary", "auxiliary"]
    assert predictors["primary"] is primary
    assert predictors["auxiliary"] is auxiliary
