"""MvPL and LTG, which also see temporal gradients, against numbers worked out by hand.

Networks read their logits from the first frame of what they are given. So a clip that starts with the logits
a and changes by b from frame to frame gives a as RGB and b as temporal gradient. L = ln 2: logits L, 0, 0 are
the probabilities 1/2, 1/4, 1/4.
"""

import math
from collections.abc import Callable

import pytest
import torch
from helpers.numbers import close
from torch import Tensor, nn

from ssl_video.algorithms.ltg import LTG
from ssl_video.algorithms.mvpl import MvPL
from ssl_video.contract import Algorithm, Batch, Task
from ssl_video.errors import InputError

TASK = Task(num_classes=3, num_unlabeled=10)
L, E = math.log(2), math.e
Logits = tuple[float, float, float]


class First(nn.Module):
    """Logits are the colours of the first frame, read by a linear layer, (N, 3, T, H, W) -> (N, 3)."""

    def __init__(self, features: int = 3) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 3, bias=False)
        self.widen = features - 3
        with torch.no_grad():
            self.linear.weight.copy_(torch.eye(3, features))

    def forward(self, clip: Tensor) -> Tensor:
        """The linear layer's logits."""
        seen: Tensor = self.linear(nn.functional.pad(clip[:, :, 0].mean((2, 3)), (0, self.widen)))
        return seen


def moving(*clips: tuple[Logits, Logits]) -> Tensor:
    """Clips (N, 3, 3, 2, 2) that start with the first logits and change by the second ones."""
    start, change = torch.tensor(clips).unbind(1)
    frames = torch.stack([start + time * change for time in range(3)], 2)
    return frames[..., None, None].expand(-1, -1, -1, 2, 2).clone()


def numbers(algorithm: Algorithm, batch: Batch, progress: float = 0.5) -> dict[str, float]:
    return {name: term.item() for name, term in algorithm(batch, progress).terms.items()}


@pytest.fixture
def for_mvpl() -> Batch:
    return Batch(
        {"weak": moving(((L, 0, 0), (0, L, 0)), ((0, 0, L), (0, 0, L)))},
        torch.tensor([0, 1]),
        {
            "weak": moving(((3 * L, 0, 0), (L, 0, 0)), ((3 * L, 0, 0), (0, 3 * L, 0))),
            "strong": moving(((L, 0, 0), (0, L, 0)), ((0, 0, 0), (0, 0, 0))),
        },
        torch.arange(2),
    )


def test_mvpl(for_mvpl: Batch) -> None:
    """Weight 2.

    labeled clips, labels 0 and 1: RGB 1/2 and 1/4: L and 2 L; gradient 1/4 and 1/4: 2 L and 2 L.
        Means 1.5 L and 2 L, halves of them 0.75 L and L.
    weak clips: mean logits (2 L, 0, 0): 4/6 of class 0, used; (1.5 L, 1.5 L, 0): 2.83/6.66, not used.
        Mean probabilities would be (8/10 + 1/2) / 2 = 0.65 of class 0.
    strong clip of the first: RGB 1/2: L; gradient 1/4: 2 L. Over two clips, times 2, halves: L/2 and L.
    """
    algorithm = MvPL(TASK, First(), threshold=0.66, weight=2.0)
    assert numbers(algorithm, for_mvpl) == close(
        {
            "labeled/rgb": 0.75 * L,
            "labeled/gradient": L,
            "unlabeled/rgb": 0.5 * L,
            "unlabeled/gradient": L,
        }
    )
    pseudo = algorithm(for_mvpl, 0.5).pseudo["model"]
    assert pseudo.label[0] == 0
    assert pseudo.weight.tolist() == [1, 0]
    assert numbers(MvPL(TASK, First(), threshold=0.67), for_mvpl)["unlabeled/rgb"] == 0


@pytest.mark.parametrize(("progress", "used"), [(0.12, False), (0.13, True)])
def test_mvpl_begins_with_labels_alone(for_mvpl: Batch, progress: float, used: bool) -> None:
    found = numbers(MvPL(TASK, First()), for_mvpl, progress)
    assert (found["unlabeled/rgb"] > 0) == (found["unlabeled/gradient"] > 0) == used
    assert found["labeled/gradient"] > 0


@pytest.mark.parametrize("passes", ["separate", "joint"])
def test_mvpl_keeps_running_averages_of_rgb(passes: str) -> None:
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
    for kinds in ([clips[1]], [clips[0]]) if passes == "separate" else ([*clips],):
        alone(torch.cat(kinds))
    assert torch.equal(norm.running_var, alone.running_var)  # type: ignore[arg-type]
    assert norm.num_batches_tracked == alone.num_batches_tracked


@pytest.fixture
def for_ltg() -> Batch:
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


def test_ltg(for_ltg: Batch) -> None:
    """Temperature 1; weights 2, 3 and 5. Directions of features: RGB x, x; gradient y, x.

    labeled clip, label 0: RGB 1/2, gradient 1/4: halves of L and 2 L.
    weak clip: mean logits (4 L, 0, 0): 16/18 of class 0. Its strong clip: RGB 1/2, gradient 1/4, so
        2 * L / 2 and 2 * 2 L / 2.
    alignment: similarities 0 (labeled) and 1 (weak): 3 * (1 - 1/2)
    contrast: rows x, x, y, x with the partners y, x, x, x:
        ln(2e + 1), ln(2e + 1) - 1, ln 3, ln(2e + 1) - 1, five times their mean
    """
    algorithm = ltg(threshold=0.88, weight=2.0, alignment_weight=3.0, contrast_weight=5.0, temperature=1.0)
    assert numbers(algorithm, for_ltg) == close(
        {
            "labeled/model": 0.5 * L,
            "labeled/gradient": L,
            "unlabeled/model": L,
            "unlabeled/gradient": 2 * L,
            "unlabeled/alignment": 1.5,
            "unlabeled/contrast": 5 / 4 * (3 * math.log(2 * E + 1) - 2 + math.log(3)),
        }
    )
    assert numbers(ltg(threshold=0.89), for_ltg)["unlabeled/model"] == 0


def test_ltg_begins_without_pseudo_labels_but_with_features(for_ltg: Batch) -> None:
    before, after = (numbers(ltg(), for_ltg, progress) for progress in (0.16, 0.17))
    changed = {"unlabeled/model", "unlabeled/gradient"}
    assert {name for name in before if before[name] != after[name]} == changed
    assert not any(before[name] for name in changed)


def test_ltg_aligns_rgb_with_the_gradient_and_not_the_other_way(for_ltg: Batch) -> None:
    algorithm = LTG(
        TASK, nn.Sequential(nn.Conv3d(3, 3, 1), First()), nn.Sequential(nn.Conv3d(3, 3, 1), First())
    )
    algorithm(for_ltg, 0.5).terms["unlabeled/alignment"].backward()
    moved = {name.split(".")[0] for name, p in algorithm.named_parameters() if p.grad is not None}
    assert moved == {"model"}


def test_ltg_needs_as_many_features_of_both() -> None:
    with pytest.raises(
        InputError, match="model has 3, gradient has 5; give both the same backbone and width"
    ):
        LTG(TASK, First(), First(features=5))


def test_ltg_is_inferred_by_rgb_alone() -> None:
    algorithm = ltg()
    assert list(algorithm.predictors()) == ["model"]
    assert algorithm.predictors()["model"] is algorithm.model


@pytest.mark.parametrize("make", [lambda: MvPL(TASK, First()), lambda: LTG(TASK, First(), First())])
def test_clips_of_one_frame_have_no_gradient(make: Callable[[], Algorithm]) -> None:
    algorithm = make()
    still = torch.zeros(2, 3, 1, 4, 4)
    batch = Batch(
        dict.fromkeys(algorithm.labeled, still),
        torch.tensor([0, 1]),
        dict.fromkeys(algorithm.unlabeled, still),
        torch.arange(2),
    )
    with pytest.raises(InputError, match="1 frame"):
        algorithm(batch, 0.5)
