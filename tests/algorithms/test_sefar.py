"""SeFAR against numbers worked out by hand; the fusion and the losses also agree with the authors' code.

Their network, with the same weights, gives the same logits to 3e-8, and their loss, with the same draws, is
the same to 1e-7, but for the distance of mixed clips, which is between probabilities here (2026-11).
"""

import math
from collections.abc import Callable

import pytest
import torch
from helpers.numbers import close
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.algorithms import sefar
from ssl_video.algorithms.sefar import SeFAR, certainty, dropping, rise
from ssl_video.contract import Batch, Task
from ssl_video.networks.fine_tuning import add_dropout

LN2 = math.log(2)
TASK = Task(num_classes=3, num_unlabeled=10)
PLAIN = {"channel_dropout": 0.0, "supervised_fraction": 0.0}
Clips = Callable[..., Tensor]
Network = Callable[[], nn.Module]


@pytest.fixture
def batch(clips: Clips) -> Batch:
    unlabeled = {
        "weak": clips((0.8, 0.1, 0.1), (0.25, 0.5, 0.25)),
        "strong": clips((0.5, 0.4, 0.1), (0.25, 0.25, 0.5)),
    }
    labeled = clips((0.5, 0.25, 0.25), (0.25, 0.25, 0.5))
    return Batch({"weak": labeled}, torch.tensor([0, 1]), unlabeled, torch.arange(2))


@pytest.fixture
def swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of two clips is mixed with the other."""
    monkeypatch.setattr(torch, "randperm", lambda count: torch.arange(count).flip(0))


def terms(algorithm: SeFAR, batch: Batch, progress: float = 1.0) -> dict[str, float]:
    return {name: term.item() for name, term in algorithm(batch, progress).terms.items()}


# 2 sigmoid(e^0.8 - e) and 2 sigmoid(e^0.5 - e): without dropout nothing varies.
SURE, UNSURE = (2 / (1 + math.exp(math.e - math.exp(p))) for p in (0.8, 0.5))


@pytest.mark.usefixtures("swapped")
def test_without_mixing(readout: Network, batch: Batch) -> None:
    """A fraction of 0, weight 2 and mix_weight 3: mixed clips are the strong ones, labels the teacher's.

    unlabeled = 2 * (sure * LN2 + unsure * 2 LN2) / 2
    mixed: (0.5, 0.4, 0.1) to (0.8, 0.1, 0.1): (0.09 + 0.09) / 3 = 0.06
           (0.25, 0.25, 0.5) to (0.25, 0.5, 0.25): 0.125 / 3;  3 * (0.06 sure + 0.125 / 3 unsure) / 2
    """
    made = SeFAR(TASK, readout(), weight=2.0, mix_weight=3.0, concentration=0.0, **PLAIN)
    expected = {
        "labeled": 1.5 * LN2,
        "unlabeled": (SURE + 2 * UNSURE) * LN2,
        "unlabeled/mixed": 1.5 * (0.06 * SURE + 0.125 / 3 * UNSURE),
    }
    assert terms(made, batch) == close(expected)
    pseudo = made(batch, 1.0).pseudo["teacher"]
    assert pseudo.label.tolist() == [0, 1]
    assert pseudo.weight.tolist() == close([SURE, UNSURE])


@pytest.mark.usefixtures("swapped")
def test_labels_and_weights_are_mixed_by_the_area(
    readout: Network, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of four patches are the other clip's; the first pixel is in one that is not, or in one that is.

    Clip 1: a quarter (0.8, 0.1, 0.1) and three quarters (0.25, 0.5, 0.25): (0.3875, 0.4, 0.2125).
    Clip 2: the other way round: (0.6625, 0.2, 0.1375).
    """
    first, second = torch.tensor([0.3875, 0.4, 0.2125]), torch.tensor([0.6625, 0.2, 0.1375])
    one, other = torch.tensor([0.5, 0.4, 0.1]), torch.tensor([0.25, 0.25, 0.5])
    weights = 0.25 * SURE + 0.75 * UNSURE, 0.75 * SURE + 0.25 * UNSURE
    for inside in (False, True):
        mask = torch.ones(1, 1, 1, 4, 4)
        mask[..., 2:, 2:] = 0 if inside else 1
        mask[..., :2, :2] = 1 if inside else 0
        monkeypatch.setattr(sefar, "patch_tube", lambda *_, mask=mask: mask)
        made = SeFAR(TASK, readout(), mix_weight=1.0, **PLAIN)
        shown = (other, one) if inside else (one, other)
        pairs = zip(shown, (first, second), weights, strict=True)
        expected = sum(w * (p - target).square().mean().item() for p, target, w in pairs) / 2
        assert terms(made, batch)["unlabeled/mixed"] == close(expected)


def test_certainty() -> None:
    """p = 0.5, s = 0.1: 2 sigmoid(1.64872 - 2.71828) = 0.51098, 2 (sigmoid(0.5) - 0.5) = 0.24492."""
    found = certainty(torch.tensor([1.0, 0.5, 1.0]), torch.tensor([0.0, 0.1, 0.05]))
    assert found.tolist() == pytest.approx([1.0, 0.51098 * 0.24492, 2 / (1 + math.exp(-1)) - 1], abs=1e-5)


def test_the_weight_rises_as_a_sine() -> None:
    assert [rise(p, 0.2) for p in (0.0, 0.19, 0.2, 0.6, 1.0)] == close([0, 0, 0, math.sqrt(0.5), 1])
    assert [rise(p, 0.0) for p in (0.0, 1 / 3, 1.0)] == close([0, 0.5, 1])
    assert rise(1.0, 1.0) == 0


class Random(nn.Module):
    """Logits that dropout alone determines."""

    def __init__(self) -> None:
        super().__init__()
        self.drop, self.norm, self.head = nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 3)

    def forward(self, clip: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(self.drop(torch.ones(len(clip), 8))))
        return logits


def test_labels_are_means_over_passes_with_dropout(batch: Batch) -> None:
    """The unbiased deviation of the label's probability over the passes; batch norm stays as it is."""
    torch.manual_seed(0)
    made = SeFAR(TASK, Random(), predictions=4, **PLAIN).train()
    torch.manual_seed(1)
    with torch.no_grad(), dropping(made.teacher.network):
        passes = torch.stack([made.teacher(batch.unlabeled["weak"]).softmax(-1) for _ in range(4)])
    torch.manual_seed(1)
    pseudo = made(batch, 1.0).pseudo["teacher"]
    confidence, label = passes.mean(0).max(-1)
    deviation = ((passes - passes.mean(0)).square().sum(0) / 3).sqrt()[range(2), label]
    assert deviation.min() > 0
    assert torch.equal(pseudo.label, label)
    torch.testing.assert_close(pseudo.weight, certainty(confidence, deviation))
    assert made.teacher.network.norm.num_batches_tracked == 0


@pytest.mark.parametrize("own", [True, False])
def test_dropping_is_for_dropout_alone_and_ends(own: bool) -> None:
    """Of a layer, or in front of the head, where the setting `dropout` puts it."""
    network: nn.Module = Random() if own else nn.Sequential(nn.Flatten(), nn.Linear(8, 3))
    if not own:
        add_dropout(network, 0.5, 3, "mine")
    network.eval()
    clip = torch.ones(1, 8)
    assert torch.equal(network(clip), network(clip))
    with dropping(network):
        assert len({tuple(network(clip)[0].tolist()) for _ in range(20)}) > 1
        assert not any(m.training for m in network.modules() if isinstance(m, nn.BatchNorm1d))
    assert not any(module.training for module in network.modules())


def test_colour_channels_of_strong_clips_are_dropped(readout: Network, batch: Batch) -> None:
    """Not those of the clips that are mixed in, nor those of the teacher."""
    seen = list[Tensor]()
    made = SeFAR(TASK, readout(), channel_dropout=0.9, supervised_fraction=0.0)
    made.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    torch.manual_seed(0)
    made(batch, 1.0)
    _, strong, _ = seen
    kept = strong.flatten(2).abs().sum(-1) > 0
    assert 0 < (~kept).sum() <= 6
    whole = batch.unlabeled["strong"] / 0.1
    assert torch.allclose(strong[kept], whole[kept])
    assert F.dropout3d(whole, 0.0).equal(whole)
