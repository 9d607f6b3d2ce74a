"""The head of a probe predicts with labels that have spread over all clips."""

from typing import Any

import torch
from helpers.input_errors import problems
from helpers.numbers import close
from torch import Tensor
from torch.nn import functional as F

from ssl_video import backbones
from ssl_video.algorithms.parts.propagation import Neighbours
from ssl_video.algorithms.propagation import Propagation
from ssl_video.backbones.probe import Probe
from ssl_video.contract import Task

CLASSES = 3


def made(**options: Any) -> Propagation:
    torch.manual_seed(0)
    network = backbones.create("tiny3d", CLASSES, width=0.125, frames=2, size=8)
    return Propagation(Task(CLASSES, 5), Probe(network, "linear", CLASSES, frames=2, size=8), **options)


def features(algorithm: Propagation, clips: int) -> Tensor:
    return torch.rand(clips, algorithm.model.channels, generator=torch.Generator().manual_seed(1))  # type: ignore


def head(algorithm: Propagation) -> Neighbours:
    found = algorithm.model.head
    assert isinstance(found, Neighbours)
    return found


def test_the_labels_of_the_graph() -> None:
    """With dense matrices, of all clips but itself as neighbours; votes are sums of 1."""
    algorithm = made(power=2.0, alpha=0.9)
    every, labels = features(algorithm, 9), torch.tensor([1, 0, 1, 0])
    algorithm.fit(every[:4], labels, every[4:])
    centre = every.double().mean(0)
    points = F.normalize(every.double() - centre, dim=1)
    weights = (points @ points.T).clamp(min=0) ** 2
    weights.fill_diagonal_(0)
    degrees = weights.sum(1)
    similar = weights / (degrees[:, None] * degrees).sqrt()
    given = torch.zeros(9, CLASSES, dtype=torch.float64)
    given[torch.arange(4), labels] = 1
    scores = torch.linalg.inv(torch.eye(9) - 0.9 * similar) @ given
    expected = scores / scores.sum(1, keepdim=True)
    assert head(algorithm).votes.flatten().tolist() == close(expected.flatten().tolist())
    torch.testing.assert_close(head(algorithm).points, points.float())
    # A clip of the graph, which is one of its neighbours.
    voted = (weights + torch.eye(9)) @ expected
    voted = voted / voted.sum(1, keepdim=True)
    torch.testing.assert_close(algorithm.model(every).exp(), voted.float(), atol=1e-5, rtol=0)


def test_options_are_used() -> None:
    """In the graph, and by a prediction."""
    every, labels = features(made(), 9), torch.tensor([1, 0, 1, 0])
    found = list[tuple[Tensor, Tensor]]()
    for options in ({}, {"neighbours": 2}, {"power": 1.0}, {"alpha": 0.5}):
        algorithm = made(**options)
        algorithm.fit(every[:4], labels, every[4:])
        found.append((head(algorithm).votes, algorithm.model(every)))
    for votes, logits in found[1:]:
        assert not torch.allclose(votes, found[0][0])
        assert not torch.allclose(logits, found[0][1])


def test_a_shift_of_all_features_changes_nothing() -> None:
    every, labels = features(made(), 9), torch.tensor([1, 0, 1, 0])
    found = list[Tensor]()
    for moved in (every, every + 5):
        algorithm = made(neighbours=3)
        algorithm.fit(moved[:4], labels, moved[4:])
        found.append(algorithm.model(moved))
    torch.testing.assert_close(*found, atol=1e-3, rtol=0)


def test_without_unlabeled_clips() -> None:
    """The graph has the labeled ones."""
    algorithm = made()
    labeled, labels = features(algorithm, 4), torch.tensor([2, 0, 1, 0])
    for others in (None, labeled[:0]):
        algorithm.fit(labeled, labels, others)
        assert len(head(algorithm).points) == 4
        assert algorithm.model(labeled).argmax(1).tolist() == labels.tolist()


def test_clips_and_features_give_the_same() -> None:
    algorithm = made().eval()
    clips = torch.randn(6, 3, 2, 8, 8, generator=torch.Generator().manual_seed(2))
    known = algorithm.model.features(clips)  # type: ignore[operator]
    algorithm.fit(known[:3], torch.tensor([0, 1, 2]), known[3:])
    assert torch.equal(algorithm.model(clips), algorithm.model(known))


def test_other_networks() -> None:
    plain = Propagation(Task(CLASSES, 0), torch.nn.Linear(3, CLASSES))
    clips = torch.randn(2, 3)
    assert "give --probe linear" in problems(plain.fit, clips, torch.tensor([0, 1]), clips)[0]
