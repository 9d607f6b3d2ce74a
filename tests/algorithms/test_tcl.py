"""TCL against numbers worked out by hand."""

import math
from collections.abc import Callable

import pytest
import torch
from helpers.numbers import close
from torch import Tensor, nn

from ssl_video.algorithms.tcl import TCL, groups
from ssl_video.contract import Batch, Task

TASK = Task(num_classes=3, num_unlabeled=10)
Clips = Callable[..., Tensor]
E = math.e
X, Y = (1 - 2e-9, 1e-9, 1e-9), (1e-9, 1 - 2e-9, 1e-9)


@pytest.fixture
def batch(clips: Clips) -> Batch:
    """Three videos, predicted as classes x, y, x at base speed and as x, y, y at the other one."""
    return Batch(
        {"weak": clips((0.5, 0.25, 0.25))},
        torch.tensor([0]),
        {"base": clips(X, Y, X), "auxiliary": clips(X, Y, Y, frames=1)},
        torch.arange(3),
    )


def test_speeds_of_a_video_and_of_a_class_are_compared(readout: type[nn.Module], batch: Batch) -> None:
    """Temperature 1. Two predictions of one class have the similarity 1, of two classes 0.

    instance: each of six clips has one other of its class among the five others beside its partner, or two.
        Where the partner has the same class (four times): -ln(e / (2e + 3)); else (twice): -ln(1 / (2e + 3)).
        9 * (ln(2e + 3) - 4/6)
    group: the means of both classes are equal at both speeds: -ln(e / (e + 2)), times 2
    """
    algorithm = TCL(TASK, readout(), weight=9.0, group_weight=2.0, temperature=1.0)
    output = algorithm(batch, 0.5)
    assert {name: term.item() for name, term in output.terms.items()} == close(
        {
            "labeled": math.log(2),
            "unlabeled/instance": 9 * (math.log(2 * E + 3) - 2 / 3),
            "unlabeled/group": 2 * (math.log(E + 2) - 1),
        }
    )
    assert output.pseudo["model"].label.tolist() == [0, 1, 0]
    assert output.pseudo["model"].weight.tolist() == [1, 1, 1]


@pytest.mark.parametrize(("progress", "contrast"), [(0.124, False), (0.125, True)])
def test_at_first_there_are_labels_alone(
    readout: type[nn.Module], batch: Batch, progress: float, contrast: bool
) -> None:
    terms = TCL(TASK, readout())(batch, progress).terms
    assert terms["labeled"] > 0
    assert [bool(terms[f"unlabeled/{kind}"] > 0) for kind in ("instance", "group")] == [contrast] * 2


def test_groups_are_means_by_likeliest_class() -> None:
    """Base speed: two clips of class 0, one of 2, one of 1. Other speed: one of class 0, three of 2.

    Class 1 has no partner. The means of class 0 are (0.6, 0.225, 0.175) and (0.6, 0.2, 0.2), those of class 2
    (0.1, 0.2, 0.7) and a third of (0.5, 0.5, 2).
    """
    base = torch.tensor([[0.5, 0.25, 0.25], [0.7, 0.2, 0.1], [0.1, 0.2, 0.7], [0.2, 0.6, 0.2]])
    other = torch.tensor([[0.6, 0.2, 0.2], [0.2, 0.2, 0.6], [0.2, 0.2, 0.6], [0.1, 0.1, 0.8]])
    first, second = groups(base, other)
    assert torch.allclose(first, torch.tensor([[0.6, 0.225, 0.175], [0.1, 0.2, 0.7]]))
    assert torch.allclose(second, torch.tensor([[0.6, 0.2, 0.2], [0.5 / 3, 0.5 / 3, 2 / 3]]))


def test_without_a_class_in_common_there_is_no_group() -> None:
    first, second = groups(torch.tensor([[0.9, 0.1]]), torch.tensor([[0.1, 0.9]]))
    assert first.shape == second.shape == (0, 2)


def test_the_prediction_at_base_speed_is_a_fixed_target(readout: type[nn.Module], clips: Clips) -> None:
    base, auxiliary = (
        clips((0.5, 0.3, 0.2), (0.2, 0.5, 0.3)),
        clips((0.4, 0.3, 0.3), (0.3, 0.5, 0.2), frames=1),
    )
    base.requires_grad_()
    auxiliary.requires_grad_()
    batch = Batch({"weak": clips((0.5, 0.25, 0.25))}, torch.tensor([0]), {}, torch.arange(2))
    output = TCL(TASK, readout())(batch._replace(unlabeled={"base": base, "auxiliary": auxiliary}), 0.5)
    for kind in ("instance", "group"):
        base.grad = auxiliary.grad = None
        output.terms[f"unlabeled/{kind}"].backward(retain_graph=True)
        assert base.grad is None
        assert isinstance(auxiliary.grad, Tensor)
        assert auxiliary.grad.any()


def test_running_averages_are_those_of_base_speed() -> None:
    """Momentum 0.5 from mean 0: base clips of mean 2 -> 1, labeled ones of mean 5 -> 3; not 100."""
    norm = nn.BatchNorm3d(3, momentum=0.5)
    model = nn.Sequential(norm, nn.AdaptiveAvgPool3d(1), nn.Flatten())
    levels = {"base": 2.0, "auxiliary": 100.0}
    unlabeled = {view: torch.full((2, 3, 2, 4, 4), level) for view, level in levels.items()}
    batch = Batch(
        {"weak": torch.full((2, 3, 2, 4, 4), 5.0)}, torch.tensor([0, 1]), unlabeled, torch.arange(2)
    )
    TCL(TASK, model)(batch, 0.5)
    assert isinstance(norm.running_mean, Tensor)
    assert norm.running_mean.tolist() == close([3, 3, 3])
