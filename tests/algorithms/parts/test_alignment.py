"""Distribution alignment against numbers worked out by hand."""

import pytest
import torch
from helpers.losses import LABELS, TASK, Clips, Network
from helpers.numbers import close
from torch import Tensor

from ssl_video.algorithms.cmpl import CMPL
from ssl_video.algorithms.fixmatch import FixMatch
from ssl_video.algorithms.flexmatch import FlexMatch
from ssl_video.algorithms.parts.alignment import Alignment
from ssl_video.algorithms.pseudolabel import PseudoLabel
from ssl_video.algorithms.uda import UDA
from ssl_video.contract import Algorithm, Batch


def test_predictions_are_scaled_by_wanted_over_found() -> None:
    """Two classes. The averages begin at (1/2, 1/2), and are plain means in the first steps.

    labels 0, 0, 0, 1: (3/4, 1/4), averaged (5/8, 3/8).
    predictions (0.9, 0.1), (0.6, 0.4): (0.75, 0.25), averaged (5/8, 3/8). Both are equal: nothing changes.
    labels 1, 1: (0, 1), averaged (5/12, 7/12).
    prediction (0.5, 0.5), averaged (7/12, 5/12). Factors 5/7 and 7/5: 5/7 : 7/5 = 25 : 49.
    """
    align = Alignment(2)
    first = align(torch.tensor([[0.9, 0.1], [0.6, 0.4]]).log(), torch.tensor([0, 0, 0, 1]))
    assert first.exp().tolist() == [close([0.9, 0.1]), close([0.6, 0.4])]
    second = align(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([1, 1]))
    assert second.exp()[0].tolist() == close([25 / 74, 49 / 74])


def test_a_class_that_is_never_predicted() -> None:
    align = Alignment(3, decay=0.0)
    aligned = align(torch.tensor([[200.0, -200.0, -200.0]]), torch.tensor([1]))
    assert aligned.isfinite().all()
    assert aligned.exp().sum().item() == close(1.0)


def test_fixmatch_labels_aligned_predictions(
    readout: Network, labeled: dict[str, Tensor], clips: Clips
) -> None:
    """Three classes, labels 0, 1; both averages begin at 1/3.

    LABELS averaged with 1/3: wanted. weak (0.6, 0.2, 0.2) twice, averaged with 1/3: (7/15, 4/15, 4/15).
    """
    weak, strong = (0.6, 0.2, 0.2), (0.25, 0.5, 0.25)
    batch = Batch(
        labeled, LABELS, {"weak": clips(weak, weak), "strong": clips(strong, strong)}, torch.arange(2)
    )
    counts = torch.bincount(LABELS, minlength=3) / len(LABELS)
    factors = (counts + 1 / 3) / 2 / torch.tensor([7 / 15, 4 / 15, 4 / 15])
    expected = torch.tensor(weak) * factors
    expected /= expected.sum()
    algorithm = FixMatch(TASK, readout(), threshold=float(expected.max()) - 0.01, alignment=True)
    pseudo = algorithm(batch, 0.5).pseudo["model"]
    assert pseudo.label.tolist() == [int(expected.argmax())] * 2
    assert pseudo.weight.tolist() == [1, 1]
    assert FixMatch(TASK, readout(), threshold=float(expected.max()) + 0.01, alignment=True)(
        batch, 0.5
    ).pseudo["model"].weight.tolist() == [0, 0]
    assert algorithm.whole_batch
    assert not FixMatch(TASK, readout()).whole_batch


def test_cmpl_aligns_each_network_by_its_own_predictions(readout: Network, clips: Clips) -> None:
    algorithm = CMPL(TASK, readout(), readout(), alignment=True)
    labeled = {role: clips((0.5, 0.25, 0.25), (0.25, 0.5, 0.25)) for role in ("primary", "auxiliary")}
    unlabeled = {
        f"{kind}/{role}": clips(probabilities)
        for kind in ("weak", "strong")
        for role, probabilities in (("primary", (0.8, 0.1, 0.1)), ("auxiliary", (0.1, 0.1, 0.8)))
    }
    algorithm(Batch(labeled, torch.tensor([0, 1]), unlabeled, torch.arange(1)), 0.5)
    assert algorithm.align is not None
    first, second = (algorithm.align[role].predictions.value for role in ("primary", "auxiliary"))  # type: ignore[union-attr]
    third = 1 / 3
    assert first.tolist() == close([(0.8 + third) / 2, (0.1 + third) / 2, (0.1 + third) / 2])
    assert second.tolist() == close(first.flip(0).tolist())
    assert algorithm.whole_batch


@pytest.mark.parametrize("method", [FixMatch, FlexMatch, UDA, PseudoLabel, CMPL])
def test_aligned_predictions_are_the_labels(method: type[Algorithm], readout: Network, clips: Clips) -> None:
    """All labels are 1: (0, 1, 0) averaged with 1/3 is (1/6, 4/6, 1/6).

    Weak (0.5, 0.4, 0.1), averaged: (5/12, 11/30, 13/60). Factors 2/5, 20/11 and 10/13: 0.2, 0.73 and 0.08.
    """
    roles = tuple(method.roles)
    weak = clips((0.5, 0.4, 0.1))
    batch = Batch(
        {name: clips((0.2, 0.5, 0.3), (0.2, 0.5, 0.3)) for name in method.labeled},
        torch.tensor([1, 1]),
        dict.fromkeys(method.unlabeled, weak),
        torch.arange(1),
    )
    for alignment, expected in ((False, 0), (True, 1)):
        made = method(TASK, *(readout() for _ in roles), threshold=0.0, alignment=alignment)  # type: ignore[call-arg]
        assert made.whole_batch == (alignment or method.whole_batch)
        pseudo = made(batch, 1.0).pseudo
        assert [pseudo[role].label.tolist() for role in roles] == [[expected]] * len(roles)
