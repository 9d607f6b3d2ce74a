"""LTG, which also sees temporal gradients, against numbers worked out by hand."""

import math

import pytest
import torch
from helpers.losses import TASK, terms
from helpers.numbers import close
from helpers.temporal_gradients import GREY, First, L, Logits, assert_refuses_one_frame, moving
from torch import Tensor, nn

from ssl_video.algorithms.ltg import LTG
from ssl_video.algorithms.parts.temporal_gradient import temporal_gradient
from ssl_video.backbones.tiny import tiny3d
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


class Staged(nn.Module):
    """Two stages that a linear layer reads: the clip itself, and its mean over every two frames."""

    def __init__(self, kernel: int = 2) -> None:
        super().__init__()
        self.stages = ("clip", "mean")
        self.clip, self.mean = nn.Identity(), nn.AvgPool3d((kernel, 1, 1))
        self.linear = nn.Linear(3, 3)

    def forward(self, clip: Tensor) -> Tensor:
        """Clip (N, 3, T, H, W) -> logits (N, 3)."""
        logits: Tensor = self.linear(self.mean(self.clip(clip)).mean((2, 3, 4)))
        return logits


def two_frames(*frames: tuple[Logits, Logits]) -> Tensor:
    """A clip (1, 3, 2, 1, 2) of two pixels."""
    return torch.tensor(frames).permute(2, 0, 1)[None, :, :, None]


def with_gradient(left: Logits, right: Logits) -> Tensor:
    """A clip (1, 3, 2, 1, 2) whose temporal gradient is this in both frames."""
    black = torch.zeros(2, 3)
    return torch.stack([black, 2 * (GREY - torch.tensor([left, right]))]).permute(2, 0, 1)[None, :, :, None]


def test_stages_are_aligned_at_every_place_and_time() -> None:
    """The labeled clip's two frames of two pixels are x, y and x, x; its gradient is x, (3, 4, 0) in both.

    first stage, cosines: 1, 0.8; 1, 0.6: mean 0.85
    second stage, means of the frames x, (x + y) / 2: cosines 1, 0.7 sqrt(2)
    The weak clip's are x, black and y, black; its gradient is x, x.
    first stage: 1, 0; 0, 0: mean 0.25
    second stage: (x + y) / 2, black: cosines sqrt(0.5), 0
    """
    x, y, black = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.0)
    batch = Batch(
        {"model": two_frames((x, y), (x, x)), "gradient": with_gradient(x, (3.0, 4.0, 0.0))},
        torch.tensor([0]),
        {
            "weak/model": two_frames((x, black), (y, black)),
            "weak/gradient": with_gradient(x, x),
            "strong/model": two_frames((y, y), (y, y)),
            "strong/gradient": with_gradient(y, y),
        },
        torch.arange(1),
    )
    made = LTG(TASK, Staged(), Staged(), alignment_weight=2.0)
    distance = 1 - (0.85 + 0.25) / 2 + 1 - (1 + 0.7 * 2**0.5 + 0.5**0.5) / 4
    assert terms(made, batch)["unlabeled/alignment"] == close(2 * distance)


def test_the_alignment_of_a_network_is_that_of_the_authors_code() -> None:
    """`CosineSimiLoss` over the maps of the four stages, each with a weight of 1, motion's detached."""
    torch.manual_seed(0)
    networks = [tiny3d(3, width=0.5, frames=4, size=16) for _ in range(2)]
    clips = [torch.randn(2, 3, 4, 16, 16) for _ in range(6)]
    names = ["weak/model", "weak/gradient", "strong/model", "strong/gradient"]
    batch = Batch(
        {"model": clips[0], "gradient": clips[1]},
        torch.tensor([0, 1]),
        dict(zip(names, clips[2:], strict=True)),
        torch.arange(2),
    )
    found = LTG(TASK, *networks)(batch, 0.5).terms["unlabeled/alignment"]
    maps = torch.cat([clips[0], clips[2]]), temporal_gradient(torch.cat([clips[1], clips[3]]))
    expected = torch.zeros(())
    for rgb, motion in zip(networks[0][:4], networks[1][:4], strict=True):
        maps = rgb(maps[0]), motion(maps[1])
        normalised = [nn.functional.normalize(one, dim=1) for one in maps]
        expected = expected + 1 - nn.CosineSimilarity(dim=1)(*normalised).mean()
    assert found.item() == close(expected.item())
    found.backward()
    assert all(p.grad is None for p in networks[1].parameters())
    assert all(p.grad.any() for p in networks[0][:4].parameters())


def test_stages_are_aligned_if_both_networks_have_them(batch: Batch) -> None:
    assert LTG(TASK, Staged(), Staged()).dense
    assert not LTG(TASK, Staged(), First()).dense
    assert not LTG(TASK, First(), First()).dense
    with pytest.raises(InputError, match=r"model's is \(3, 1, 2, 2\), gradient's \(3, 3, 2, 2\)"):
        LTG(TASK, Staged(2), Staged(1))(batch, 0.5)


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
