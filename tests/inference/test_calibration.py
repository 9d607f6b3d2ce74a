import math

import numpy as np
import pytest
from helpers.numbers import close

from ssl_video.inference import calibration
from ssl_video.inference.calibration import Bin, Calibration, bins, losses, temperature


def toy(scale: float, right: int, wrong: int) -> tuple[np.ndarray, np.ndarray]:
    """Clips of one view and two classes: logits (scale, 0) for all, of which some are of the first class."""
    labels = np.array([0] * right + [1] * wrong)
    # Mixed, so that every fold has some of both.
    order = np.random.default_rng(0).permutation(len(labels))
    return np.tile(np.float32([scale, 0]), (len(labels), 1, 1)), labels[order]


@pytest.mark.parametrize(("scale", "right"), [(4.0, 30), (0.5, 36)])
def test_a_temperature_in_closed_form(scale: float, right: int) -> None:
    """The likelihood is greatest where the first class has its fraction p: sigmoid(scale / T) = p."""
    fraction = right / 40
    expected = scale / math.log(fraction / (1 - fraction))
    assert temperature(*toy(scale, right, 40 - right)) == close(expected)


def test_likelihoods_are_those_of_mean_probabilities() -> None:
    """Two views at T = 2: logits (2 ln 3, 0) and (0, 0) give the first class 3/4 and 1/2, on average 5/8."""
    logits = np.array([[[2 * math.log(3), 0.0], [0.0, 0.0]]])
    assert losses(logits, np.array([0]), 2.0) == close([-math.log(5 / 8)])
    assert losses(logits, np.array([1]), 2.0) == close([-math.log(3 / 8)])
    assert np.isfinite(losses(np.array([[[9e4, 0.0]]]), np.array([1]), 0.05)).all()


def test_no_temperature_where_it_would_mean_nothing() -> None:
    logits, labels = toy(4.0, 5, 5)
    assert temperature(logits, labels) is not None
    assert temperature(logits[:9], labels[:9]) is None, "9 clips"
    assert temperature(*toy(4.0, 40, 0)) is None, "all right: every temperature is better than a greater one"
    exact = math.log(3.0)
    assert temperature(*toy(exact, 30, 10)) is None, "the probability is 3/4, as the fraction of right ones"


def test_sentences() -> None:
    found = {
        clips: Calibration(clips, {"a": 1.7342} if clips >= 12 else {}).note("a")
        for clips in (0, 1, 9, 12, 50)
    }
    assert found == {
        0: "not calibrated: the run has no validation clips (--validation 0.2, or --folds 5)",
        1: "not calibrated: the run has 1 validation clip, a temperature needs 10",
        9: "not calibrated: the run has 9 validation clips, a temperature needs 10",
        12: "calibrated with temperature 1.73 on 12 validation clips, so only roughly",
        50: "calibrated with temperature 1.73 on 50 validation clips",
    }
    assert Calibration(40).note("a") == (
        "not calibrated: no temperature describes the 40 validation clips better than the network itself"
    )


def test_the_expected_calibration_error_by_hand() -> None:
    """Bins of a fifteenth: 0.9 and 0.92 in (13/15, 14/15], 0.6 in (8/15, 9/15], 0.3 in (4/15, 5/15].

    (2 |1/2 - 0.91| + |1 - 0.6| + |0 - 0.3|) / 4 = (0.82 + 0.4 + 0.3) / 4 = 0.38
    """
    found = bins(np.array([0.9, 0.92, 0.6, 0.3]), np.array([True, False, True, False]))
    assert [one[2:] for one in found] == [(1, 0.3, 0.0), (1, 0.6, 1.0), (2, close(0.91), 0.5)]
    assert [one[:2] for one in found] == [
        (close(4 / 15), close(5 / 15)),
        (close(8 / 15), close(9 / 15)),
        (close(13 / 15), close(14 / 15)),
    ]
    assert calibration.error(found) == close(0.38)
    assert bins(np.array([1.0, 0.0]), np.array([True, False])) == [
        Bin(0.0, close(1 / 15), 1, 0.0, 0.0),
        Bin(close(14 / 15), 1.0, 1, 1.0, 1.0),
    ]
