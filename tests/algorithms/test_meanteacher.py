"""Mean Teacher against numbers worked out by hand.

Clips hold the logits that the network reads from them, so the probabilities below are what it predicts, and
the cross-entropy of a clip is -ln of the probability of its label. LN2 = ln 2.
"""

import pytest
import torch
from helpers.losses import LABELS, LN2, TASK, Clips, Network, terms
from helpers.numbers import close
from torch import Tensor

from ssl_video.algorithms.meanteacher import MeanTeacher
from ssl_video.contract import Batch


@pytest.mark.parametrize(("progress", "height"), [(0.0, 0.0), (0.1, 0.25), (0.4, 1.0), (0.9, 1.0)])
def test_loss(
    readout: Network, labeled: dict[str, Tensor], clips: Clips, progress: float, height: float
) -> None:
    """Weight 6, ramp 0.4. The student is at 0.5, 0.3, 0.2 where the teacher is at 0.4, 0.2, 0.4.

    Squared differences 0.01, 0.01, 0.04, in the mean 0.02; the second clip agrees: 6 * (0.02 + 0) / 2 = 0.06.
    """
    unlabeled = {
        "teacher": clips((0.4, 0.2, 0.4), (0.1, 0.8, 0.1)),
        "student": clips((0.5, 0.3, 0.2), (0.1, 0.8, 0.1)),
    }
    algorithm = MeanTeacher(TASK, readout(), weight=6.0, ramp=0.4)
    batch = Batch(labeled, LABELS, unlabeled, torch.arange(2))
    expected = {"labeled": 1.5 * LN2, "unlabeled": height * 0.06}
    assert terms(algorithm, batch, progress) == close(expected)


def test_learns_from_the_average_and_not_from_itself(
    readout: Network, labeled: dict[str, Tensor], clips: Clips
) -> None:
    """After the student's scale went from 1 to 0, only the teacher still tells the classes apart.

    Student: 1/3 each. Teacher, before it is moved: 0.5, 0.25, 0.25. Squared differences (1/6)^2 and twice
    (1/12)^2: (4 + 1 + 1) / 144 / 3 = 1/72. Once moved with decay 0, it is the student: 0.
    """
    clip = clips((0.5, 0.25, 0.25))
    algorithm = MeanTeacher(TASK, readout(), decay=0.0, weight=1.0)
    with torch.no_grad():
        algorithm.model.get_parameter("scale").zero_()
    batch = Batch(labeled, LABELS, {"teacher": clip, "student": clip}, torch.arange(1))
    assert terms(algorithm, batch)["unlabeled"] == close(1 / 72)
    pseudo = algorithm(batch, 0.5).pseudo["teacher"]
    assert pseudo.distribution is not None
    assert pseudo.distribution.flatten().tolist() == close([0.5, 0.25, 0.25])
    algorithm.after_step(0.5)
    assert terms(algorithm, batch)["unlabeled"] == close(0)


def test_asks_for_two_draws_of_one_augmentation() -> None:
    teacher, student = MeanTeacher.unlabeled["teacher"], MeanTeacher.unlabeled["student"]
    assert teacher.augmentation == student.augmentation == "weak"
    assert teacher.copy != student.copy
