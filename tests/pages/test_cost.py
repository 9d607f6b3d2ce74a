from pathlib import Path

import pytest

from ssl_video.pages import cost
from ssl_video.pages.cost import Passes

METHOD = """
import torch
from torch.nn import functional as F
from ssl_video import Algorithm, LossOutput, Network, Teacher, View, algorithm, forward_joint

@algorithm("counted")
class Counted(Algorithm):
    roles = {"model": Network(), "second": Network(width=0.5)}
    unlabeled = {"weak": View("weak"), "strong": View("strong")}

    def __init__(self, task, model, second):
        super().__init__()
        self.teacher = Teacher(model, 0.9)
        self.model, self.second = model, second

    def loss(self, batch, progress):
        clips, u = batch.labeled["weak"], batch.unlabeled
        of_teacher = self.teacher(u["weak"])
        mixed = 0.5 * u["strong"] + 0.5 * u["weak"].flip(0)
        labeled, _, mixed = forward_joint(self.model, clips, clips, mixed)
        with torch.no_grad():
            self.second(u["weak"]), self.second(u["strong"]), self.second(clips)
        second = F.cross_entropy(self.second(clips), batch.labels)
        terms = {
            "labeled": F.cross_entropy(labeled, batch.labels) + second,
            "unlabeled": F.mse_loss(mixed, of_teacher),
        }
        return LossOutput(terms)
"""


def test_operations_of_supervised_are_those_of_its_network() -> None:
    # tiny3d on 8 x 32 x 32: four convolutions of 27 taps, and a linear layer, in multiply-adds.
    first = 8 * 16 * 16 * 16 * 3 * 27
    others = 4 * 8 * 8 * 32 * 16 * 27 + 4 * 8 * 8 * 64 * 32 * 27 + 2 * 4 * 4 * 64 * 64 * 27 + 64 * 10
    # Backward costs twice the forward pass, but for the first layer, whose input needs no gradient.
    assert cost.count("supervised").operations == 8 * (2 * first + 3 * others) == 552_090_624
    assert cost.count("supervised").relative == 1.0
    assert cost.count("supervised").passes == {"model": Passes((1, 0), (0, 0))}


def test_operations_of_fixmatch() -> None:
    # One forward and backward pass more, and one forward pass, each of as many clips.
    first, all_of_them = 2_654_208, 23_888_512
    expected = 8 * (2 * (3 * all_of_them - first) + all_of_them)
    assert cost.count("fixmatch").operations == expected
    assert cost.count("fixmatch").relative == pytest.approx(expected / 552_090_624)
    assert cost.count("fixmatch").passes == {"model": Passes((1, 0), (1, 1))}


def test_a_narrow_network_at_twice_the_frames_costs_less() -> None:
    # At a quarter of the width most layers cost a 16th and the first a quarter, times two for the frames.
    assert (
        cost.count("fixmatch").relative < cost.count("cmpl").relative < 1.25 * cost.count("fixmatch").relative
    )


def test_passes_of_clips_that_are_mixed_or_go_through_together(tmp_path: Path) -> None:
    (tmp_path / "counted.py").write_text(METHOD)
    counted = cost.count(f"{tmp_path}/counted.py:counted")
    assert counted.passes == {
        # Twice each labeled clip with the mixed ones.
        "model": Passes((2, 0), (1, 0)),
        "second": Passes((1, 1), (0, 2)),
        "teacher.network": Passes((0, 0), (0, 1)),
    }
    assert list(counted.passes) == ["model", "second", "teacher.network"]


def test_counting_leaves_the_random_numbers_alone() -> None:
    import torch

    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    cost.count.cache_clear()
    cost.count("fixmatch")
    assert torch.equal(torch.rand(2), expected)
