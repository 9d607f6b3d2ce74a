"""Rules that choose which clips a person should label next.

A rule looks at a pool once, and then names one clip after the other. Each time it is given the clips that
are open: `choose` closes those that are like a chosen one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ssl_video.algorithms.parts.logistic import normalised
from ssl_video.annotation.clusters import TypicalClips
from ssl_video.errors import InputError, unknown


@dataclass(frozen=True)
class Candidates:
    """The clips to choose from.

    Attributes:
        features: (N, C) float32 pooled features.
        probabilities: (N, K) class probabilities, calibrated where the run has a temperature.
        labeled: (L, C) features of the clips that have a label.
    """

    features: np.ndarray
    probabilities: np.ndarray
    labeled: np.ndarray


# Open clips (N,) bool, of which at least one is -> the row of the clip to label next.
Next = Callable[[np.ndarray], int]
Rule = Callable[[Candidates, int, np.random.Generator], Next]


def random(pool: Candidates, number: int, generator: np.random.Generator) -> Next:
    """Choose at random, each clip with the same probability: the rule that others have to beat."""
    return _in_order(generator.permutation(len(pool.features)))


def margin(pool: Candidates, number: int, generator: np.random.Generator) -> Next:
    """Choose where the network hesitates most between two classes.

    The clip with the smallest p(1) - p(2) comes first, of its likeliest and second likeliest class. Of equal
    ones the earlier comes first. Source: Scheffer, Decomain, Wrobel, Active Hidden Markov Models for
    Information Extraction (IDA 2001).
    """
    two = np.partition(pool.probabilities, -2, axis=1)[:, -2:]
    return _in_order(np.argsort(two[:, 1] - two[:, 0], kind="stable"))


def typiclust(pool: Candidates, number: int, generator: np.random.Generator) -> Next:
    """Choose the most typical clip of each of the largest clusters without a labeled clip.

    Labeled and other clips are put into L + number clusters, at most 500, by k-means on their features,
    divided by their norm. Again and again, the cluster with the fewest labeled and chosen clips is taken, of
    several the largest. Clusters of fewer than 5 clips come last. Its most typical clip is chosen, the one
    with the smallest mean distance to its min(20, size - 1) nearest neighbours in the cluster. Source:
    Hacohen, Dekel, Weinshall, Active Learning on a Budget (ICML 2022), TPC with k-means.
    """
    return TypicalClips(pool.features, pool.labeled, number, generator).next


def badge(pool: Candidates, number: int, generator: np.random.Generator) -> Next:
    """Choose clips whose gradients are large and differ from each other.

    The gradient of the last layer for the likeliest class y of a clip is g = (p - onehot(y)) ⊗ h. The clip
    with the largest g is first, as in the authors' code; each further one is drawn by k-means++, with a
    probability proportional to its squared distance to the nearest chosen g. h are the features with mean 0
    and variance 1 over the channels of a clip, the inputs of a linear probe. Source: Ash, Zhang,
    Krishnamurthy, Langford, Agarwal, Deep Batch Active Learning by Diverse, Uncertain Gradient Lower Bounds
    (ICLR 2020), algorithm 1.
    """
    slopes = pool.probabilities.astype(np.float64)
    slopes[np.arange(len(slopes)), slopes.argmax(1)] -= 1
    inputs = _inputs(pool.features)
    # ⟨a ⊗ h, b ⊗ k⟩ = ⟨a, b⟩⟨h, k⟩, so the products, K times as large as the features, are never formed.
    squares = (slopes**2).sum(1) * np.einsum("nc,nc->n", inputs, inputs)
    nearest, last = np.full(len(slopes), np.inf), -1

    def following(free: np.ndarray) -> int:
        nonlocal nearest, last
        if last < 0:
            last = int(np.where(free, squares, -1).argmax())
            return last
        products = (slopes @ slopes[last]) * (inputs @ inputs[last])
        nearest = np.minimum(nearest, np.maximum(squares + squares[last] - 2 * products, 0))
        weights = np.where(free, nearest, 0)
        if not weights.sum() > 0:  # all that is left has a gradient that was chosen already
            weights = free.astype(np.float64)
        last = int(generator.choice(len(weights), p=weights / weights.sum()))
        return last

    return following


RULES: dict[str, Rule] = {"badge": badge, "margin": margin, "typiclust": typiclust, "random": random}
# The best of them on held-out training clips: python -m ssl_video.benchmarks.annotation.rules
DEFAULT = "badge"
_AT_ONCE = 4096
READS_LABELED = frozenset({"typiclust"})


def check(rule: str) -> None:
    """Check the name of a rule.

    Raises:
        InputError: there is none of that name.
    """
    if rule not in RULES:
        raise InputError(unknown("rule", rule, RULES))


def choose(
    rule: str,
    pool: Candidates,
    number: int,
    seed: int = 0,
    like: Callable[[int], np.ndarray] = lambda row: np.array([row]),
    closed: Sequence[int] = (),
) -> list[int]:
    """Return the rows of the clips to label next, the most useful first.

    Args:
        rule: a name of RULES.
        pool: the clips.
        number: how many are wanted; all, if there are fewer.
        seed: seed of the random choices of a rule.
        like: returns the rows of clips that are like a chosen one, so that a person would learn little by
            labeling both. They are chosen only where nothing else is left.
        closed: rows of clips that are like a labeled one, which are treated likewise.

    Raises:
        InputError: no rule of that name.
    """
    check(rule)
    count = len(pool.features)
    left, free, chosen = np.ones(count, bool), np.ones(count, bool), list[int]()
    free[list(closed)] = False
    if not count:
        return chosen
    following = RULES[rule](pool, min(number, count), np.random.default_rng(seed))
    while len(chosen) < min(number, count):
        open_ones = left & free
        row = following(open_ones if open_ones.any() else left)
        chosen.append(row)
        left[row] = False
        free[like(row)] = False
    return chosen


def _inputs(features: np.ndarray) -> np.ndarray:
    """Return normalised features, float32, without a copy of all in float64."""
    found = np.empty(features.shape, np.float32)
    for start in range(0, len(features), _AT_ONCE):
        found[start : start + _AT_ONCE] = normalised(features[start : start + _AT_ONCE])
    return found


def _in_order(order: np.ndarray) -> Next:
    """Return a function that names the first open clip of an order."""
    return lambda free: int(order[free[order].argmax()])
