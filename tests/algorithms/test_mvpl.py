"""MvPL, which also sees temporal gradients, against numbers worked out by hand."""

import pytest
import torch
from helpers.losses import TASK, terms
from helpers.numbers import close
from helpers.temporal_gradients import First, L, assert_refuses_one_frame, moving
from torch import nn

from ssl_video.algorithms.mvpl import MvPL
from ssl_video.contract import Batch


@pytest.fixture
def batch() -> Batch:
    return Batch(
        {"weak": moving(((L, 0, 0), (0, L, 0)), ((0, 0, L), (0, 0, L)))},
        torch.tensor([0, 1]),
        {
            "weak": moving(((3 * L, 0, 0), (L, 0, 0)), ((3 * L, 0, 0), (0, 3 * L, 0))),
            "strong": moving(((L, 0, 0), (0, L, 0)), ((0, 0, 0), (0, 0, 0))),
        },
        torch.arange(2),
    )


def test_loss(batch: Batch) -> None:
    """Weight 2.

    labeled clips, labels 0 and 1: RGB 1/2 and 1/4: L and 2 L; gradient 1/4 and 1/4: 2 L and 2 L.
        Means 1.5 L and 2 L, halves of them 0.75 L and L.
    weak clips: mean logits (2 L, 0, 0): 4/6 of class 0, used; (1.5 L, 1.5 L, 0): 2.83/6.66, not used.
        Mean probabilities would be (8/10 + 1/2) / 2 = 0.65 of class 0.
    strong clip of the first: RGB 1/2: L; gradient 1/4: 2 L. Over two clips, times 2, halves: L/2 and L.
    """
    algorithm = MvPL(TASK, First(), threshold=0.66, weight=2.0)
    assert terms(algorithm, batch) == close(
        {
            "labeled/rgb": 0.75 * L,
            "labeled/gradient": L,
            "unlabeled/rgb": 0.5 * L,
            "unlabeled/gradient": L,
        }
    )
    pseudo = algorithm(batch, 0.5).pseudo["model"]
    assert pseudo.label[0] == 0
    assert pseudo.weight.tolist() == [1, 0]
    assert terms(MvPL(TASK, First(), threshold=0.67), batch)["unlabeled/rgb"] == 0


@pytest.mark.parametrize(("progress", "used"), [(0.12, False), (0.13, True)])
def test_begins_with_labels_alone(batch: Batch, progress: float, used: bool) -> None:
    found = terms(MvPL(TASK, First()), batch, progress)
    assert (found["unlabeled/rgb"] > 0) == (found["unlabeled/gradient"] > 0) == used
    assert found["labeled/gradient"] > 0


@pytest.mark.parametrize("passes", ["separate", "joint"])
def test_keeps_running_averages_of_rgb(passes: str) -> None:
    """Clips around 2 that change by 50 or so each frame: their gradients must not be averaged."""
    torch.manual_seed(0)
    norm = nn.BatchNorm3d(3)
    model = nn.Sequential(norm, nn.AdaptiveAvgPool3d(1), nn.Flatten())
    clips = [2 + 30 * torch.randn(2, 3, 4, 2, 2) for _ in range(3)]
    batch = Batch(
        {"weak": clips[0]}, torch.tensor([0, 1]), {"weak": clips[1], "strong": clips[2]}, torch.arange(2)
    )
    MvPL(TASK, model, passes=passes)(batch, 0.5)  # type: ignore[arg-type]
    alone = nn.BatchNorm3d(3)
    for kinds in ([clips[0]], [clips[1]]) if passes == "separate" else ([*clips],):
        alone(torch.cat(kinds))
    assert torch.equal(norm.running_var, alone.running_var)  # type: ignore[arg-type]
    assert norm.num_batches_tracked == alone.num_batches_tracked


def test_clips_of_one_frame_have_no_gradient() -> None:
    assert_refuses_one_frame(MvPL(TASK, First()))
