"""UDA against numbers worked out by hand.

Clips hold the logits that the network reads from them, so the probabilities below are what it predicts, and
the cross-entropy of a clip is -ln of the probability of its label. LN2 = ln 2.
"""

import torch
from helpers.losses import LABELS, LN2, TASK, Clips, Network, logits, terms
from helpers.numbers import close
from torch import Tensor, nn

from ssl_video.algorithms.uda import UDA
from ssl_video.contract import Batch


def test_loss(readout: Network, labeled: dict[str, Tensor], clips: Clips) -> None:
    """Two clips, threshold 0.65, temperature 0.5: probabilities are squared. Weight 2.

    weak (2/3, 1/3, 0) is used, squared 4 to 1: learned (0.8, 0.2, 0). The threshold holds before the
    squares: (0.6, 0.3, 0.1), squared 0.78, is not used.
    strong (0.5, 0.25, 0.25): 0.8 LN2 + 0.2 * 2 LN2 = 1.2 LN2;  unlabeled = 2 * (1.2 LN2 + 0) / 2
    """
    unlabeled = {
        "weak": clips((2 / 3, 1 / 3, 1e-9), (0.6, 0.3, 0.1)),
        "strong": clips((0.5, 0.25, 0.25), (0.5, 0.25, 0.25)),
    }
    algorithm = UDA(TASK, readout(), threshold=0.65, temperature=0.5, weight=2.0)
    batch = Batch(labeled, LABELS, unlabeled, torch.arange(2))
    assert terms(algorithm, batch) == close({"labeled": 1.5 * LN2, "unlabeled": 1.2 * LN2})
    pseudo = algorithm(batch, 0.5).pseudo["model"]
    assert pseudo.label.tolist() == [0, 0]
    assert pseudo.weight.tolist() == [1, 0]


def test_at_temperature_zero_has_hard_labels() -> None:
    algorithm = UDA(TASK, nn.Identity(), temperature=0.0)
    pseudo = algorithm.select(logits((0.2, 0.5, 0.3)), torch.arange(1))
    assert pseudo.distribution.tolist() == [[0, 1, 0]]
