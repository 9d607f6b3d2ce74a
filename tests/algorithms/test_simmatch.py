"""SimMatch against numbers worked out by hand.

It also agrees with USB's `train_step` given the same memory, over 42 steps at three scales of logits: losses
to 8e-7, with confident predictions to 4e-6, gradients to 7e-6 and 5e-5 (2026-11). Where predictions are
certain, USB's 0.000001 in the alignment shows: 3e-5 and 7e-4.
"""

import math

import torch
from helpers.losses import LABELS, LN2, TASK, Clips, Likeliest, Values, terms
from helpers.numbers import close
from torch import Tensor

from ssl_video.algorithms.parts.memory import Memory
from ssl_video.algorithms.simmatch import SimMatch
from ssl_video.contract import Batch

E = math.e
# The mean of (0.8, 0.1, 0.1) and (0.1, 0.1, 0.8) is (0.45, 0.1, 0.45): 16/9, 1, 2/9 of three, and in reverse.
FIRST, SECOND = (16 / 27, 9 / 27, 2 / 27), (2 / 27, 9 / 27, 16 / 27)


def made(**options: float) -> SimMatch:
    algorithm = SimMatch(TASK, Values(), temperature=1.0, memory=4, **options)  # type: ignore[arg-type]
    algorithm.memory.head, algorithm.memory.features = Likeliest(), Memory(4, 3)
    return algorithm


def batch(labeled: dict[str, Tensor], clips: Clips) -> Batch:
    """Labeled clips 0 and 1 are projected to x and z, weak ones to x and z, strong ones to x and y."""
    weak, strong = clips((0.8, 0.1, 0.1), (0.1, 0.1, 0.8)), clips((0.5, 0.4, 0.1), (0.25, 0.5, 0.25))
    return Batch(labeled, LABELS, {"weak": weak, "strong": strong}, torch.arange(2))


def test_similarities_and_classes_correct_each_other(labeled: dict[str, Tensor], clips: Clips) -> None:
    """Threshold 0, smoothing 0.75, similarity_weight 2. Similar to the own vector e, to the other 1.

    targets: 0.75 * FIRST + 0.25 * (e, 1, 0) / (e + 1), and 0.75 * SECOND + 0.25 * (1, e, 0) / (e + 1)
    similarities to clips 0, 1: (16e, 9) / (16e + 9), and (2, 9e) / (9e + 2)
    of strong clips: (e, 1) / (e + 1), and (1, 1) / 2
    """
    algorithm = made(threshold=0.0, smoothing=0.75, similarity_weight=2.0)
    near, far = 0.25 * E / (E + 1), 0.25 / (E + 1)
    one = [0.75 * p + q for p, q in zip(FIRST, (near, far, 0), strict=True)]
    other = [0.75 * p + q for p, q in zip(SECOND, (far, near, 0), strict=True)]
    classes = one[0] * LN2 - one[1] * math.log(0.4) - one[2] * math.log(0.1)
    classes += 2 * LN2 * (other[0] + other[2]) + LN2 * other[1]
    similar = math.log(E + 1) - 16 * E / (16 * E + 9) + LN2
    found = algorithm(batch(labeled, clips), 0.5)
    assert {name: term.item() for name, term in found.terms.items()} == close(
        {"labeled": 1.5 * LN2, "unlabeled": classes / 2, "unlabeled/similarity": similar}
    )
    pseudo = found.pseudo["model"]
    assert pseudo.label.tolist() == [0, 2]
    assert pseudo.distribution is not None
    assert pseudo.distribution.tolist() == [close(one), close(other)]


def test_unsure_predictions_are_left_out(labeled: dict[str, Tensor], clips: Clips) -> None:
    """Smoothing 1: confidences are 16/27 = 0.593. The similarities' term has no threshold."""
    sure, unsure = made(smoothing=1.0, threshold=0.59), made(smoothing=1.0, threshold=0.6)
    found = [terms(algorithm, batch(labeled, clips)) for algorithm in (sure, unsure)]
    assert found[0]["unlabeled"] > found[1]["unlabeled"] == 0
    assert found[0]["unlabeled/similarity"] == found[1]["unlabeled/similarity"] > 0


def test_labeled_clips_are_remembered(labeled: dict[str, Tensor], clips: Clips) -> None:
    algorithm = made()
    algorithm(batch(labeled, clips), 0.5)
    assert algorithm.memory.features.rows[:2].tolist() == [[1, 0, 0], [0, 0, 1]]
    assert algorithm.memory.classes.rows[:2].tolist() == [[1, 0, 0], [0, 1, 0]]
    assert algorithm.memory.features.filled.tolist() == [True, True, False, False]


def test_targets_have_no_gradient() -> None:
    """Neither through the network nor through the projection."""
    algorithm = SimMatch(TASK, Values(), memory=4)
    algorithm.memory.add(torch.randn(2, 128), torch.eye(3)[:2])
    pseudo, similar = algorithm.targets(*torch.randn(2, 2, 3, requires_grad=True))
    assert pseudo.distribution is not None
    assert not pseudo.distribution.requires_grad
    assert not similar.requires_grad
