"""FixMatch against numbers worked out by hand.

Clips hold the logits that the network reads from them, so the probabilities below are what it predicts, and
the cross-entropy of a clip is -ln of the probability of its label. LN2 = ln 2.
"""

import torch
from helpers.losses import LABELS, LN2, TASK, Clips, Network, terms
from helpers.numbers import close
from torch import Tensor

from ssl_video.algorithms.fixmatch import FixMatch
from ssl_video.contract import Batch


def test_loss(readout: Network, labeled: dict[str, Tensor], clips: Clips) -> None:
    """Three unlabeled clips, threshold 0.75, weight 2.

    weak (0.8, 0.1, 0.1) -> 0, used;      strong gives 0 the probability 0.5:   LN2
    weak (0.6, 0.2, 0.2) -> not used
    weak (0.05, 0.05, 0.9) -> 2, used;    strong gives 2 the probability 0.25:  2 LN2
    unlabeled = 2 * (LN2 + 0 + 2 LN2) / 3 = 2 LN2
    """
    unlabeled = {
        "weak": clips((0.8, 0.1, 0.1), (0.6, 0.2, 0.2), (0.05, 0.05, 0.9)),
        "strong": clips((0.5, 0.4, 0.1), (0.1, 0.1, 0.8), (0.25, 0.5, 0.25)),
    }
    batch = Batch(labeled, LABELS, unlabeled, torch.arange(3))
    algorithm = FixMatch(TASK, readout(), threshold=0.75, weight=2.0)
    assert terms(algorithm, batch) == close({"labeled": 1.5 * LN2, "unlabeled": 2 * LN2})
    pseudo = algorithm(batch, 0.5).pseudo["model"]
    assert pseudo.label.tolist() == [0, 0, 2]
    assert pseudo.weight.tolist() == [1, 0, 1]
