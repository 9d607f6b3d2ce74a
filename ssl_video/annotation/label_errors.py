"""Labels that look wrong: confident learning on out-of-sample probabilities.

Source: Northcutt, Jiang, Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels (JAIR 2021).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ssl_video.algorithms.parts.logistic import fit, normalised
from ssl_video.errors import InputError

FOLDS = 5
# A mean of equal numbers may differ from them in its last digits.
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class CheckedLabels:
    """Labeled clips with the probabilities of a classifier that has not seen their labels.

    Attributes:
        probabilities: (N, K) out-of-sample probabilities.
        checked: (N,) bool; False: the classifier has not seen the class of the clip's label.
        joint: (N,) bool, off the diagonal of the confident joint, see `off_diagonal`.
        suspected: (N,) bool, the label looks wrong: off the diagonal, or another class is likelier.
        quality: (N,) score of the label in [0, 1], see `label_quality`; NaN: not checked.
    """

    probabilities: np.ndarray
    checked: np.ndarray
    joint: np.ndarray
    suspected: np.ndarray
    quality: np.ndarray

    @property
    def order(self) -> np.ndarray:
        """The rows of the suspected clips, the most suspicious first."""
        rows = np.flatnonzero(self.suspected)
        return rows[np.argsort(self.quality[rows], kind="stable")]


def check_labels(
    features: np.ndarray,
    labels: np.ndarray,
    sources: np.ndarray,
    num_classes: int,
    *,
    seed: int = 0,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> CheckedLabels:
    """Look for wrong labels.

    Args:
        features: (N, C) pooled features.
        labels: (N,) class numbers.
        sources: (N,) numbers of the source videos of clips; those of one are in the same fold.
        num_classes: K.
        seed: seed of the folds.
        report: called with the number of folds done and the total.

    Raises:
        InputError: fewer than two classes can be checked.
    """
    parts = folds(labels, sources, seed)
    probabilities, seen = out_of_sample(features, labels, parts, num_classes, report)
    if len(np.unique(labels[seen])) < 2:
        raise InputError(
            "labels can be checked from two classes on, each with labeled clips of at least two source videos"
        )
    joint, suspected = np.zeros((2, len(labels)), bool)
    quality = np.full(len(labels), np.nan)
    joint[seen] = off_diagonal(probabilities[seen], labels[seen])
    # Between the thresholds of two classes a clip counts for none, however likely the other class is.
    suspected[seen] = joint[seen] | (probabilities[seen].argmax(1) != labels[seen])
    quality[seen] = label_quality(probabilities[seen], labels[seen])
    return CheckedLabels(probabilities, seen, joint, suspected, quality)


def folds(labels: np.ndarray, sources: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the fold of each clip, (N,), in [0, 5).

    The sources are shuffled, ordered by their most frequent class, and dealt in turn. So the folds have
    nearly the same number of each class, and of a class with fewer than five sources, a fold has at most one:
    leaving out a fold then leaves out as much of the class as leaving out one source.
    """
    names, number = np.unique(sources, return_inverse=True)
    counts = np.zeros((len(names), int(labels.max(initial=0)) + 1), np.int64)
    np.add.at(counts, (number, labels), 1)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    order = shuffled[np.argsort(counts.argmax(1)[shuffled], kind="stable")]
    fold = np.empty(len(names), np.int64)
    fold[order] = np.arange(len(names)) % FOLDS
    found: np.ndarray = fold[number]
    return found


def out_of_sample(
    features: np.ndarray,
    labels: np.ndarray,
    parts: np.ndarray,
    num_classes: int,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the probabilities of each clip by logistic regression on the clips of all other folds.

    The features have mean 0 and variance 1 over the channels of a clip, and C is 1, as in the algorithm
    `logistic`.

    Args:
        features: (N, C).
        labels: (N,) class numbers.
        parts: (N,) folds.
        num_classes: K.
        report: called with the number of folds done and the total.

    Returns:
        (N, K) float64; and (N,) bool, False where the other folds have no clip of the label's class.
    """
    inputs = normalised(features)
    found, seen = np.zeros((len(labels), num_classes)), np.zeros(len(labels), bool)
    numbers = np.unique(parts)
    for done, part in enumerate(numbers.tolist(), 1):
        out = parts == part
        if len(np.unique(labels[~out])) > 1:
            fitted = fit(inputs[~out], labels[~out])
            found[out] = fitted.probabilities(inputs[out], num_classes)
            seen[out] = np.isin(labels[out], fitted.classes)
        report(done, len(numbers))
    return found, seen


def off_diagonal(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return which clips are off the diagonal of the confident joint, (N,) bool (section 3.1).

    The threshold of class j is its mean self-confidence, t_j = mean of p_j(x) over the clips x labeled j
    (equation 2). A clip labeled i counts for class j if j has the highest p_j(x) of all classes with
    p_j(x) >= t_j (equation 1). Its label is suspected if j is not i. A clip that counts for no class is not.

    Args:
        probabilities: (N, K), out of sample.
        labels: (N,) class numbers.
    """
    thresholds = np.full(probabilities.shape[1], np.inf)
    for number in np.unique(labels).tolist():
        thresholds[number] = probabilities[labels == number, number].mean()
    confident = probabilities >= thresholds - _TOLERANCE
    best = np.where(confident, probabilities, -1).argmax(1)
    found: np.ndarray = confident.any(1) & (best != labels)
    return found


def label_quality(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the score of each label, (N,) in [0, 1]: its self-confidence p_i(x) of the label i.

    Ranked by it, planted wrong labels come earlier than ranked by the normalized margin of section 3.2.3:
    see `python -m ssl_video.benchmarks.annotation.wrong_labels`.
    """
    found: np.ndarray = probabilities[np.arange(len(labels)), labels]
    return found


def normalized_margin(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return p_i(x) - max over j != i of p_j(x) for each label i, (N,) in [-1, 1]."""
    others = probabilities.copy()
    others[np.arange(len(labels)), labels] = -1
    found: np.ndarray = label_quality(probabilities, labels) - others.max(1)
    return found
