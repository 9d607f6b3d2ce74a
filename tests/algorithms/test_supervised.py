"""Supervised against numbers worked out by hand.

Clips hold the logits that the network reads from them, so the probabilities below are what it predicts, and
the cross-entropy of a clip is -ln of the probability of its label. LN2 = ln 2.
"""

import torch
from helpers.losses import LABELS, LN2, TASK, Network, terms
from helpers.numbers import close
from torch import Tensor

from ssl_video.algorithms.supervised import Supervised
from ssl_video.contract import Batch


def test_loss(readout: Network, labeled: dict[str, Tensor]) -> None:
    batch = Batch(labeled, LABELS, {}, torch.empty(0, dtype=torch.long))
    assert terms(Supervised(TASK, readout()), batch) == close({"labeled": 1.5 * LN2})
