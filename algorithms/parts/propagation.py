"""Label propagation on a graph of features (Zhou et al. 2003), and the head that predicts with its result.

The graph is that of Iscen et al. 2019, "Label Propagation for Deep Semi-supervised Learning",
arXiv:1904.04717, equations 3, 8 and 9.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_ROWS = 1024  # whose similarities to all points are in memory together
_TOLERANCE, _ITERATIONS = 1e-12, 10_000
_TINY = 1e-30
# The share of a class that no neighbour votes for, whose logarithm is finite.
_PRIOR = 1e-6


def affinities(queries: Tensor, points: Tensor, neighbours: int, power: float) -> tuple[Tensor, Tensor]:
    """Return max(0, cosine)^power of queries and their nearest points, and the places of these points.

    Args:
        queries: (Q, C), of length 1.
        points: (N, C), of length 1.
        neighbours: k, the number of nearest points; all points if there are fewer.
        power: gamma.

    Returns:
        (Q, k) affinities, the nearest first, and (Q, k) places in `points`.
    """
    return _nearest(queries @ points.T, neighbours, power)


def _nearest(cosines: Tensor, neighbours: int, power: float) -> tuple[Tensor, Tensor]:
    found, places = cosines.topk(min(neighbours, cosines.shape[1]), dim=1)
    return found.clamp(min=0) ** power, places


def graph(points: Tensor, neighbours: int, power: float) -> Tensor:
    """Return S = D^-1/2 W D^-1/2 of the nearest neighbours, sparse (N, N).

    W = A + A^T, where a_ij is the affinity of i and j if j is one of the k points nearest to i, otherwise 0.
    No point is its own neighbour.

    Args:
        points: (N, C), of length 1.
        neighbours: k.
        power: gamma, of `affinities`.
    """
    count, values, places = len(points), [], []
    for first in range(0, count, _ROWS):
        some = points[first : first + _ROWS]
        cosines = some @ points.T
        own = torch.arange(len(some))
        cosines[own, first + own] = -torch.inf
        found, near = _nearest(cosines, min(neighbours, count - 1), power)
        values.append(found.flatten())
        places.append(torch.stack([(first + own)[:, None].expand_as(near), near]).flatten(1))
    value, place = torch.cat(values), torch.cat(places, 1)
    # Entries of one place are added.
    both = _sparse(torch.cat([place, place.flip(0)], 1), torch.cat([value, value]), count)
    rows, columns = both.indices()
    degrees = torch.zeros(count, dtype=points.dtype).index_add_(0, rows, both.values())
    # A point without affinities has entries of 0 alone.
    scale = degrees.clamp(min=_TINY).rsqrt()
    return _sparse(both.indices(), both.values() * scale[rows] * scale[columns], count)


def _sparse(places: Tensor, values: Tensor, size: int) -> Tensor:
    """Return a matrix (size, size) with values (M,) at places (2, M)."""
    # Without the choice, torch warns.
    return torch.sparse_coo_tensor(places, values, (size, size), check_invariants=True).coalesce()


def propagated(similar: Tensor, given: Tensor, alpha: float) -> Tensor:
    """Return F = (I - alpha S)^-1 Y, (N, classes), by conjugate gradients.

    Args:
        similar: S, see `graph`.
        given: Y, (N, classes), 1 for the class of a labeled point and otherwise 0.
        alpha: in [0, 1), the weight of the neighbours.
    """
    found, residual = torch.zeros_like(given), given
    direction, size = residual, residual.square().sum(0)
    enough = size * _TOLERANCE**2
    for _ in range(_ITERATIONS):
        if bool((size <= enough).all()):
            break
        moved = direction - alpha * torch.sparse.mm(similar, direction)
        step = size / (direction * moved).sum(0).clamp(min=_TINY)
        found, residual = found + step * direction, residual - step * moved
        before, size = size, residual.square().sum(0)
        direction = residual + size / before.clamp(min=_TINY) * direction
    return found


def distributions(scores: Tensor) -> Tensor:
    """Return scores (N, classes) with a sum of 1 for each point; 0 for a point that no label reaches."""
    # The exact solution is not negative.
    scores = scores.clamp(min=0)
    return scores / scores.sum(1, keepdim=True).clamp(min=_TINY)


class Neighbours(nn.Module):
    """A head whose logits are those of the nearest points that it remembers, else those of another head.

    Args:
        start: the head until there are points, features (Q, C) -> logits (Q, classes).
        neighbours: k, the number of points that vote.
        power: gamma, of `affinities`.

    Attributes:
        centre: (C,), subtracted from features.
        points: (N, C), centred and of length 1. A state that is loaded may have another N.
        votes: (N, classes), the class probabilities of each point.
    """

    def __init__(self, start: nn.Module, neighbours: int, power: float) -> None:
        super().__init__()
        self.start, self.neighbours, self.power = start, neighbours, power
        self.centre: Tensor
        self.points: Tensor
        self.votes: Tensor
        for name, shape in {"centre": (0,), "points": (0, 0), "votes": (0, 0)}.items():
            self.register_buffer(name, torch.zeros(shape))

    def remember(self, centre: Tensor, points: Tensor, votes: Tensor) -> None:
        """Replace the points; they are kept in the type and on the device of those before."""
        self.centre, self.points, self.votes = (
            new.to(old) for new, old in ((centre, self.centre), (points, self.points), (votes, self.votes))
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map features (Q, C) -> logits (Q, classes), the logarithms of probabilities."""
        if not len(self.points):
            logits: Tensor = self.start(features)
            return logits
        queries = F.normalize(features.float() - self.centre, dim=1)
        weights, places = affinities(queries, self.points, self.neighbours, self.power)
        found = distributions((weights[..., None].float() * self.votes[places]).sum(1)) + _PRIOR
        return (found / found.sum(1, keepdim=True)).log()

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *others: Any) -> None:
        for name, buffer in self.named_buffers(recurse=False):
            saved = state_dict.get(prefix + name)
            if saved is not None:
                setattr(self, name, buffer.new_empty(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *others)
