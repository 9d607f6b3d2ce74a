"""Labeled clips in turns of their classes: 5, 1 and 2 clips of three classes, in numbers counted by hand."""

from collections import Counter

import numpy as np
import pytest

from ssl_video.data.views.sampling import BalancedOrder

LABELS = np.array([4, 7, 4, 4, 9, 4, 9, 4])  # of the positions 0 to 7


def drawn(count: int, batch: int, labels: np.ndarray = LABELS, seed: int = 0) -> list[int]:
    order = BalancedOrder(seed, "labeled", labels, batch)
    return [order.at(n) for n in range(count)]


def per_batch(count: int, batch: int, labels: np.ndarray = LABELS) -> list[list[int]]:
    """The numbers of clips per class, in every batch."""
    classes = labels[drawn(count * batch, batch, labels)].reshape(count, batch)
    return [[int((row == label).sum()) for label in np.unique(labels)] for row in classes]


def test_every_batch_has_two_clips_of_each_class() -> None:
    assert per_batch(50, 6) == [[2, 2, 2]] * 50


def test_a_batch_of_four_has_one_class_twice_and_each_class_in_turn() -> None:
    counts = per_batch(60, 4)
    assert all(sorted(row) == [1, 1, 2] for row in counts)
    # Three batches are 12 clips: 4 of each class.
    assert all(np.sum(counts[n : n + 3], axis=0).tolist() == [4, 4, 4] for n in range(0, 60, 3))


def test_a_batch_of_two_has_two_classes() -> None:
    """Although every second batch holds the end of one round and the start of the next."""
    assert all(sorted(row) == [0, 1, 1] for row in per_batch(60, 2))


@pytest.mark.parametrize("classes", [1, 2, 3, 5, 7, 12])
@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5, 8, 11, 16, 24])
def test_no_batch_is_further_from_even_than_it_must(batch: int, classes: int) -> None:
    labels = np.repeat(np.arange(classes), np.arange(1, classes + 1) ** 2)
    counts = np.array(per_batch(40, batch, labels))
    assert counts.min() >= batch // classes
    assert counts.max() <= -(-batch // classes)
    even = np.lcm(batch, classes) // batch
    for first in range(0, 40 - even, even):
        assert len(set(counts[first : first + even].sum(0))) == 1


def test_the_clips_of_a_class_come_in_epochs_of_their_own() -> None:
    """20 batches of six are 40 clips of each class: each of 5 clips 8 times, the single one 40 times, ..."""
    positions = drawn(120, 6)
    assert Counter(positions) == {0: 8, 2: 8, 3: 8, 5: 8, 7: 8, 1: 40, 4: 20, 6: 20}
    large = [place for place in positions if LABELS[place] == 4]
    epochs = [large[first : first + 5] for first in range(0, 40, 5)]
    assert all(sorted(epoch) == [0, 2, 3, 5, 7] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 4


def test_rounds_are_shuffled_and_no_class_leads() -> None:
    """First of 600 rounds: 200 times each class, deviation 12, six of it 70."""
    classes = LABELS[drawn(1800, 2)].reshape(600, 3)
    assert np.abs(np.bincount(classes[:, 0], minlength=10)[[4, 7, 9]] - 200).max() < 70
    assert len({tuple(row) for row in classes}) == 6
    # 64 is no multiple of 3, so a batch ends with a round only after 64 rounds. Each order: 11 times of 64.
    longer = Counter(map(tuple, LABELS[drawn(192, 64)].reshape(64, 3).tolist()))
    assert max(longer.values()) < 30


def test_the_order_is_a_function_of_seed_purpose_and_place() -> None:
    straight = drawn(60, 4)
    asked = BalancedOrder(0, "labeled", LABELS, 4)
    assert [asked.at(n) for n in reversed(range(60))] == straight[::-1]
    assert BalancedOrder(0, "labeled", LABELS, 4).at(37) == straight[37]
    assert drawn(60, 4, seed=1) != straight
    assert [BalancedOrder(0, "other", LABELS, 4).at(n) for n in range(60)] != straight
