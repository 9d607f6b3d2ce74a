"""SVFormer against numbers worked out by hand; how clips hold predictions is said in `test_losses`."""

import math
from collections.abc import Callable

import pytest
import torch
from helpers.numbers import close
from torch import Tensor, nn

from ssl_video.algorithms import svformer
from ssl_video.algorithms.parts.mixing import mix, patch_tube
from ssl_video.algorithms.svformer import SVFormer
from ssl_video.contract import Batch, Task
from ssl_video.errors import InputError
from ssl_video.spec import check_options

LN2 = math.log(2)
TASK = Task(num_classes=3, num_unlabeled=10)
Clips = Callable[..., Tensor]
Network = Callable[[], nn.Module]


@pytest.fixture
def batch(clips: Clips) -> Batch:
    """With threshold 0.75 the first unlabeled clip has the label 0, and the second none."""
    unlabeled = {
        "weak": clips((0.8, 0.1, 0.1), (0.5, 0.25, 0.25)),
        "strong": clips((0.5, 0.4, 0.1), (0.1, 0.1, 0.8)),
        "warped": clips((0.25, 0.5, 0.25), (0.2, 0.2, 0.6)),
    }
    labeled = clips((0.5, 0.25, 0.25), (0.25, 0.25, 0.5))
    return Batch({"weak": labeled}, torch.tensor([0, 1]), unlabeled, torch.arange(2))


def terms(algorithm: SVFormer, batch: Batch, progress: float = 0.5) -> dict[str, float]:
    return {name: term.item() for name, term in algorithm(batch, progress).terms.items()}


@pytest.fixture
def swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of two clips is mixed with the other."""
    monkeypatch.setattr(torch, "randperm", lambda count: torch.arange(count).flip(0))


@pytest.mark.usefixtures("swapped")
def test_without_mixing(readout: Network, batch: Batch) -> None:
    """Weight 2, mix_weight 3, and a fraction of 0: mixed clips are the strong ones.

    labeled = (LN2 + 2 LN2) / 2 = 1.5 LN2;  unlabeled = 2 * (LN2 + 0) / 2 = LN2
    mixed: (0.5, 0.4, 0.1) to the certain (1, 0, 0): (0.25 + 0.16 + 0.01) / 3 = 0.14, with weight 1;
           the second has weight 0; 3 * (0.14 + 0) / 2 = 0.21
    """
    made = SVFormer(TASK, readout(), threshold=0.75, weight=2.0, mix_weight=3.0, concentration=0.0)
    assert terms(made, batch) == close({"labeled": 1.5 * LN2, "unlabeled": LN2, "unlabeled/mixed": 0.21})
    pseudo = made(batch, 0.5).pseudo["teacher"]
    assert pseudo.label.tolist() == [0, 0]
    assert pseudo.weight.tolist() == [1, 0]


@pytest.mark.usefixtures("swapped")
def test_a_mixture_is_of_the_strong_clip_and_another_ones_warped(
    readout: Network, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fraction of 1: every patch is the other clip's, and so are label and weight.

    The first shows (0.2, 0.2, 0.6), of weight 0. The second shows (0.25, 0.5, 0.25), to learn (1, 0, 0) with
    weight 1: (0.5625 + 0.25 + 0.0625) / 3 = 0.875 / 3, halved over two clips: 0.875 / 6.
    """
    monkeypatch.setattr(svformer, "beta_fraction", lambda _: 1.0)
    made = SVFormer(TASK, readout(), threshold=0.75, mix_weight=1.0, patch=2)
    assert terms(made, batch)["unlabeled/mixed"] == close(0.875 / 6)


def test_labels_and_weights_are_mixed_by_the_area(clips: Clips) -> None:
    """A quarter of the other clip; all mixed clips show (0.5, 0.25, 0.25).

    first:  0.75 (1, 0, 0) + 0.25 (0.5, 0.25, 0.25) = (0.875, 0.0625, 0.0625), weight 0.75; squared distances
            0.140625 + 2 * 0.03515625, a third of them 0.0703125
    second: 0.75 (0.5, 0.25, 0.25) + 0.25 (1, 0, 0) = (0.625, 0.1875, 0.1875), weight 0.25; squared distances
            0.015625 + 2 * 0.00390625, a third of them 0.0078125
    (0.75 * 0.0703125 + 0.25 * 0.0078125) / 2 = 0.02734375
    """
    guessed = torch.tensor([[0.8, 0.1, 0.1], [0.5, 0.25, 0.25]]).log()
    pseudo = svformer.Threshold(0.75)(guessed, torch.arange(2))
    mixed = torch.tensor([[0.5, 0.25, 0.25]]).log().expand(2, 3)
    other, fraction = torch.tensor([1, 0]), torch.tensor(0.25)
    found = svformer._distance(mixed, guessed, pseudo, other, fraction)
    assert found.item() == close(0.02734375)


def test_the_labels_are_the_averages(readout: Network, batch: Batch) -> None:
    """A teacher whose logits are all 0 is sure of nothing, whatever the student predicts."""
    made = SVFormer(TASK, readout(), threshold=0.75)
    nn.init.zeros_(made.teacher.network.get_parameter("scale"))
    found = terms(made, batch)
    assert found["unlabeled"] == found["unlabeled/mixed"] == 0
    assert found["labeled"] == close(1.5 * LN2)


def test_the_student_is_tested_first(readout: Network) -> None:
    """The authors' code tests and saves the student; the headline is the first predictor."""
    made = SVFormer(TASK, readout())
    assert list(made.predictors().items()) == [("model", made.model), ("teacher", made.teacher)]


def test_labels_alone_at_first(readout: Network, batch: Batch) -> None:
    made = SVFormer(TASK, readout(), threshold=0.75, supervised_fraction=0.25)
    before, after = terms(made, batch, 0.2), terms(made, batch, 0.25)
    assert before["unlabeled"] == before["unlabeled/mixed"] == 0
    assert after["unlabeled"] > 0
    assert after["unlabeled/mixed"] > 0


def test_patches_of_pixels_are_tokens() -> None:
    """Mixing pixels, then embedding patches by themselves, is embedding first and mixing tokens."""
    torch.manual_seed(0)
    embed = nn.Conv3d(3, 5, (1, 4, 4), stride=(1, 4, 4))
    one, other = torch.randn(2, 2, 3, 2, 8, 12)
    mask = patch_tube(one, 4, 0.5)
    tokens = mix(embed(one), embed(other), mask[..., ::4, ::4])
    assert mask.mean() == 0.5
    assert torch.equal(embed(mix(one, other, mask)), tokens)


def test_a_patch_has_pixels() -> None:
    with pytest.raises(InputError, match="patch: input should be greater than or equal to 1, found 0"):
        check_options("svformer", SVFormer, {"patch": 0})
