"""CutMix against numbers worked out by hand."""

import math

import pytest
import torch
from helpers.numbers import close
from torch import Tensor, nn

from ssl_video.algorithms import cutmix
from ssl_video.algorithms.cutmix import CutMix
from ssl_video.contract import Batch, Task

TASK = Task(num_classes=3, num_unlabeled=10)
L = math.log(2)
Logits = tuple[float, float, float]


class Mean(nn.Module):
    """Logits are a clip's mean colours, (N, 3, T, H, W) -> (N, 3); what it is given is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.given: list[Tensor] = []

    def forward(self, clip: Tensor) -> Tensor:
        """The mean over frames and places."""
        self.given.append(clip)
        return clip.mean((2, 3, 4)) * self.scale


def coloured(*levels: Logits) -> Tensor:
    """Clips (N, 3, 2, 4, 4) of one colour each."""
    return torch.tensor(levels)[:, :, None, None, None].expand(-1, -1, 2, 4, 4).clone()


@pytest.fixture
def left_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every tube is the left column: a quarter of 4 x 4 pixels."""
    mask = torch.zeros(1, 1, 1, 4, 4)
    mask[..., 0] = 1
    monkeypatch.setattr(cutmix, "box_tube", lambda like, fraction: mask)


def make_batch(weak: list[Logits], strong: list[Logits]) -> Batch:
    unlabeled = {"weak": coloured(*weak), "strong": coloured(*strong)}
    return Batch({"weak": coloured((L, 0, 0))}, torch.tensor([0]), unlabeled, torch.arange(len(weak)))


@pytest.mark.usefixtures("left_column")
def test_each_part_counts_as_its_own_label_and_weight() -> None:
    """Threshold 0.75, weight 2. Weak clips: 0 with 8/10, used; 1 with 2/4, not used.

    Strong clips (4 L, 0, 0) and (0, 8 L, 0) with a quarter of each other: (3 L, 2 L, 0) and (L, 6 L, 0), that
    is 8/13, 4/13, 1/13 and 2/67, 64/67, 1/67.
    first clip: 3/4 of label 0: ln(13/8), and 1/4 of label 1, not used
    second clip: 3/4 of label 1, not used, and 1/4 of label 0: ln(67/2)
    2 * (3/4 ln(13/8) + 1/4 ln(67/2)) / 2
    """
    batch = make_batch([(3 * L, 0, 0), (0, L, 0)], [(4 * L, 0, 0), (0, 8 * L, 0)])
    output = CutMix(TASK, Mean(), threshold=0.75, weight=2.0)(batch, 0.5)
    assert {name: term.item() for name, term in output.terms.items()} == close(
        {"labeled": L, "unlabeled": 0.75 * math.log(13 / 8) + 0.25 * math.log(67 / 2)}
    )
    pseudo = output.pseudo["model"]
    assert (pseudo.label.tolist(), pseudo.weight.tolist()) == ([0, 1], [1, 0])


@pytest.mark.usefixtures("left_column")
def test_the_partner_stands_at_the_opposite_place_of_the_batch() -> None:
    """Of three clips of the levels 1, 2, 3, the first and the last swap a column; the middle one stays."""
    levels: list[Logits] = [(1.0, 1.0, 1.0), (2.0, 2.0, 2.0), (3.0, 3.0, 3.0)]
    model = Mean()
    CutMix(TASK, model)(make_batch(levels, levels), 0.5)
    mixed = model.given[-1]
    assert mixed[:, 0, 0, 2].tolist() == [[3, 1, 1, 1], [2, 2, 2, 2], [1, 3, 3, 3]]
    assert (mixed == mixed[:, :1, :1]).all(), "the same in all frames and colours"
    assert all((given == given[:, :, :1, :1, :1]).all() for given in model.given[:-1])


def test_without_mixing_it_is_fixmatch() -> None:
    """Concentration 0: the strong clip gives its label 8/10, so 2 * ln(10/8)."""
    batch = make_batch([(3 * L, 0, 0)] * 2, [(3 * L, 0, 0)] * 2)
    output = CutMix(TASK, Mean(), threshold=0.75, weight=2.0, concentration=0.0)(batch, 0.5)
    assert output.terms["unlabeled"].item() == close(2 * math.log(10 / 8))


def test_boxes_differ_from_step_to_step() -> None:
    torch.manual_seed(0)
    """Of 32 pixels: sides are even, so those of smaller frames have few values."""
    batch = make_batch([(3 * L, 0, 0), (0, 3 * L, 0)], [(4 * L, 0, 0), (0, 4 * L, 0)])
    large = {name: clip[..., :1, :1].expand(-1, -1, -1, 32, 32) for name, clip in batch.unlabeled.items()}
    algorithm = CutMix(TASK, Mean(), threshold=0.75)
    batch = batch._replace(unlabeled=large)
    assert len({algorithm(batch, 0.5).terms["unlabeled"].item() for _ in range(8)}) > 3
