"""Graphs of a few points, worked out by hand."""

import copy
import math

import pytest
import torch
from helpers.numbers import close
from torch import Tensor, nn

from ssl_video.algorithms.parts import propagation
from ssl_video.algorithms.parts.propagation import Neighbours, affinities, distributions, graph, propagated

ROOT = math.sqrt(0.5)


def at(*degrees: float) -> Tensor:
    """Points of the unit circle."""
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos(), angles.sin()], 1)


def given(*labels: int) -> Tensor:
    """Y of two classes; -1: without a label."""
    return torch.tensor([[float(label == 0), float(label == 1)] for label in labels], dtype=torch.float64)


def test_affinities_of_the_nearest() -> None:
    """Cosines with the point at 0: 0.5, 1, -1, 0. The second is the nearest, the opposite counts as 0."""
    found, places = affinities(at(0), at(60, 0, 180, 90), 9, 3.0)
    assert found[0].tolist() == close([1, 0.125, 0, 0])
    assert places[0].tolist() == [1, 0, 3, 2]
    found, places = affinities(at(0), at(60, 0, 180, 90), 1, 3.0)
    assert (found[0].tolist(), places[0].tolist()) == (close([1]), [1])


@pytest.mark.parametrize("rows", [1, 2, 1024])
def test_a_chain_of_three_points_and_one_apart(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """At 0, 60 and 120 degrees; the fourth is more than 90 degrees from each.

    Affinities are 0.5 = cos 60 from either side, so W = 1 for the pairs (0, 1) and (1, 2). The degrees are 1,
    2, 1, and S = 1 / sqrt(1 * 2) for both pairs.
    """
    monkeypatch.setattr(propagation, "_ROWS", rows)
    found = graph(at(0, 60, 120, 240), 2, 1.0).to_dense()
    expected = torch.zeros(4, 4, dtype=torch.float64)
    expected[0, 1] = expected[1, 0] = expected[1, 2] = expected[2, 1] = ROOT
    assert found.flatten().tolist() == close(expected.flatten().tolist())


def test_a_link_from_one_side_alone() -> None:
    """Of one nearest point each: 0 and 50 choose each other, 110 chooses 50, which does not choose it.

    With power 2: W is 2 cos(50)^2 = 0.8264 for the first pair, cos(60)^2 = 0.25 for the second.
    """
    first, second = 2 * math.cos(math.radians(50)) ** 2, 0.25
    found = graph(at(0, 50, 110), 1, 2.0).to_dense()
    one, other = (w / math.sqrt(w * (first + second)) for w in (first, second))
    assert found.flatten().tolist() == close([0, one, 0, one, 0, other, 0, other, 0])


def test_the_closed_form_of_the_chain() -> None:
    """With alpha = 0.5, I - alpha S has c = -0.5 sqrt(0.5) beside a diagonal of 1; c^2 = 1/8.

    Its determinant is 1 - 2 c^2 = 3/4, and the first column of its inverse is (1 - 1/8, -c, 1/8) / (3/4). The
    fourth point has no label and no neighbour.
    """
    found = propagated(graph(at(0, 60, 120, 240), 2, 1.0), given(0, -1, 1, -1), 0.5)
    middle = 0.5 * ROOT / 0.75
    assert found.flatten().tolist() == close([7 / 6, 1 / 6, middle, middle, 1 / 6, 7 / 6, 0, 0])
    assert distributions(found).flatten().tolist() == close([7 / 8, 1 / 8, 0.5, 0.5, 1 / 8, 7 / 8, 0, 0])


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.99, 0.9999])
def test_conjugate_gradients_solve_the_equations(alpha: float) -> None:
    """As a solver of dense ones does; the last class has no label."""
    points = nn.functional.normalize(torch.randn(60, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    similar, known = graph(points.double(), 5, 3.0), torch.zeros(60, 4, dtype=torch.float64)
    known[torch.arange(6), torch.arange(6) % 3] = 1
    expected = torch.linalg.solve(torch.eye(60, dtype=torch.float64) - alpha * similar.to_dense(), known)
    torch.testing.assert_close(propagated(similar, known, alpha), expected, rtol=1e-8, atol=1e-10)


def remembering(power: float = 1.0, neighbours: int = 2) -> Neighbours:
    head = Neighbours(nn.Linear(2, 2), neighbours, power)
    votes = torch.tensor([[7 / 8, 1 / 8], [0.5, 0.5], [1 / 8, 7 / 8], [0, 0]])
    head.remember(torch.tensor([3.0, -1.0]), at(0, 60, 120, 240), votes)
    return head


@pytest.mark.parametrize(
    ("degrees", "power", "neighbours", "expected"),
    [
        # (7/8, 1/8) + 0.5 (1/2, 1/2) = (9/8, 3/8).
        (0, 1.0, 2, [3 / 4, 1 / 4]),
        # (7/8, 1/8) + 1/8 (1/2, 1/2) = (15/16, 3/16).
        (0, 3.0, 2, [5 / 6, 1 / 6]),
        (0, 1.0, 1, [7 / 8, 1 / 8]),
        # All four: one is behind, the other has no vote.
        (0, 1.0, 9, [3 / 4, 1 / 4]),
        # Its one neighbour has no vote.
        (240, 1.0, 1, [1 / 2, 1 / 2]),
    ],
)
def test_votes_of_the_neighbours(
    degrees: float, power: float, neighbours: int, expected: list[float]
) -> None:
    """Of features at any distance from the centre."""
    head = remembering(power, neighbours)
    for length in (1, 5):
        query = length * at(degrees).float() + torch.tensor([3.0, -1.0])
        assert head(query).exp()[0].tolist() == close(expected)


def test_a_class_without_a_vote_has_a_finite_logit() -> None:
    head = remembering(neighbours=1)
    head.votes = torch.tensor([[1.0, 0.0]]).expand(4, 2)
    assert head(at(0).float() + head.centre)[0, 1].item() == close(math.log(1e-6))


def test_without_points_it_is_the_other_head() -> None:
    head, features = Neighbours(nn.Linear(2, 2), 2, 1.0), torch.randn(3, 2)
    assert torch.equal(head(features), head.start(features))


def test_a_state_of_any_number_of_points_is_loaded() -> None:
    made, features = remembering(), torch.randn(5, 2)
    new = Neighbours(nn.Linear(2, 2), 2, 1.0)
    new.load_state_dict(made.state_dict())
    assert torch.equal(new(features), made(features))
    assert new.points.data_ptr() != made.points.data_ptr()
    # Back to none.
    new.load_state_dict(Neighbours(nn.Linear(2, 2), 2, 1.0).state_dict())
    assert torch.equal(new(features), new.start(features))
    state = copy.copy(made.state_dict())
    del state["votes"]
    with pytest.raises(RuntimeError, match="votes"):
        new.load_state_dict(state)
