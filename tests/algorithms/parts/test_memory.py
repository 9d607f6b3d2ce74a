import math

import pytest
import torch
from helpers.losses import Likeliest
from helpers.numbers import close
from torch import Tensor

from ssl_video.algorithms.parts.alignment import UniformAlignment
from ssl_video.algorithms.parts.memory import ClipMemory, Memory

E = math.e


def rows(*values: float) -> Tensor:
    return torch.tensor(values)[:, None]


def test_the_oldest_rows_are_replaced() -> None:
    memory = Memory(3, 1)
    assert memory.filled.tolist() == [False] * 3
    assert memory.mean().tolist() == [0]
    memory.add(rows(1, 2))
    assert memory.filled.tolist() == [True, True, False]
    assert memory.mean().tolist() == [1.5]
    memory.add(rows(3, 4))
    assert sorted(memory.rows[:, 0].tolist()) == [2, 3, 4]
    assert memory.mean().tolist() == [3]
    memory.add(rows(5))
    assert sorted(memory.rows[:, 0].tolist()) == [3, 4, 5]


def test_of_too_many_rows_the_last_stay() -> None:
    memory = Memory(2, 1)
    memory.add(rows(1))
    memory.add(rows(2, 3, 4, 5))
    assert sorted(memory.rows[:, 0].tolist()) == [4, 5]
    assert memory.filled.all()


@pytest.fixture
def clips() -> ClipMemory:
    """A memory of three unit vectors, of classes 0, 0 and 1, with room for one more; temperature 1."""
    memory = ClipMemory(3, 2, 4, temperature=1.0)
    memory.head, memory.features = Likeliest(), Memory(4, 3)
    memory.add(torch.eye(3), torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    return memory


def test_similar_clips(clips: ClipMemory) -> None:
    """To itself e, to the two others 1, to the free place 0."""
    found = clips.similarity(torch.eye(3)[:1]).exp()
    assert found[0].tolist() == close([E / (E + 2), 1 / (E + 2), 1 / (E + 2), 0])


def test_predictions_are_smoothed_over_similar_clips(clips: ClipMemory) -> None:
    """Class 1 is that of the third clip: 0.75 * 0.4 + 0.25 * 1 / (e + 2)."""
    similarity = clips.similarity(torch.eye(3)[:1])
    one = 0.3 + 0.25 / (E + 2)
    assert clips.smooth(torch.tensor([[0.6, 0.4]]), similarity, 0.75)[0].tolist() == close([1 - one, one])


def test_projections_have_the_length_1() -> None:
    memory = ClipMemory(5, 2, 4, temperature=0.0)
    assert memory(torch.randn(3, 5)).norm(dim=-1).tolist() == close([1.0] * 3)
    assert memory.temperature == 1e-3


def test_uniform_alignment() -> None:
    """The means of two steps are (0.8, 0.2) and (0.6, 0.4): (0.7, 0.3). Then the first step is forgotten.

    (0.6, 0.4) becomes 6/7 to 4/3: 9/23 and 14/23. With the second and a third step (0.2, 0.8), the mean is
    (0.4, 0.6): (0.2, 0.8) becomes 1/2 to 4/3: 3/11 and 8/11.
    """
    align = UniformAlignment(2, steps=2)
    assert align(torch.tensor([[0.9, 0.1], [0.7, 0.3]])).sum(-1).tolist() == close([1, 1])
    assert align(torch.tensor([[0.6, 0.4]]))[0].tolist() == close([9 / 23, 14 / 23])
    assert align(torch.tensor([[0.2, 0.8]]))[0].tolist() == close([3 / 11, 8 / 11])


def test_products_are_not_rounded_under_autocast(clips: ClipMemory) -> None:
    """Targets are compared with thresholds such as 0.95, which bfloat16 rounds to 0.949."""
    similarity, probability = clips.similarity(torch.eye(3)), torch.tensor([[0.7, 0.3]]).expand(3, 2)
    expected = clips.smooth(probability, similarity, 0.9), clips.unfold(probability, similarity)
    with torch.autocast("cpu", torch.bfloat16):
        found = clips.smooth(probability, similarity, 0.9), clips.unfold(probability, similarity)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_a_remembered_clip_counts_as_its_class_is_likely(clips: ClipMemory) -> None:
    """Similarities e, 1, 1 times the probabilities 0.6, 0.6, 0.4 of their classes."""
    found = clips.unfold(torch.tensor([[0.6, 0.4]]), clips.similarity(torch.eye(3)[:1]))
    total = 0.6 * E + 1
    assert found[0].tolist() == close([0.6 * E / total, 0.6 / total, 0.4 / total, 0])
