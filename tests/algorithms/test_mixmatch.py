"""MixMatch against numbers worked out by hand.

Clips hold the logits that the network reads from them, so the probabilities below are what it predicts, and
the cross-entropy of a clip is -ln of the probability of its label. LN2 = ln 2.
"""

import pytest
import torch
from helpers.losses import LABELS, LN2, TASK, Clips, Network, terms
from helpers.numbers import close
from torch import Tensor, nn

from ssl_video.algorithms.mixmatch import MixMatch
from ssl_video.contract import Batch


@pytest.fixture
def two_copies(labeled: dict[str, Tensor], clips: Clips) -> Batch:
    """One unlabeled video, whose two clips are predicted (0.5, 0.3, 0.2) and (0.3, 0.1, 0.6)."""
    copies = {"first": clips((0.5, 0.3, 0.2)), "second": clips((0.3, 0.1, 0.6))}
    return Batch(labeled, LABELS, copies, torch.arange(1))


@pytest.mark.parametrize(("progress", "height"), [(0.0, 0.0), (0.1, 0.25), (0.9, 1.0)])
def test_without_mixing(readout: Network, two_copies: Batch, progress: float, height: float) -> None:
    """Both copies learn the mean prediction (0.4, 0.2, 0.4), squared for temperature 0.5: (4, 1, 4) / 9.

    The term is the mean of the squared differences over two clips and three classes, times the weight 10.
    """
    algorithm = MixMatch(TASK, readout(), concentration=0.0, weight=10.0)
    ours = (0.5 - 4 / 9) ** 2 + (0.3 - 1 / 9) ** 2 + (0.2 - 4 / 9) ** 2
    theirs = (0.3 - 4 / 9) ** 2 + (0.1 - 1 / 9) ** 2 + (0.6 - 4 / 9) ** 2
    expected = {"labeled": 1.5 * LN2, "unlabeled": height * 10 * (ours + theirs) / 6}
    assert terms(algorithm, two_copies, progress) == close(expected)
    pseudo = algorithm(two_copies, progress).pseudo["model"]
    assert pseudo.distribution is not None
    assert pseudo.distribution.flatten().tolist() == close([4 / 9, 1 / 9, 4 / 9])


def test_mixes_targets_as_it_mixes_clips(readout: Network) -> None:
    """One-hot clips and targets: a target holds what its clip holds, of which the clip itself is the most."""
    torch.manual_seed(0)
    algorithm = MixMatch(TASK, readout(), concentration=5.0)
    rows = torch.eye(3).repeat(20, 1)
    clips, targets = algorithm.mixed(rows[:, :, None, None, None].expand(-1, -1, 2, 4, 4), rows)
    assert torch.allclose(clips[:, :, 0, 0, 0], targets)
    assert torch.allclose(clips.amax((2, 3, 4)), targets)
    own = (targets * rows).sum(1)
    assert (own >= 0.5).all()
    assert len(own.unique()) > 10, "every clip has a height of its own"
    assert torch.allclose(targets.sum(1), torch.ones(60))


def test_guesses_without_gradient_and_learns_with_one(readout: Network, two_copies: Batch) -> None:
    network = readout()
    algorithm = MixMatch(TASK, network)
    whole = two_copies.labeled["weak"], *two_copies.unlabeled.values()
    assert not algorithm.guess(*whole).requires_grad
    algorithm(two_copies, 0.9).terms["unlabeled"].backward()
    scale = network.get_parameter("scale").grad
    assert scale is not None
    assert scale.any()


def test_averages_are_of_clips_as_they_were(two_copies: Batch) -> None:
    """Means over labeled, first and second clips, and one step of momentum 1: exactly theirs."""
    network = nn.Sequential(nn.BatchNorm3d(3, momentum=1.0), nn.AdaptiveAvgPool3d(1), nn.Flatten())
    MixMatch(TASK, network, concentration=5.0)(two_copies, 0.9)
    whole = torch.cat([two_copies.labeled["weak"], *two_copies.unlabeled.values()])
    assert torch.allclose(network.get_buffer("0.running_mean"), whole.mean((0, 2, 3, 4)))
    assert network.get_buffer("0.num_batches_tracked") == 1
