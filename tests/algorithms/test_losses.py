"""Loss terms against numbers worked out by hand.

Clips hold the logits that the network reads from them, so the probabilities below are what the networks
predict, and the cross-entropy of a clip is -ln of the probability of its label. LN2 = ln 2.
"""

import math
from collections.abc import Callable

import pytest
import torch
from helpers.numbers import close
from torch import Tensor, nn

from ssl_video.algorithms.cmpl import CMPL
from ssl_video.algorithms.fixmatch import FixMatch
from ssl_video.algorithms.pseudolabel import PseudoLabel
from ssl_video.algorithms.supervised import Supervised
from ssl_video.contract import Algorithm, Batch, Task

LN2 = math.log(2)
TASK = Task(num_classes=3, num_unlabeled=10)
NONE = torch.empty(0, dtype=torch.long)
Clips = Callable[..., Tensor]
Network = Callable[[], nn.Module]


def terms(algorithm: Algorithm, batch: Batch, progress: float = 0.5) -> dict[str, float]:
    return {name: term.item() for name, term in algorithm(batch, progress).terms.items()}


@pytest.fixture
def labeled(clips: Clips) -> Tensor:
    """Two clips whose labels 0 and 1 are predicted with 0.5 and 0.25: mean of LN2 and 2 LN2 = 1.5 LN2."""
    return clips((0.5, 0.25, 0.25), (0.25, 0.25, 0.5))


LABELS = torch.tensor([0, 1])


def test_supervised(readout: Network, labeled: Tensor) -> None:
    batch = Batch({"weak": labeled}, LABELS, {}, NONE)
    assert terms(Supervised(TASK, readout()), batch) == close({"labeled": 1.5 * LN2})


def test_fixmatch(readout: Network, labeled: Tensor, clips: Clips) -> None:
    """Three unlabeled clips, threshold 0.75, weight 2.

    weak (0.8, 0.1, 0.1) -> 0, used;      strong gives 0 the probability 0.5:   LN2
    weak (0.6, 0.2, 0.2) -> not used
    weak (0.05, 0.05, 0.9) -> 2, used;    strong gives 2 the probability 0.25:  2 LN2
    unlabeled = 2 * (LN2 + 0 + 2 LN2) / 3 = 2 LN2
    """
    unlabeled = {
        "weak": clips((0.8, 0.1, 0.1), (0.6, 0.2, 0.2), (0.05, 0.05, 0.9)),
        "strong": clips((0.5, 0.4, 0.1), (0.1, 0.1, 0.8), (0.25, 0.5, 0.25)),
    }
    batch = Batch({"weak": labeled}, LABELS, unlabeled, torch.arange(3))
    algorithm = FixMatch(TASK, readout(), threshold=0.75, weight=2.0)
    assert terms(algorithm, batch) == close({"labeled": 1.5 * LN2, "unlabeled": 2 * LN2})
    pseudo = algorithm(batch, 0.5).pseudo["model"]
    assert pseudo.label.tolist() == [0, 0, 2]
    assert pseudo.weight.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("progress", "ramp", "share"),
    [(0.0, 0.4, 0.0), (0.1, 0.4, 0.25), (0.4, 0.4, 1.0), (0.999, 0.4, 1.0), (0.0, 0.0, 1.0), (0.5, 1.0, 0.5)],
)
def test_pseudolabel_and_its_ramp(
    readout: Network, labeled: Tensor, clips: Clips, progress: float, ramp: float, share: float
) -> None:
    """Two unlabeled clips, threshold 0.5, weight 3, each predicts its own label.

    (0.5, 0.25, 0.25) -> 0, just used: LN2;   (0.4, 0.3, 0.3) -> not used
    unlabeled after the ramp = 3 * (LN2 + 0) / 2 = 1.5 LN2
    """
    unlabeled = {"weak": clips((0.5, 0.25, 0.25), (0.4, 0.3, 0.3))}
    batch = Batch({"weak": labeled}, LABELS, unlabeled, torch.arange(2))
    # A hair below one half: the probability goes through a logarithm and back.
    algorithm = PseudoLabel(TASK, readout(), threshold=0.49999, weight=3.0, ramp=ramp)
    expected = {"labeled": 1.5 * LN2, "unlabeled": share * 1.5 * LN2}
    assert terms(algorithm, batch, progress) == close(expected)


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


def test_cmpl_each_network_learns_the_other_ones_labels(readout: Network, cross: Batch) -> None:
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
def test_cmpl_the_giver_of_a_label_gets_no_gradient(
    readout: Network, cross: Batch, learner: str, giver: str
) -> None:
    algorithm = CMPL(TASK, readout(), readout(), threshold=0.0)
    algorithm(cross, 0.5).terms[f"unlabeled/{learner}"].backward()
    assert algorithm.get_submodule(giver).scale.grad is None
    moved = algorithm.get_submodule(learner).scale.grad
    assert isinstance(moved, Tensor)
    assert moved.any()


def test_cmpl_is_inferred_by_the_primary_network() -> None:
    primary, auxiliary = nn.Linear(1, 1), nn.Linear(1, 1)
    predictors = CMPL(TASK, primary, auxiliary).predictors()
    assert list(predictors) == ["primary", "auxiliary"]
    assert predictors["primary"] is primary
    assert predictors["auxiliary"] is auxiliary
