"""Three clips, x of class a, y and z of class b; four steps of two clips each.

step      0        1        2        3
clip      x   y    z   x    y   z    x   y
truth     a   b    b   a    b   b    a   b
primary   a  (a)   a  a/2   b   a   (b)  b      (a): not used; a/2: used with half a weight
auxiliary         a   a     a   b    a  (b)     none in the first step
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ssl_video.benchmarks.analysis import audit
from ssl_video.benchmarks.analysis.audit import RIGHT, UNUSED, WRONG, Mistake
from ssl_video.contract import Pseudo
from ssl_video.runs.pseudo_labels import PseudoLabels
from ssl_video.training.pseudo_label_log import pseudo_label_metrics as audit_of_a_step

nan = float("nan")
MADE = PseudoLabels(
    clips=np.array(["x", "y", "z"]),
    classes=np.array(["a", "b"]),
    truths=np.array([0, 1, 1]),
    steps=np.array([0, 0, 1, 1, 2, 2, 3, 3]),
    indices=np.array([0, 1, 2, 0, 1, 2, 0, 1]),
    labels={
        "primary": np.array([0, 0, 0, 0, 1, 0, 1, 1]),
        "auxiliary": np.array([-1, -1, 0, 0, 0, 1, 0, 1]),
    },
    weights={
        "primary": np.array([1, 0, 1, 0.5, 1, 1, 0, 1], np.float32),
        "auxiliary": np.array([0, 0, 1, 1, 1, 1, 1, 0], np.float32),
    },
)


def same(found: np.ndarray, expected: list[object]) -> None:
    np.testing.assert_allclose(found, np.array(expected, np.float64), rtol=1e-12)


def test_over_time_by_hand() -> None:
    """Steps 0, 1: three of four labels are used, weights 1, 1, 0.5, the second one is wrong. All say a, half
    of the clips are of it, so half of the labels are too many.

    Steps 2, 3: three of four are used, the second one is wrong. A third says a, a quarter of the clips are.
    """
    found = audit.over_time(MADE, 2)["primary"]
    same(found.starts, [0, 2])
    same(found.seen, [4, 4])
    same(found.coverage, [3 / 4, 3 / 4])
    same(found.precision, [1.5 / 2.5, 2 / 3])
    same(found.misled, [1 / 4, 1 / 4])
    same(found.imbalance, [1 / 2, 1 / 12])


def test_a_label_that_was_not_given_counts_nowhere() -> None:
    """The auxiliary gave two labels in steps 0 and 1, used both, and one of them is right."""
    found = audit.over_time(MADE, 2)["auxiliary"]
    same(found.seen, [2, 4])
    same(found.coverage, [1, 3 / 4])
    same(found.precision, [1 / 2, 2 / 3])


def test_by_class_by_hand() -> None:
    """Steps 0, 1: the labels of x are right with weights 1, 0.5; that of z, with weight 1, says a, too.

    Steps 2, 3: x was labeled once, not used; of y, z, y two of three are right; z was taken for a.
    """
    found = audit.by_class(MADE, 2)["primary"]
    same(found.seen, [[2, 2], [1, 3]])
    same(found.coverage, [[1, 1 / 2], [0, 1]])
    same(found.recall, [[1, 0], [nan, 2 / 3]])
    same(found.precision, [[1.5 / 2.5, nan], [0, 1]])
    same(found.label_fraction, [[1, 0], [1 / 3, 2 / 3]])
    same(found.clip_fraction, [[1 / 2, 1 / 2], [1 / 4, 3 / 4]])


def test_every_step_alone_is_what_training_records() -> None:
    """Random labels and weights, against the audit that training makes of each batch."""
    generator = np.random.default_rng(0)
    steps, batch, classes = 12, 5, 4
    weights = np.where(generator.random(60) < 0.4, 0, generator.random(60)).astype(np.float32)
    made = replace(
        MADE,
        clips=np.array([f"{n}" for n in range(9)]),
        classes=np.arange(classes).astype(str),
        truths=generator.integers(0, classes, 9),
        steps=np.repeat(np.arange(steps), batch),
        indices=generator.integers(0, 9, steps * batch),
        labels={"model": generator.integers(0, classes, steps * batch)},
        weights={"model": weights},
    )
    found = audit.over_time(made, steps)["model"]
    for step in range(steps):
        own = slice(step * batch, (step + 1) * batch)
        pseudo = Pseudo(torch.from_numpy(made.labels["model"][own]), torch.from_numpy(weights[own]))
        recorded = audit_of_a_step({"model": pseudo}, torch.from_numpy(made.truths[made.indices[own]]))
        for name in ("coverage", "precision"):
            above, below = recorded[f"{name}/model"]
            assert getattr(found, name)[step] == pytest.approx(float(above / below))


def test_windows_are_of_equal_length() -> None:
    """Ten steps in three: 0 to 3, 4 to 6, 7 to 9. Two steps in four: the second and the last are empty."""
    ten = replace(
        MADE,
        steps=np.arange(10),
        indices=np.zeros(10, int),
        labels={"model": np.zeros(10, int)},
        weights={"model": np.ones(10)},
    )
    found = audit.over_time(ten, 3)["model"]
    same(found.starts, [0, 4, 7])
    same(found.seen, [4, 3, 3])
    two = replace(
        ten,
        steps=np.arange(2),
        indices=np.zeros(2, int),
        labels={"model": np.zeros(2, int)},
        weights={"model": np.ones(2)},
    )
    same(audit.over_time(two, 4)["model"].coverage, [1, nan, 1, nan])
    same(audit.over_time(two, 4)["model"].imbalance, [0, nan, 0, nan])


def test_agreement_by_hand() -> None:
    found = audit.agreement(MADE, "primary", "auxiliary")
    expected = np.zeros((3, 3))
    expected[RIGHT, UNUSED] = 2  # x at step 0, y at step 3
    expected[UNUSED, UNUSED] = 1  # y at step 0
    expected[WRONG, WRONG] = 1  # z at step 1, by both a
    expected[RIGHT, RIGHT] = 1  # x at step 1
    expected[RIGHT, WRONG] = 1  # y at step 2
    expected[WRONG, RIGHT] = 1  # z at step 2
    expected[UNUSED, RIGHT] = 1  # x at step 3
    same(found.counts, [expected])
    same(found.same_wrong, [1])
    # Used or not, the auxiliary has y at step 3 right, too; what was not given is not right.
    same(found.right, [[[2, 2], [2, 2]]])
    assert audit.agreement(MADE, "primary", "auxiliary", 4).counts.sum((1, 2)).tolist() == [2, 2, 2, 2]


def test_two_wrong_labels_need_not_be_the_same() -> None:
    three = replace(MADE, classes=np.array(["a", "b", "c"]), truths=np.array([2, 2, 2]))
    found = audit.agreement(three, "primary", "auxiliary")
    # Steps 1, 1, 2, 2 with both used: a a, a a, b a, a b.
    assert (int(found.counts[0, WRONG, WRONG]), int(found.same_wrong[0])) == (4, 2)


def test_mistakes_are_ordered_by_how_often_they_are_used() -> None:
    assert audit.mistakes(MADE, "primary") == [Mistake("z", "b", "a", wrong=2, seen=2)]
    assert audit.mistakes(MADE, "auxiliary") == [Mistake("y", "b", "a", 1, 2), Mistake("z", "b", "a", 1, 2)]
    assert len(audit.mistakes(MADE, "auxiliary", 1)) == 1


def test_a_mistake_names_the_label_given_most_often() -> None:
    """x, of class a, was labeled b, c, c and, not used, b, b."""
    made = replace(
        MADE,
        classes=np.array(["a", "b", "c"]),
        steps=np.arange(5),
        indices=np.zeros(5, int),
        labels={"model": np.array([1, 2, 2, 1, 1])},
        weights={"model": np.array([1.0, 1, 1, 0, 0])},
    )
    assert audit.mistakes(made, "model") == [Mistake("x", "a", "c", 3, 5)]


def test_runs_with_other_clips_are_pooled_by_name() -> None:
    """The second run has z and a clip w that the first one has labeled, in another order."""
    other = replace(
        MADE,
        clips=np.array(["z", "w"]),
        truths=np.array([1, 0]),
        steps=np.array([0, 3]),
        indices=np.array([0, 1]),
        labels={"primary": np.array([0, 1]), "auxiliary": np.array([1, 0])},
        weights={"primary": np.ones(2), "auxiliary": np.ones(2)},
    )
    pool = audit.pooled([MADE, other])
    assert audit.mistakes(pool, "primary") == [Mistake("z", "b", "a", 3, 3), Mistake("w", "a", "b", 1, 1)]
    found = audit.over_time(pool, 2)["primary"]
    same(found.seen, [5, 5])
    same(found.precision, [1.5 / 3.5, 2 / 4])
    alone = audit.pooled([MADE])
    same(audit.by_class(alone, 2)["primary"].recall, audit.by_class(MADE, 2)["primary"].recall.tolist())


def test_confusion_by_hand() -> None:
    """Used by the primary: x as a twice; y as b twice; z as a twice."""
    assert audit.confusion(MADE, "primary").tolist() == [[2, 0], [2, 2]]
