"""Labels that look wrong: confident learning, on numbers worked by hand and on planted wrong labels."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ssl_video.algorithms.parts.logistic import normalised
from ssl_video.annotation.label_errors import (
    check_labels,
    folds,
    label_quality,
    normalized_margin,
    off_diagonal,
    out_of_sample,
)
from ssl_video.errors import InputError


def test_off_the_diagonal_of_the_confident_joint() -> None:
    """Thresholds: 0.6 = (0.9 + 0.8 + 0.55 + 0.15) / 4 of class 0, 0.6 = (0.9 + 0.7 + 0.2) / 3 of class 1."""
    first = np.array([0.9, 0.8, 0.55, 0.15, 0.1, 0.3, 0.8])
    probabilities = np.column_stack([first, 1 - first])
    labels = np.array([0, 0, 0, 0, 1, 1, 1])
    # The third counts for no class: 0.55 < 0.6 and 0.45 < 0.6.
    assert off_diagonal(probabilities, labels).tolist() == [False] * 3 + [True, False, False, True]


def test_a_threshold_is_the_class_s_own() -> None:
    """Thresholds 0.6, 0.3 and 0.35: the third clip counts for class 1, though class 0 is likelier."""
    probabilities = np.array(
        [[0.8, 0.1, 0.1], [0.4, 0.3, 0.3], [0.45, 0.3, 0.25], [0.5, 0.1, 0.4], [0.6, 0.1, 0.3]]
    )
    labels = np.array([0, 0, 1, 2, 2])
    # The second: 0.3 of class 1 reaches its threshold 0.3, and 0.4 of class 0 does not reach 0.6. The fourth
    # counts for its own class 2, the last for class 0 with exactly its threshold.
    assert off_diagonal(probabilities, labels).tolist() == [False, True, False, False, True]


def test_a_class_without_a_label_has_no_threshold() -> None:
    probabilities = np.array([[0.2, 0.1, 0.7], [0.1, 0.2, 0.7]])
    assert off_diagonal(probabilities, np.array([0, 1])).tolist() == [False, False]


def test_scores_of_labels() -> None:
    probabilities, labels = np.array([[0.2, 0.5, 0.3], [0.1, 0.2, 0.7]]), np.array([0, 2])
    np.testing.assert_allclose(label_quality(probabilities, labels), [0.2, 0.7])
    np.testing.assert_allclose(normalized_margin(probabilities, labels), [-0.3, 0.5])


def test_folds_keep_sources_together_and_divide_classes() -> None:
    """Six sources of two clips in class 0, two sources of three clips in class 1."""
    sources = np.array([*np.repeat(range(6), 2), *np.repeat([6, 7], 3)])
    labels = np.array([0] * 12 + [1] * 6)
    for seed in range(10):
        fold = folds(labels, sources, seed)
        of_source = [set(fold[sources == number].tolist()) for number in range(8)]
        assert all(len(some) == 1 for some in of_source)
        assert of_source[6] != of_source[7]
        counts = np.bincount([some.pop() for some in of_source[:6]], minlength=5)
        assert sorted(counts.tolist()) == [1, 1, 1, 1, 2]
    assert any((folds(labels, sources, 0) != folds(labels, sources, seed)).any() for seed in range(1, 5))


def test_probabilities_are_of_the_other_folds() -> None:
    generator = np.random.default_rng(0)
    features, labels = generator.normal(size=(30, 5)), np.arange(30) % 3
    parts = np.arange(30) // 3 % 5
    found, seen = out_of_sample(features, labels, parts, 4)
    out = parts == 2
    inputs = normalised(features)
    model = LogisticRegression(C=1.0, max_iter=10_000).fit(inputs[~out], labels[~out])
    np.testing.assert_allclose(found[out, :3], model.predict_proba(inputs[out]), atol=1e-6)
    assert not found[:, 3].any()
    assert seen.all()
    # A clip's own label is not seen.
    changed = labels.copy()
    changed[out] = (labels[out] + 1) % 3
    np.testing.assert_array_equal(out_of_sample(features, changed, parts, 4)[0][out], found[out])


def clouds(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels of 60 clips in three clouds that are far apart."""
    generator, labels = np.random.default_rng(seed), np.arange(60) % 3
    return 5 * np.eye(8)[labels] + 0.3 * generator.normal(size=(60, 8)), labels


@pytest.mark.parametrize("seed", range(3))
def test_planted_wrong_labels_come_first(seed: int) -> None:
    features, labels = clouds(seed)
    labels[[4, 20, 33]] = (labels[[4, 20, 33]] + [1, 2, 1]) % 3
    calls = list[tuple[int, int]]()
    found = check_labels(
        features, labels, np.arange(60), 3, seed=seed, report=lambda *counts: calls.append(counts)
    )
    assert sorted(found.order[:3].tolist()) == [4, 20, 33]
    assert found.suspected[[4, 20, 33]].all()
    assert (np.diff(found.quality[found.order]) >= 0).all()
    assert found.quality[[4, 20, 33]].max() < 0.2 < np.delete(found.quality, [4, 20, 33]).min()
    assert calls == [(n, 5) for n in range(1, 6)]


def test_a_wrong_source_video_does_not_vouch_for_itself() -> None:
    """All four clips of a source have the same wrong label; in other folds they would confirm each other."""
    features, labels = clouds()
    sources = np.arange(60) // 12 * 3 + labels  # 15 sources of four clips of one class
    wrong = sources == 3
    labels[wrong] = 1
    found = check_labels(features, labels, sources, 3)
    assert set(np.flatnonzero(wrong)) == set(found.order[:4].tolist())
    assert found.quality[wrong].max() < 0.2


def test_a_class_of_one_source_is_not_checked() -> None:
    features, labels = clouds()
    rows = np.flatnonzero((labels < 2) | (np.arange(60) < 9))  # three clips of class 2
    sources = np.where(labels == 2, 100, np.arange(60))
    found = check_labels(features[rows], labels[rows], sources[rows], 3)
    assert (found.checked == (labels[rows] < 2)).all()
    assert np.isnan(found.quality[~found.checked]).all()
    assert not found.suspected[~found.checked].any()


def test_one_class_alone() -> None:
    features, labels = clouds()
    with pytest.raises(InputError, match="from two classes on"):
        check_labels(features, np.zeros_like(labels), np.arange(60), 3)
    with pytest.raises(InputError, match="from two classes on"):
        check_labels(features[:2], labels[:2], np.arange(2), 3)
