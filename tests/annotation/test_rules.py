"""Rules that choose clips to label next, on numbers worked by hand."""

import numpy as np
import pytest

from ssl_video.algorithms.parts.logistic import normalised
from ssl_video.annotation.clusters import clusters, typicality
from ssl_video.annotation.rules import RULES, Candidates, badge, choose
from ssl_video.errors import InputError

NONE = np.empty((0, 2), np.float32)


def pool(probabilities: object, features: object = None, labeled: np.ndarray = NONE) -> Candidates:
    scores = np.array(probabilities, np.float32)
    points = np.zeros((len(scores), 2)) if features is None else np.array(features)
    return Candidates(points.astype(np.float32), scores, labeled)


def on_circle(*degrees: float) -> np.ndarray:
    """Points whose features, divided by their norms, lie at these angles; the norms differ."""
    angles = np.radians(degrees)
    norms = 10.0 ** (np.arange(len(degrees)) % 3)[:, None]
    return (norms * np.column_stack([np.cos(angles), np.sin(angles)])).astype(np.float32)


def test_margin_is_the_difference_of_the_two_likeliest() -> None:
    """Margins 1/4, 1/8, 5/8 and 1/8, of which the earlier comes first."""
    scores = [[0.5, 0.25, 0.25], [0.25, 0.3125, 0.4375], [0.125, 0.75, 0.125], [0.4375, 0.5625, 0.0]]
    assert choose("margin", pool(scores), 4) == [1, 3, 0, 2]


def test_random_depends_on_the_seed_alone() -> None:
    some = pool(np.full((50, 2), 0.5))
    chosen = {seed: choose("random", some, 50, seed) for seed in (0, 1)}
    assert all(sorted(rows) == list(range(50)) for rows in chosen.values())
    assert chosen[0] != chosen[1]
    assert choose("random", some, 7, 1) == chosen[1][:7]


class Recorded:
    """A source of random numbers that takes the likeliest, and notes the probabilities."""

    def __init__(self) -> None:
        self.seen = list[np.ndarray]()

    def choice(self, number: int, p: np.ndarray) -> int:
        assert len(p) == number
        self.seen.append(p)
        return int(p.argmax())


def test_badge_draws_by_the_squared_distance_of_gradients() -> None:
    """Compared with the gradients themselves, p - onehot times features, as outer products."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(6, 4))
    scores = generator.dirichlet(np.ones(3), 6)
    slopes = scores - np.eye(3)[scores.argmax(1)]
    gradients = np.einsum("nk,nc->nkc", slopes, normalised(features)).reshape(6, -1)
    recorded, free = Recorded(), np.ones(6, bool)
    following = badge(pool(scores, features), 3, recorded)  # type: ignore[arg-type]
    first = following(free)
    assert first == np.linalg.norm(gradients, axis=1).argmax()
    nearest = ((gradients - gradients[first]) ** 2).sum(1)
    for _ in range(2):
        free[first] = False
        row = following(free)
        expected = np.where(free, nearest, 0)
        np.testing.assert_allclose(recorded.seen[-1], expected / expected.sum(), atol=1e-6)
        nearest = np.minimum(nearest, ((gradients - gradients[row]) ** 2).sum(1))
        first = row


def test_badge_leaves_sure_clips_and_copies_to_the_end() -> None:
    """A gradient is 0 where the network is sure; of two equal ones, the second adds nothing to the first."""
    scores = [[1.0, 0.0], [0.5, 0.5], [0.5, 0.5], [0.4, 0.6], [1.0, 0.0]]
    features = [[1, 0], [2, 1], [2, 1], [0, 5], [3, 1]]
    for seed in range(5):
        chosen = choose("badge", pool(scores, features), 5, seed)
        # One clip without a gradient differs from the others once; then nothing does.
        assert chosen[0] == 1
        assert set(chosen[1:3]) in ({3, 0}, {3, 4})
        assert sorted(chosen) == list(range(5))


def test_typicality_is_the_inverse_mean_distance() -> None:
    """On a line at 0, 1, 3: mean distances to both others 2, 1.5, 2.5."""
    points = np.array([[0.0], [1.0], [3.0]], np.float32)
    np.testing.assert_allclose(typicality(points), [1 / 2, 1 / 1.5, 1 / 2.5])
    assert typicality(points[:1]).tolist() == [1.0]
    assert np.isfinite(typicality(np.zeros((3, 1), np.float32))).all()


def test_typicality_is_of_the_twenty_nearest() -> None:
    """21 points at 0 and two at 1: each of these has one neighbour at 0 distance and nineteen at 1."""
    points = np.array([[0.0]] * 21 + [[1.0]] * 2, np.float32)
    np.testing.assert_allclose(typicality(points)[21:], 20 / 19)
    assert typicality(points)[0] > 1e6


def test_typiclust_takes_the_largest_cluster_without_a_label() -> None:
    """Seven clips around 0° with a label among them, six around 90° and five around 180°.

    One label and two clips make three clusters. Around 90°, the distances of 89.2° to the others sum up to
    4.2 + 2.2 + 0.8 + 2.8 + 9.8 = 19.8°, those of 90° to 20°; around 180°, those of 180° to 13°.
    """
    near, half, back = (-3, -2, -1, 1, 2, 3), (85, 87, 89.2, 90, 92, 99), (176, 178, 180, 182, 185)
    features, labeled = on_circle(*near, *half, *back), on_circle(0)
    scores = np.full((len(features), 2), 0.5)
    for seed in range(3):
        chosen = choose("typiclust", pool(scores, features, labeled), 2, seed)
        assert chosen == [8, 14]
    # With no label, and as many clusters as clips, the largest is first.
    assert choose("typiclust", pool(scores[6:], features[6:]), 2, 0) == [2, 8]


def test_typiclust_leaves_small_clusters_to_the_end() -> None:
    """Four outliers are a cluster of their own, without a label; the labeled cluster comes before."""
    features = on_circle(-2, -1, 0.2, 1, 2, 178, 179, 180, 181)
    some = pool(np.full((9, 2), 0.5), features, on_circle(0))
    assert choose("typiclust", some, 1, 0)[0] == 2
    assert set(choose("typiclust", some, 9, 0)) == set(range(9))


def test_a_cluster_of_a_chosen_clip_is_covered() -> None:
    """Its next clip comes after those of all other clusters, whatever the sizes."""
    features = on_circle(*range(-10, 11), 88, 89, 90, 91, 92)
    chosen = choose("typiclust", pool(np.full((26, 2), 0.5), features), 2, 0)
    assert chosen == [10, 23]


def test_many_points_are_clustered_from_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssl_video.annotation.clusters._AT_ONCE", 20)
    points = np.concatenate([on_circle(0, 1, 2, 3) / 1e3, 1 + on_circle(*[90] * 30) / 1e3])
    found = clusters(points, 2, np.random.default_rng(0))
    assert len(set(found[:4])) == len(set(found[4:])) == 1
    assert found[0] != found[-1]


def test_the_largest_clusters_are_compared_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ssl_video.annotation.clusters._COMPARED", 10)
    some = pool(np.full((40, 2), 0.5), on_circle(*range(40)))
    assert sorted(choose("typiclust", some, 40, 0)) == list(range(40))


@pytest.mark.parametrize("rule", RULES)
def test_clips_like_a_chosen_one_come_last(rule: str) -> None:
    """Pairs (0, 1), (2, 3), ...: one of each pair is chosen before the second of any."""
    generator = np.random.default_rng(0)
    some = pool(generator.dirichlet(np.ones(3), 12), generator.normal(size=(12, 2)))
    pairs = choose(rule, some, 12, 0, lambda row: np.array([row, row ^ 1]))
    assert len({row // 2 for row in pairs[:6]}) == 6
    assert sorted(pairs) == list(range(12))
    # Clips that are like a labeled one are treated likewise.
    closed = choose(rule, some, 12, 0, closed=[3, 5])
    assert set(closed[-2:]) == {3, 5}


@pytest.mark.parametrize("rule", RULES)
def test_as_many_as_there_are(rule: str) -> None:
    generator = np.random.default_rng(1)
    some = pool(generator.dirichlet(np.ones(3), 5), generator.normal(size=(5, 2)))
    assert sorted(choose(rule, some, 20)) == list(range(5))
    assert choose(rule, pool(np.empty((0, 3)), np.empty((0, 2))), 20) == []


def test_an_unknown_rule() -> None:
    with pytest.raises(InputError, match="unknown rule 'badger'; did you mean badge"):
        choose("badger", pool([[0.5, 0.5]]), 1)
