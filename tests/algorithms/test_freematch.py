"""FreeMatch against numbers worked out by hand.

Clips hold the logits that the network reads from them, so the probabilities below are what it predicts, and
the cross-entropy of a clip is -ln of the probability of its label. LN2 = ln 2.
"""

import torch
from helpers.losses import LABELS, LN2, TASK, Clips, Network, logits, terms, weights
from helpers.numbers import close
from torch import Tensor

from ssl_video.algorithms.freematch import AdaptiveThreshold, FreeMatch, fairness
from ssl_video.contract import Batch


def test_bars_are_averages_with_this_batch() -> None:
    """Decay 0, so that averages are the batch's.

    Confidence (0.8 + 0.5 + 0.5) / 3 = 0.6. Mean prediction (0.5, 0.3, 0.2), so thresholds 0.6, 0.36, 0.24.
    Predicted classes 0, 0, 1: histogram 2/3, 1/3, 0.
    """
    select = AdaptiveThreshold(3, decay=0.0)
    batch = [(0.8, 0.1, 0.1), (0.5, 0.3, 0.2), (0.2, 0.5, 0.3)]
    assert weights(select, [0, 1, 2], *batch).tolist() == [1, 0, 1]
    assert select.confidence.value.item() == close(0.6)
    assert select.prediction.value.tolist() == close([0.5, 0.3, 0.2])
    assert select.histogram.value.tolist() == close([2 / 3, 1 / 3, 0])


def test_averages_start_from_no_opinion() -> None:
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


def test_learns_to_be_fair(readout: Network, labeled: dict[str, Tensor], clips: Clips) -> None:
    """Decay 0, two clips: confidence (0.8 + 0.7) / 2 = 0.75, predictions (0.5, 0.4, 0.1).

    Thresholds 0.75 and 0.6.

    Both are used, as 0 and 1; strong clips give these 0.5 and 0.5: unlabeled = LN2
    fairness: strong sum (0.75, 0.75, 0.5), counts 1, 1, 0: 1/2, 1/2. Averages (0.5, 0.4) over (0.5, 0.5), the
    third over 0 and so left out: 1, 0.8, that is 5/9, 4/9. Together ln 1/2, times the weight 0.1.
    """
    weak, strong = clips((0.8, 0.1, 0.1), (0.2, 0.7, 0.1)), clips((0.5, 0.25, 0.25), (0.25, 0.5, 0.25))
    batch = Batch(labeled, LABELS, {"weak": weak, "strong": strong}, torch.arange(2))
    algorithm = FreeMatch(TASK, readout(), decay=0.0, fairness_weight=0.1)
    assert terms(algorithm, batch) == close(
        {"labeled": 1.5 * LN2, "unlabeled": LN2, "unlabeled/fairness": -0.1 * LN2}
    )
