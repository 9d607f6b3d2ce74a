"""Pseudo-label against numbers worked out by hand.

Clips hold the logits that the network reads from them, so the probabilities below are what it predicts, and
the cross-entropy of a clip is -ln of the probability of its label. LN2 = ln 2.
"""

import pytest
import torch
from helpers.losses import LABELS, LN2, TASK, Clips, Network, terms
from helpers.numbers import close
from torch import Tensor

from ssl_video.algorithms.pseudolabel import PseudoLabel
from ssl_video.contract import Batch


@pytest.mark.parametrize(
    ("progress", "ramp", "height"),
    [(0.0, 0.4, 0.0), (0.1, 0.4, 0.25), (0.4, 0.4, 1.0), (0.999, 0.4, 1.0), (0.0, 0.0, 1.0), (0.5, 1.0, 0.5)],
)
def test_and_its_ramp(
    readout: Network, labeled: dict[str, Tensor], clips: Clips, progress: float, ramp: float, height: float
) -> None:
    """Two unlabeled clips, threshold 0.5, weight 3, each predicts its own label.

    (0.5, 0.25, 0.25) -> 0, just used: LN2;   (0.4, 0.3, 0.3) -> not used
    unlabeled after the ramp = 3 * (LN2 + 0) / 2 = 1.5 LN2
    """
    unlabeled = {"weak": clips((0.5, 0.25, 0.25), (0.4, 0.3, 0.3))}
    batch = Batch(labeled, LABELS, unlabeled, torch.arange(2))
    # A hair below one half: the probability goes through a logarithm and back.
    algorithm = PseudoLabel(TASK, readout(), threshold=0.49999, weight=3.0, ramp=ramp)
    expected = {"labeled": 1.5 * LN2, "unlabeled": height * 1.5 * LN2}
    assert terms(algorithm, batch, progress) == close(expected)
