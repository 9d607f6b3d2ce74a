"""Mean Teacher, UDA, FlexMatch, FreeMatch, SoftMatch and MixMatch against numbers worked out by hand.

Clips hold the logits that the network reads from them, so the probabilities below are what it predicts, and
the cross-entropy of a clip is -ln of the probability of its label. LN2 = ln 2.
"""

import math
from collections.abc import Callable

import pytest
import torch
from helpers.numbers import close
from torch import Tensor, nn

from ssl_video.algorithms.flexmatch import CurriculumThreshold, FlexMatch
from ssl_video.algorithms.freematch import AdaptiveThreshold, FreeMatch, fairness
from ssl_video.algorithms.meanteacher import MeanTeacher
from ssl_video.algorithms.mixmatch import MixMatch
from ssl_video.algorithms.softmatch import GaussianWeight, SoftMatch
from ssl_video.algorithms.uda import UDA
from ssl_video.contract import Algorithm, Batch, Pseudo, Task

LN2 = math.log(2)
TASK = Task(num_classes=3, num_unlabeled=8)
LABELS = torch.tensor([0, 1])
ANYWHERE = torch.arange(2)
Clips = Callable[..., Tensor]
Network = Callable[[], nn.Module]


def terms(algorithm: Algorithm, batch: Batch, progress: float = 0.5) -> dict[str, float]:
    return {name: term.item() for name, term in algorithm(batch, progress).terms.items()}


def logits(*probabilities: tuple[float, ...]) -> Tensor:
    return torch.tensor(probabilities).log()


def weights(select: Callable[..., Pseudo], positions: list[int], *probabilities: tuple[float, ...]) -> Tensor:
    """The weights that a rule gives to predictions on clips of these positions."""
    return select(logits(*probabilities), torch.tensor(positions)).weight


@pytest.fixture
def labeled(clips: Clips) -> dict[str, Tensor]:
    """Two clips whose labels 0 and 1 are predicted with 0.5 and 0.25: mean of LN2 and 2 LN2 = 1.5 LN2."""
    return {"weak": clips((0.5, 0.25, 0.25), (0.25, 0.25, 0.5))}


@pytest.mark.parametrize(("progress", "share"), [(0.0, 0.0), (0.1, 0.25), (0.4, 1.0), (0.9, 1.0)])
def test_meanteacher(
    readout: Network, labeled: dict[str, Tensor], clips: Clips, progress: float, share: float
) -> None:
    """Weight 6, ramp 0.4. The student is at 0.5, 0.3, 0.2 where the teacher is at 0.4, 0.2, 0.4.

    Squared differences 0.01, 0.01, 0.04, in the mean 0.02; the second clip agrees: 6 * (0.02 + 0) / 2 = 0.06.
    """
    unlabeled = {
        "teacher": clips((0.4, 0.2, 0.4), (0.1, 0.8, 0.1)),
        "student": clips((0.5, 0.3, 0.2), (0.1, 0.8, 0.1)),
    }
    algorithm = MeanTeacher(TASK, readout(), weight=6.0, ramp=0.4)
    batch = Batch(labeled, LABELS, unlabeled, ANYWHERE)
    expected = {"labeled": 1.5 * LN2, "unlabeled": share * 0.06}
    assert terms(algorithm, batch, progress) == close(expected)


def test_meanteacher_learns_from_the_average_and_not_from_itself(
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
    batch = Batch(labeled, LABELS, {"teacher": clip, "student": clip}, ANYWHERE[:1])
    assert terms(algorithm, batch)["unlabeled"] == close(1 / 72)
    pseudo = algorithm(batch, 0.5).pseudo["teacher"]
    assert pseudo.distribution is not None
    assert pseudo.distribution.flatten().tolist() == close([0.5, 0.25, 0.25])
    algorithm.after_step(0.5)
    assert terms(algorithm, batch)["unlabeled"] == close(0)


def test_meanteacher_asks_for_two_draws_of_one_augmentation() -> None:
    teacher, student = MeanTeacher.unlabeled["teacher"], MeanTeacher.unlabeled["student"]
    assert teacher.augmentation == student.augmentation == "weak"
    assert teacher.copy != student.copy


def test_uda(readout: Network, labeled: dict[str, Tensor], clips: Clips) -> None:
    """Two clips, threshold 0.65, temperature 0.5: probabilities are squared. Weight 2.

    weak (2/3, 1/3, 0) is used, squared 4 to 1: learned (0.8, 0.2, 0). Before the squares the bar is 0.65, so
    that (0.6, 0.3, 0.1), squared 0.78, is not used.
    strong (0.5, 0.25, 0.25): 0.8 LN2 + 0.2 * 2 LN2 = 1.2 LN2;  unlabeled = 2 * (1.2 LN2 + 0) / 2
    """
    unlabeled = {
        "weak": clips((2 / 3, 1 / 3, 1e-9), (0.6, 0.3, 0.1)),
        "strong": clips((0.5, 0.25, 0.25), (0.5, 0.25, 0.25)),
    }
    algorithm = UDA(TASK, readout(), threshold=0.65, temperature=0.5, weight=2.0)
    batch = Batch(labeled, LABELS, unlabeled, ANYWHERE)
    assert terms(algorithm, batch) == close({"labeled": 1.5 * LN2, "unlabeled": 1.2 * LN2})
    pseudo = algorithm(batch, 0.5).pseudo["model"]
    assert pseudo.label.tolist() == [0, 0]
    assert pseudo.weight.tolist() == [1, 0]


def test_uda_at_temperature_zero_has_hard_labels() -> None:
    algorithm = UDA(TASK, nn.Identity(), temperature=0.0)
    pseudo = algorithm.select(logits((0.2, 0.5, 0.3)), ANYWHERE[:1])
    assert pseudo.distribution.tolist() == [[0, 1, 0]]


def test_flexmatch_bars_follow_what_is_remembered() -> None:
    """Eight positions, threshold 0.9. At first all bars are 0 and everything is used.

    Then remembered: class 0 at two positions, class 1 at one, five unused. beta = 2/5, 1/5, 0 with the unused
    ones counted; beta / (2 - beta) = 1/4, 1/9, 0; bars 0.225, 0.1, 0.
    """
    select = CurriculumThreshold(TASK, 0.9, threshold_warmup=True)
    assert select.bars().tolist() == [0, 0, 0]
    first = [(0.92, 0.04, 0.04), (0.02, 0.95, 0.03), (0.91, 0.05, 0.04), (0.3, 0.3, 0.4)]
    assert weights(select, [5, 0, 7, 2], *first).tolist() == [1, 1, 1, 1]
    assert select.labels.tolist() == [1, -1, -1, -1, -1, 0, -1, 0]
    assert select.bars().tolist() == close([0.225, 0.1, 0])


def test_flexmatch_without_warmup_measures_by_the_best_class() -> None:
    """Class 0 at two positions and class 1 at one: beta = 1, 1/2, 0; bars 0.9, 0.9 / 3 = 0.3, 0."""
    select = CurriculumThreshold(TASK, 0.9, threshold_warmup=False)
    weights(select, [5, 0, 7], (0.92, 0.04, 0.04), (0.02, 0.95, 0.03), (0.91, 0.05, 0.04))
    assert select.bars().tolist() == close([0.9, 0.3, 0])
    found = weights(select, [1, 2, 3, 4], (0.8, 0.1, 0.1), (0.7, 0.2, 0.1), (0.5, 0.4, 0.1), (0.3, 0.4, 0.3))
    assert found.tolist() == [0, 0, 0, 1]


def test_flexmatch_decides_before_it_remembers() -> None:
    """The bar of class 0 would be 0.9 if this batch counted, and is 0."""
    select = CurriculumThreshold(TASK, 0.9, threshold_warmup=False)
    found = weights(select, [0, 1], (0.95, 0.03, 0.02), (0.6, 0.2, 0.2))
    assert found.tolist() == [1, 1]
    assert weights(select, [1], (0.6, 0.2, 0.2)).tolist() == [0]


def test_flexmatch_looks_at_the_whole_batch() -> None:
    """Two clips at once, both used. One after the other, the first raises the second one's bar to 0.9."""
    both = [(0.95, 0.03, 0.02), (0.6, 0.2, 0.2)]
    assert weights(CurriculumThreshold(TASK, 0.9, False), [0, 1], *both).tolist() == [1, 1]
    select = CurriculumThreshold(TASK, 0.9, False)
    assert [weights(select, [n], both[n]).item() for n in (0, 1)] == [1, 0]
    assert FlexMatch.whole_batch


def test_flexmatch_keeps_a_label_until_there_is_a_confident_other_one() -> None:
    """Of two confident labels for one position in one batch the higher class stays, in either order."""
    select = CurriculumThreshold(TASK, 0.9, threshold_warmup=True)
    sure, unsure, other = (0.95, 0.03, 0.02), (0.1, 0.8, 0.1), (0.02, 0.03, 0.95)
    weights(select, [3], sure)
    weights(select, [3], unsure)
    assert select.labels[3] == 0
    weights(select, [3], other)
    assert select.labels[3] == 2
    weights(select, [4, 4, 6, 6], sure, other, other, sure)
    assert select.labels[[4, 6]].tolist() == [2, 2]


def test_flexmatch_is_fixmatch_with_these_bars(
    readout: Network, labeled: dict[str, Tensor], clips: Clips
) -> None:
    """Both clips are used at first: -ln of 0.5 and 0.25, in the mean 1.5 LN2."""
    weak, strong = clips((0.8, 0.1, 0.1), (0.3, 0.4, 0.3)), clips((0.5, 0.4, 0.1), (0.5, 0.25, 0.25))
    batch = Batch(labeled, LABELS, {"weak": weak, "strong": strong}, ANYWHERE)
    assert terms(FlexMatch(TASK, readout()), batch) == close({"labeled": 1.5 * LN2, "unlabeled": 1.5 * LN2})


def test_freematch_bars_are_averages_with_this_batch() -> None:
    """Decay 0, so that averages are the batch's.

    Confidence (0.8 + 0.5 + 0.5) / 3 = 0.6. Mean prediction (0.5, 0.3, 0.2), so bars 0.6, 0.36, 0.24.
    Predicted classes 0, 0, 1: histogram 2/3, 1/3, 0.
    """
    select = AdaptiveThreshold(3, decay=0.0)
    batch = [(0.8, 0.1, 0.1), (0.5, 0.3, 0.2), (0.2, 0.5, 0.3)]
    assert weights(select, [0, 1, 2], *batch).tolist() == [1, 0, 1]
    assert select.confidence.value.item() == close(0.6)
    assert select.prediction.value.tolist() == close([0.5, 0.3, 0.2])
    assert select.histogram.value.tolist() == close([2 / 3, 1 / 3, 0])


def test_freematch_averages_start_from_no_opinion() -> None:
    select = AdaptiveThreshold(4, decay=0.999)
    assert select.confidence.value.item() == 0.25
    assert select.prediction.value.tolist() == select.histogram.value.tolist() == [0.25] * 4


def test_fairness() -> None:
    """Two of three clips are used, predicted as 0 and 1.

    Their sum (0.5 + 0.25, 0.25 + 0.5, 0.25 + 0.25) over the counts 1, 1, 0 is (0.75, 0.75, -), so 1/2, 1/2.
    Averages (0.6, 0.2, 0.2) over (0.6, 0.1, 0.3) are 1, 2, 2/3, that is (3, 6, 2) / 11.
    3/11 ln 1/2 + 6/11 ln 1/2 = -9/11 LN2; the class that nothing is predicted as does not count.
    """
    found = fairness(
        logits((0.5, 0.25, 0.25), (0.3, 0.1, 0.6), (0.25, 0.5, 0.25)),
        torch.tensor([1.0, 0.0, 1.0]),
        torch.tensor([0.6, 0.2, 0.2]),
        torch.tensor([0.6, 0.1, 0.3]),
    )
    assert found.item() == close(-9 / 11 * LN2)


def test_fairness_of_nothing_is_zero_with_a_zero_gradient() -> None:
    strong = logits((0.5, 0.25, 0.25), (0.1, 0.1, 0.8)).requires_grad_()
    found = fairness(strong, torch.zeros(2), torch.full((3,), 1 / 3), torch.tensor([1.0, 0.0, 0.0]))
    found.backward()
    assert found.item() == 0
    assert strong.grad is not None
    assert not strong.grad.any()


def test_freematch_learns_to_be_fair(readout: Network, labeled: dict[str, Tensor], clips: Clips) -> None:
    """Decay 0, two clips: confidence (0.8 + 0.7) / 2 = 0.75, predictions (0.5, 0.4, 0.1), bars 0.75 and 0.6.

    Both are used, as 0 and 1; strong clips give these 0.5 and 0.5: unlabeled = LN2
    fairness: strong sum (0.75, 0.75, 0.5), counts 1, 1, 0: 1/2, 1/2. Averages (0.5, 0.4) over (0.5, 0.5), the
    third over 0 and so left out: 1, 0.8, that is 5/9, 4/9. Together ln 1/2, times the weight 0.1.
    """
    weak, strong = clips((0.8, 0.1, 0.1), (0.2, 0.7, 0.1)), clips((0.5, 0.25, 0.25), (0.25, 0.5, 0.25))
    batch = Batch(labeled, LABELS, {"weak": weak, "strong": strong}, ANYWHERE)
    algorithm = FreeMatch(TASK, readout(), decay=0.0, fairness_weight=0.1)
    assert terms(algorithm, batch) == close(
        {"labeled": 1.5 * LN2, "unlabeled": LN2, "unlabeled/fairness": -0.1 * LN2}
    )


def test_softmatch_weights_fall_off_below_the_average() -> None:
    """Decay 0, sigmas 2, and predictions that are uniform in the mean, so that alignment changes nothing.

    Confidences 0.6, 0.6, 0.6, 0.8, 0.8, 0.8: mean 0.7, unbiased variance 6 * 0.01 / 5 = 0.012.
    0.1 below: exp(-(2 * 0.1)^2 / (2 * 0.012)) = exp(-5/3); from the mean on 1.
    """
    select = GaussianWeight(3, sigmas=2.0, decay=0.0)
    low = [(0.6, 0.2, 0.2), (0.2, 0.6, 0.2), (0.2, 0.2, 0.6)]
    high = [(0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8)]
    found = weights(select, list(range(6)), *low, *high)
    assert select.mean.value.item() == close(0.7)
    assert select.variance.value.item() == close(0.012)
    assert found.tolist() == pytest.approx([math.exp(-5 / 3)] * 3 + [1.0] * 3, rel=1e-4)


def test_softmatch_alignment_moves_weights_and_no_labels() -> None:
    """Decay 0, sigmas 1. Two classes, mean prediction (0.7, 0.3), mean confidence 0.7, variance 0.02.

    (0.8, 0.2) aligned: 8/7 to 2/3, that is 12/19 = 0.6316; 0.0684 below: exp(-0.00468 / 0.04) = 0.8895
    (0.6, 0.4) aligned: 6/7 to 4/3: 14/23 = 0.6087 of the OTHER class; the label stays 0; 0.0913: 0.8119
    """
    select = GaussianWeight(2, sigmas=1.0, decay=0.0)
    for _ in range(2):  # the second time the average is known beforehand
        pseudo = select(logits((0.8, 0.2), (0.6, 0.4)), ANYWHERE)
    assert pseudo.label.tolist() == [0, 0]
    assert pseudo.weight.tolist() == pytest.approx(
        [math.exp(-((0.7 - 12 / 19) ** 2) / 0.04), math.exp(-((0.7 - 14 / 23) ** 2) / 0.04)], rel=1e-4
    )
    assert pseudo.distribution is None


def test_softmatch_of_a_single_clip_is_finite() -> None:
    select = GaussianWeight(3, sigmas=2.0, decay=0.0)
    assert weights(select, [0], (0.5, 0.3, 0.2)).isfinite().all()
    assert select.variance.value.item() == 0


def test_softmatch_starts_from_the_papers_values(
    readout: Network, labeled: dict[str, Tensor], clips: Clips
) -> None:
    """And its loss is FixMatch's with these weights, which are 1 for sigmas 0."""
    algorithm = SoftMatch(TASK, readout(), sigmas=0.0)
    assert isinstance(algorithm.select, GaussianWeight)
    assert algorithm.select.mean.value.item() == close(1 / 3)
    assert algorithm.select.variance.value.item() == 1
    weak, strong = clips((0.8, 0.1, 0.1), (0.3, 0.4, 0.3)), clips((0.5, 0.4, 0.1), (0.5, 0.25, 0.25))
    batch = Batch(labeled, LABELS, {"weak": weak, "strong": strong}, ANYWHERE)
    assert terms(algorithm, batch) == close({"labeled": 1.5 * LN2, "unlabeled": 1.5 * LN2})


@pytest.fixture
def two_copies(labeled: dict[str, Tensor], clips: Clips) -> Batch:
    """One unlabeled video, whose two clips are predicted (0.5, 0.3, 0.2) and (0.3, 0.1, 0.6)."""
    copies = {"first": clips((0.5, 0.3, 0.2)), "second": clips((0.3, 0.1, 0.6))}
    return Batch(labeled, LABELS, copies, ANYWHERE[:1])


@pytest.mark.parametrize(("progress", "share"), [(0.0, 0.0), (0.1, 0.25), (0.9, 1.0)])
def test_mixmatch_without_mixing(readout: Network, two_copies: Batch, progress: float, share: float) -> None:
    """Both copies learn the mean prediction (0.4, 0.2, 0.4), squared for temperature 0.5: (4, 1, 4) / 9.

    The term is the mean of the squared differences over two clips and three classes, times the weight 10.
    """
    algorithm = MixMatch(TASK, readout(), concentration=0.0, weight=10.0)
    ours = (0.5 - 4 / 9) ** 2 + (0.3 - 1 / 9) ** 2 + (0.2 - 4 / 9) ** 2
    theirs = (0.3 - 4 / 9) ** 2 + (0.1 - 1 / 9) ** 2 + (0.6 - 4 / 9) ** 2
    expected = {"labeled": 1.5 * LN2, "unlabeled": share * 10 * (ours + theirs) / 6}
    assert terms(algorithm, two_copies, progress) == close(expected)
    pseudo = algorithm(two_copies, progress).pseudo["model"]
    assert pseudo.distribution is not None
    assert pseudo.distribution.flatten().tolist() == close([4 / 9, 1 / 9, 4 / 9])


def test_mixmatch_mixes_targets_as_it_mixes_clips(readout: Network) -> None:
    """One-hot clips and targets: a target holds what its clip holds, of which the clip itself is the most."""
    torch.manual_seed(0)
    algorithm = MixMatch(TASK, readout(), concentration=5.0)
    rows = torch.eye(3).repeat(20, 1)
    clips, targets = algorithm.mixed(rows[:, :, None, None, None].expand(-1, -1, 2, 4, 4), rows)
    assert torch.allclose(clips[:, :, 0, 0, 0], targets)
    assert torch.allclose(clips.amax((2, 3, 4)), targets)
    own = (targets * rows).sum(1)
    assert (own >= 0.5).all()
    assert len(own.unique()) > 10, "every clip has a share of its own"
    assert torch.allclose(targets.sum(1), torch.ones(60))


def test_mixmatch_guesses_without_gradient_and_learns_with_one(readout: Network, two_copies: Batch) -> None:
    network = readout()
    algorithm = MixMatch(TASK, network)
    whole = two_copies.labeled["weak"], *two_copies.unlabeled.values()
    assert not algorithm.guess(*whole).requires_grad
    algorithm(two_copies, 0.9).terms["unlabeled"].backward()
    scale = network.get_parameter("scale").grad
    assert scale is not None
    assert scale.any()


def test_mixmatch_averages_are_of_clips_as_they_were(two_copies: Batch) -> None:
    """Means over labeled, first and second clips, and one step of momentum 1: exactly theirs."""
    network = nn.Sequential(nn.BatchNorm3d(3, momentum=1.0), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    MixMatch(TASK, network, concentration=5.0)(two_copies, 0.9)
    whole = torch.cat([two_copies.labeled["weak"], *two_copies.unlabeled.values()])
    assert torch.allclose(network.get_buffer("0.running_mean"), whole.mean((0, 2, 3, 4)))
    assert network.get_buffer("0.num_batches_tracked") == 1
