"""FlexMatch against numbers worked out by hand.

Clips hold the logits that the network reads from them, so the probabilities below are what it predicts, and
the cross-entropy of a clip is -ln of the probability of its label. LN2 = ln 2.
"""

import torch
from helpers.losses import LABELS, LN2, Clips, Network, terms, weights
from helpers.numbers import close
from torch import Tensor

from ssl_video.algorithms.flexmatch import CurriculumThreshold, FlexMatch
from ssl_video.contract import Batch, Task

TASK = Task(num_classes=3, num_unlabeled=8)


def test_bars_follow_what_is_remembered() -> None:
    """Eight indices, threshold 0.9. At first all thresholds are 0 and everything is used.

    Then remembered: class 0 at two indices, class 1 at one, five unused. beta = 2/5, 1/5, 0 with the unused
    ones counted; beta / (2 - beta) = 1/4, 1/9, 0; thresholds 0.225, 0.1, 0.
    """
    select = CurriculumThreshold(TASK, 0.9, threshold_warmup=True)
    assert select.thresholds().tolist() == [0, 0, 0]
    first = [(0.92, 0.04, 0.04), (0.02, 0.95, 0.03), (0.91, 0.05, 0.04), (0.3, 0.3, 0.4)]
    assert weights(select, [5, 0, 7, 2], *first).tolist() == [1, 1, 1, 1]
    assert select.labels.tolist() == [1, -1, -1, -1, -1, 0, -1, 0]
    assert select.thresholds().tolist() == close([0.225, 0.1, 0])


def test_without_warmup_measures_by_the_best_class() -> None:
    """Class 0 at two indices and class 1 at one: beta = 1, 1/2, 0; thresholds 0.9, 0.9 / 3 = 0.3, 0."""
    select = CurriculumThreshold(TASK, 0.9, threshold_warmup=False)
    weights(select, [5, 0, 7], (0.92, 0.04, 0.04), (0.02, 0.95, 0.03), (0.91, 0.05, 0.04))
    assert select.thresholds().tolist() == close([0.9, 0.3, 0])
    found = weights(select, [1, 2, 3, 4], (0.8, 0.1, 0.1), (0.7, 0.2, 0.1), (0.5, 0.4, 0.1), (0.3, 0.4, 0.3))
    assert found.tolist() == [0, 0, 0, 1]


def test_decides_before_it_remembers() -> None:
    """The threshold of class 0 would be 0.9 if this batch counted, and is 0."""
    select = CurriculumThreshold(TASK, 0.9, threshold_warmup=False)
    found = weights(select, [0, 1], (0.95, 0.03, 0.02), (0.6, 0.2, 0.2))
    assert found.tolist() == [1, 1]
    assert weights(select, [1], (0.6, 0.2, 0.2)).tolist() == [0]


def test_looks_at_the_whole_batch() -> None:
    """Two clips at once, both used. One after the other, the first raises the threshold to 0.9."""
    both = [(0.95, 0.03, 0.02), (0.6, 0.2, 0.2)]
    assert weights(CurriculumThreshold(TASK, 0.9, False), [0, 1], *both).tolist() == [1, 1]
    select = CurriculumThreshold(TASK, 0.9, False)
    assert [weights(select, [n], both[n]).item() for n in (0, 1)] == [1, 0]
    assert FlexMatch.whole_batch


def test_keeps_a_label_until_there_is_a_confident_other_one() -> None:
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


def test_is_fixmatch_with_these_bars(readout: Network, labeled: dict[str, Tensor], clips: Clips) -> None:
    """Both clips are used at first: -ln of 0.5 and 0.25, in the mean 1.5 LN2."""
    weak, strong = clips((0.8, 0.1, 0.1), (0.3, 0.4, 0.3)), clips((0.5, 0.4, 0.1), (0.5, 0.25, 0.25))
    batch = Batch(labeled, LABELS, {"weak": weak, "strong": strong}, torch.arange(2))
    assert terms(FlexMatch(TASK, readout()), batch) == close({"labeled": 1.5 * LN2, "unlabeled": 1.5 * LN2})
