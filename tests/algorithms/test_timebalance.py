"""TimeBalance against numbers worked out by hand."""

import math

import pytest
import torch
from helpers.feature_reader import Reader, Three, show
from helpers.numbers import close
from torch import Tensor, nn

from ssl_video.algorithms.timebalance import TimeBalance
from ssl_video.contract import Batch, Task

E, LN2 = math.e, math.log(2)
TASK = Task(num_classes=3, num_unlabeled=10)
EAST, NORTH, UP = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def halves(*pairs: tuple[Three, Three]) -> Tensor:
    """Clips (N, 3, 4, 1, 1) whose halves have these features."""
    return torch.cat([show(*(pair[half] for pair in pairs)) for half in (0, 1)], 2)


def predicting(*probabilities: Three) -> Tensor:
    return show(*((math.log(a), math.log(b), math.log(c)) for a, b, c in probabilities))


@pytest.fixture
def batch() -> Batch:
    """Halves with the cosines 0.3 and -0.6, and 0.3 and 0.6, which stretched are 0.75 and 0, 0.75 and 1."""
    middle, low, high = (0.3, 0.91**0.5, 0.0), (-0.6, 0.8, 0.0), (3.0, 4.0, 0.0)
    return Batch(
        {
            "weak": predicting((0.5, 0.25, 0.25), (0.5, 0.25, 0.25)),
            "halves": halves((EAST, middle), (EAST, low)),
        },
        torch.tensor([0, 1]),
        {
            "weak": predicting((0.25, 0.5, 0.25), (0.25, 0.25, 0.5)),
            "halves": halves((EAST, middle), (EAST, high)),
            "halves/again": halves((EAST, EAST), (EAST, EAST)),
        },
        torch.arange(2),
    )


def make(teachers: str = "trained", **options: float) -> TimeBalance:
    """Student and invariant teacher read a clip as it is, the distinctive teacher swaps classes 0 and 1."""
    swapping = Reader(torch.eye(3)[[1, 0, 2]])
    return TimeBalance(TASK, Reader(), Reader(), swapping, teachers=teachers, **options)  # type: ignore[arg-type]


def terms(algorithm: TimeBalance, batch: Batch, progress: float = 0.5) -> dict[str, float]:
    return {name: term.item() for name, term in algorithm(batch, progress).terms.items()}


def test_the_stiller_the_clip_the_more_the_invariant_teacher_counts(batch: Batch) -> None:
    """Labeled clips: both teachers' (0.5, 0.25, 0.25) and (0.25, 0.5, 0.25).

    s = 0.75: (0.4375, 0.3125, 0.25), from the student's by (0.0625, 0.0625, 0): 0.0078125 / 3
    s = 0:    (0.25, 0.5, 0.25), from the student's by (0.25, 0.25, 0):          0.125 / 3
    labeled/teachers = 50 * 0.1328125 / 6

    Unlabeled clips: of the first the student predicts (0.25, 0.5, 0.25), the distinctive teacher
    (0.5, 0.25, 0.25): again 0.0078125 / 3. Of the second, (0.25, 0.25, 0.5), all say the same: 0.
    unlabeled/teachers = 100 * 0.0078125 / 6

    labeled: labels 0 and 1: (LN2 + 2 LN2) / 2, for the invariant teacher, too, and for the other as well.
    """
    found = terms(make(), batch)
    expected = {
        "labeled": 1.5 * LN2,
        "labeled/teachers": 50 * 0.1328125 / 6,
        "unlabeled/teachers": 100 * 0.0078125 / 6,
        "labeled/invariant": 1.5 * LN2,
        "labeled/distinctive": 1.5 * LN2,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-4)
    pseudo = make()(batch, 0.5).pseudo["teachers"]
    assert pseudo.label.tolist() == [1, 2]
    assert pseudo.distribution is not None
    assert pseudo.distribution.flatten().tolist() == close([0.3125, 0.4375, 0.25, 0.25, 0.25, 0.5])


STILL = [(0.1, 0.2, 0.3), (0.7, -0.1, 0.3), (1.0, 3.0, 7.0), (-0.3, 0.9, 0.1), (0.2, 0.2, 0.1), EAST]


def test_to_still_clips_the_invariant_teacher_alone_is_heard(batch: Batch) -> None:
    """Six clips of two equal halves: all cosines are 1, but for rounding errors, which are not stretched.

    From the unlabeled clips, invariant teacher and student read (0.25, 0.5, 0.25) and (0.25, 0.25, 0.5).
    """
    one, two, three, four, five, six = (halves((place, place)) for place in STILL)
    weak = batch.labeled["weak"]
    changed = batch._replace(
        labeled={"weak": weak.repeat(2, 1, 1, 1, 1), "halves": torch.cat([one, two, three, four])},
        labels=batch.labels.repeat(2),
        unlabeled={**batch.unlabeled, "halves": torch.cat([five, six])},
    )
    output = make()(changed, 0.5)
    distribution = output.pseudo["teachers"].distribution
    assert distribution is not None
    assert distribution.flatten().tolist() == close([0.25, 0.5, 0.25, 0.25, 0.25, 0.5])
    assert output.terms["labeled/teachers"].item() == pytest.approx(0, abs=1e-9)
    assert output.terms["unlabeled/teachers"].item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([(EAST, (3.0, 4.0, 0.0))], [0.6]),  # a single clip: its cosine
        ([(EAST, (-3.0, 4.0, 0.0))], [0.0]),
        ([(EAST, EAST)], [1.0]),
        # 3 / sqrt(25.008001): 0.59990; less than 0.001 apart
        ([(EAST, (3.0, 4.0, 0.0)), (EAST, (3.0, 4.001, 0.0))], [0.6, 0.5999]),
        ([(EAST, (3.0, 4.0, 0.0)), (EAST, (3.0, 4.1, 0.0))], [1.0, 0.0]),  # 0.6 and 0.59
        ([(EAST, EAST)] * 5 + [(EAST, NORTH)], [1.0, 1.0, 1.0, 1.0, 1.0, 0.0]),
    ],
)
def test_only_cosines_that_differ_are_stretched(
    pairs: list[tuple[Three, Three]], expected: list[float]
) -> None:
    found = make()._similarity(halves(*pairs)).flatten()
    assert found.tolist() == pytest.approx(expected, abs=1e-4)
    assert found.min() >= 0
    assert found.max() <= 1


def test_what_trained_teachers_contrast(batch: Batch) -> None:
    """Temperature 1, weight 2, heads that change nothing. Halves and halves again of two videos:

    east, up    | east, east
    north, up   | north, north

    invariant: first halves with second ones again, east-east and north-north: each -ln(e / (e + 2)).
    distinctive, within the first video: partners east-east with the negatives up and east, twice
    -ln(e / (2e + 1)); up-east with negatives east and east, -ln(1 / 3); back, east-up with east and east,
    -ln(1 / (2e + 1)); the second video is the same with north.
    """
    made = make(contrast_weight=2.0, temperature=1.0)
    made.heads = nn.ModuleDict({role: nn.Identity() for role in made.heads})
    unlabeled = {
        "weak": batch.unlabeled["weak"],
        "halves": halves((EAST, UP), (NORTH, UP)),
        "halves/again": halves((EAST, EAST), (NORTH, NORTH)),
    }
    found = terms(made, batch._replace(unlabeled=unlabeled))
    assert found["unlabeled/invariant"] == close(2 * (math.log(E + 2) - 1))
    expected = 2 * (3 * math.log(2 * E + 1) - 2 + math.log(3)) / 4
    assert found["unlabeled/distinctive"] == close(expected)


def test_trained_teachers_are_heard_little_at_first(batch: Batch) -> None:
    made, names = make(ramp=0.4), ("labeled/teachers", "unlabeled/teachers")
    early, late = terms(made, batch, 0.1), terms(made, batch, 0.9)
    assert [early[name] for name in names] == close([late[name] / 4 for name in names])
    assert early["labeled/invariant"] == late["labeled/invariant"] > 0


def test_the_student_does_not_change_its_trained_teachers(batch: Batch) -> None:
    made = make()
    output = made(batch, 0.9)
    (output.terms["labeled/teachers"] + output.terms["unlabeled/teachers"]).backward()
    assert made.model.get_parameter("last.weight").grad is not None
    for teacher in (made.invariant, made.distinctive):
        assert all(parameter.grad is None for parameter in teacher.parameters())


def test_frozen_teachers(batch: Batch) -> None:
    """They are not trained, stay in evaluation mode, and are heard from the beginning."""
    made = make("frozen").train()
    assert made.frozen == ("invariant", "distinctive")
    unlabeled = {view: batch.unlabeled[view] for view in made.unlabeled}
    assert list(unlabeled) == ["weak", "halves"]
    output = made(batch._replace(unlabeled=unlabeled), 0.0)
    assert {name: term.item() for name, term in output.terms.items()} == pytest.approx(
        {
            "labeled": 1.5 * LN2,
            "labeled/teachers": 50 * 0.1328125 / 6,
            "unlabeled/teachers": 100 * 0.0078125 / 6,
        },
        rel=1e-4,
    )
    output.loss.backward()
    assert {name for name, p in made.named_parameters() if p.requires_grad} == {"model.last.weight"}
    for role in made.frozen:
        assert not any(module.training for module in made.get_submodule(role).modules())
    assert made.model.training
    assert list(made.predictors()) == ["model", "invariant", "distinctive"]
    assert not make().frozen


def test_to_the_invariant_teacher_another_time_is_the_same_video(batch: Batch) -> None:
    """The first half's partner is the second half of the other augmentation, and not its first one."""

    def contrast(again: Tensor) -> float:
        unlabeled = {**batch.unlabeled, "halves/again": again}
        torch.manual_seed(0)  # of the heads
        return terms(make(), batch._replace(unlabeled=unlabeled))["unlabeled/invariant"]

    usual = contrast(halves((EAST, EAST), (EAST, EAST)))
    assert contrast(halves((NORTH, EAST), (EAST, EAST))) == close(usual)
    assert contrast(halves((EAST, NORTH), (EAST, EAST))) != close(usual)
