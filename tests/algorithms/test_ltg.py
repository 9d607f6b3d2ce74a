"""LTG, which also sees temporal gradients, against numbers worked out by hand."""

import math

import pytest
import torch
from helpers.losses import TASK, terms
from helpers.numbers import close
from helpers.temporal_gradients import First, L, assert_refuses_one_frame, moving
from torch import nn

from ssl_video.algorithms.ltg import LTG
from ssl_video.contract import Batch
from ssl_video.errors import InputError

E = math.e


@pytest.fixture
def batch() -> Batch:
    """One clip of each kind. The networks' clips agree in nothing: what one of them must not see is 9."""
    nine = (9.0, 9.0, -9.0)
    of_rgb = {"labeled": (L, 0, 0), "weak": (6 * L, 0, 0), "strong": (L, 0, 0)}
    of_gradient = {"labeled": (0, L, 0), "weak": (2 * L, 0, 0), "strong": (0, L, 0)}
    rgb = {kind: moving((logits, nine)) for kind, logits in of_rgb.items()}
    gradient = {kind: moving((nine, logits)) for kind, logits in of_gradient.items()}
    labeled = {"model": rgb.pop("labeled"), "gradient": gradient.pop("labeled")}
    unlabeled = {f"{kind}/model": clip for kind, clip in rgb.items()}
    unlabeled |= {f"{kind}/gradient": clip for kind, clip in gradient.items()}
    return Batch(labeled, torch.tensor([0]), unlabeled, torch.arange(1))


def ltg(**options: float) -> LTG:
    """LTG without heads, so that features, which are the logits here, are compared as they are."""
    made = LTG(TASK, First(), First(), **options)
    made.heads = nn.ModuleDict({role: nn.Identity() for role in made.roles})
    return made


def test_loss(batch: Batch) -> None:
    """Temperature 1; weights 2, 3 and 5. Directions of features: RGB x, x; gradient y, x.

    labeled clip, label 0: RGB 1/2, gradient 1/4: halves of L and 2 L.
    weak clip: mean logits (4 L, 0, 0): 16/18 of class 0. Its strong clip: RGB 1/2, gradient 1/4, so
        2 * L / 2 and 2 * 2 L / 2.
    alignment: similarities 0 (labeled) and 1 (weak): 3 * (1 - 1/2)
    contrast: rows x, x, y, x with the partners y, x, x, x:
        ln(2e + 1), ln(2e + 1) - 1, ln 3, ln(2e + 1) - 1, five times their mean
    """
    algorithm = ltg(threshold=0.88, weight=2.0, alignment_weight=3.0, contrast_weight=5.0, temperature=1.0)
    assert terms(algorithm, batch) == close(
        {
            "labeled/model": 0.5 * L,
            "labeled/gradient": L,
            "unlabeled/model": L,
            "unlabeled/gradient": 2 * L,
            "unlabeled/alignment": 1.5,
            "unlabeled/contrast": 5 / 4 * (3 * math.log(2 * E + 1) - 2 + math.log(3)),
        }
    )
    assert terms(ltg(threshold=0.89), batch)["unlabeled/model"] == 0


def test_begins_without_pseudo_labels_but_with_features(batch: Batch) -> None:
    before, after = (terms(ltg(), batch, progress) for progress in (0.16, 0.17))
    changed = {"unlabeled/model", "unlabeled/gradient"}
    assert {name for name in before if before[name] != after[name]} == changed
    assert not any(before[name] for name in changed)


def test_aligns_rgb_with_the_gradient_and_not_the_other_way(batch: Batch) -> None:
    algorithm = LTG(
        TASK, nn.Sequential(nn.Conv3d(3, 3, 1), First()), nn.Sequential(nn.Conv3d(3, 3, 1), First())
    )
    algorithm(batch, 0.5).terms["unlabeled/alignment"].backward()
    moved = {name.split(".")[0] for name, p in algorithm.named_parameters() if p.grad is not None}
    assert moved == {"model"}


def test_needs_as_many_features_of_both() -> None:
    with pytest.raises(
        InputError, match="model has 3, gradient has 5; give both the same backbone and width"
    ):
        LTG(TASK, First(), First(features=5))


def test_is_inferred_by_rgb_alone() -> None:
    algorithm = ltg()
    assert list(algorithm.predictors()) == ["model"]
    assert algorithm.predictors()["model"] is algorithm.model


def test_clips_of_one_frame_have_no_gradient() -> None:
    assert_refuses_one_frame(LTG(TASK, First(), First()))
