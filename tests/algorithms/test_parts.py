import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ssl_video.algorithms.parts import Passes, Teacher, Threshold, in_passes, masked_cross_entropy, together
from ssl_video.contract import LossOutput, Pseudo

POSITIONS = torch.arange(3)


def logits(*probabilities: tuple[float, ...]) -> Tensor:
    """Logits whose softmax are these rows."""
    return torch.tensor(probabilities).log()


def test_together_gives_each_batch_its_own_logits(
    readout: type[nn.Module], clips: Callable[..., Tensor]
) -> None:
    first, second = clips((0.5, 0.3, 0.2), (0.1, 0.8, 0.1)), clips((0.2, 0.2, 0.6))
    a, b = together(readout(), first, second)
    assert torch.allclose(a.softmax(-1), torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]]))
    assert torch.allclose(b.softmax(-1), torch.tensor([[0.2, 0.2, 0.6]]))


def test_together_is_one_pass_with_shared_batch_norm_statistics() -> None:
    """Values 0, 0 and 3, 3 have mean 1.5 and deviation 1.5: they come out as -1, -1 and 1, 1."""
    norm = nn.BatchNorm1d(1, eps=1e-9, affine=False)
    low, high = together(norm, torch.zeros(2, 1), torch.full((2, 1), 3.0))
    assert low.flatten().tolist() == pytest.approx([-1, -1])
    assert high.flatten().tolist() == pytest.approx([1, 1])
    assert norm.num_batches_tracked == 1


@pytest.mark.parametrize("dimension", [nn.BatchNorm1d, nn.BatchNorm3d])
def test_separate_passes_keep_batch_norm_statistics_apart(dimension: type[nn.Module]) -> None:
    """Each kind is normalised by itself; the average sees the weak and the labeled clips, not the strong.

    Momentum 0.5 from mean 0: weak mean 2 -> 1, labeled mean 5 -> 3, strong mean 100 -> still 3.
    """
    norm = dimension(1, eps=1e-9, affine=False, momentum=0.5)
    shape = (2, 1) if dimension is nn.BatchNorm1d else (2, 1, 1, 1, 1)
    kinds = [torch.tensor(pair).view(shape) for pair in ((4.0, 6.0), (1.0, 3.0), (99.0, 101.0))]
    for made in in_passes(norm, *kinds, "separate"):
        assert made.flatten().tolist() == pytest.approx([-1, 1])
    assert norm.running_mean.item() == pytest.approx(3)
    assert norm.num_batches_tracked == 2
    assert norm.track_running_stats


def test_joint_passes_share_statistics() -> None:
    """Values 0, 0, 3, 3, 3, 3 have mean 2 and variance 2."""
    norm = nn.BatchNorm1d(1, eps=1e-9, affine=False)
    labeled, weak, strong = in_passes(
        norm, torch.zeros(2, 1), torch.full((2, 1), 3.0), torch.full((2, 1), 3.0), "joint"
    )
    assert labeled.flatten().tolist() == pytest.approx([-math.sqrt(2)] * 2)
    assert weak.flatten().tolist() == strong.flatten().tolist() == pytest.approx([math.sqrt(0.5)] * 2)


def test_without_batch_norm_both_ways_are_the_same() -> None:
    """Logits and, where there is one, gradient; weak clips have none in separate passes."""
    torch.manual_seed(0)
    model, clips = nn.Linear(4, 3), [torch.randn(n, 4) for n in (2, 3, 3)]
    found: dict[str, list[Tensor]] = {}
    ways: tuple[Passes, ...] = ("separate", "joint")
    for way in ways:
        labeled, weak, strong = in_passes(model, *clips, way)
        model.zero_grad()
        (labeled.square().sum() + strong.square().sum()).backward()
        assert weak.requires_grad == (way == "joint")
        found[way] = [labeled, weak, strong, *(p.grad for p in model.parameters() if p.grad is not None)]
    for one, other in zip(*found.values(), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_together_gives_float32() -> None:
    (made,) = together(nn.Linear(2, 2).bfloat16(), torch.zeros(1, 2, dtype=torch.bfloat16))
    assert made.dtype == torch.float32


def test_masked_cross_entropy_averages_over_all_clips() -> None:
    """-ln 0.5 of one used clip, one not used, one of weight 0.5 with -ln 0.25: (ln 2 + 0.5 * 2 ln 2) / 3."""
    predicted = logits((0.5, 0.25, 0.25), (0.9, 0.05, 0.05), (0.5, 0.25, 0.25))
    pseudo = Pseudo(torch.tensor([0, 2, 1]), torch.tensor([1.0, 0.0, 0.5]))
    assert masked_cross_entropy(predicted, pseudo).item() == pytest.approx(2 / 3 * math.log(2))


def test_masked_cross_entropy_of_nothing_is_zero_and_has_a_gradient() -> None:
    predicted = logits((0.5, 0.25, 0.25)).requires_grad_()
    loss = masked_cross_entropy(predicted, Pseudo(torch.tensor([0]), torch.tensor([0.0])))
    loss.backward()
    assert loss.item() == 0
    assert predicted.grad is not None
    assert not predicted.grad.any()


def test_the_threshold_is_reached_by_equal_confidence() -> None:
    """Two equal logits have confidence 0.5 exactly, in floating point, too."""
    predicted = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 3.0]])  # 0.5, 0.731, 0.953
    assert Threshold(0.5)(predicted, POSITIONS).weight.tolist() == [1, 1, 1]
    assert Threshold(0.5 + 1e-6)(predicted, POSITIONS).weight.tolist() == [0, 1, 1]
    assert Threshold(0.9)(predicted, POSITIONS).weight.tolist() == [0, 0, 1]
    assert Threshold(1.1)(predicted, POSITIONS).weight.tolist() == [0, 0, 0]
    assert Threshold(0.9)(predicted, POSITIONS).label.tolist() == [0, 0, 1]


def test_the_threshold_gives_labels_without_gradient() -> None:
    pseudo = Threshold(0.0)(torch.randn(3, 4, requires_grad=True), POSITIONS)
    assert not pseudo.weight.requires_grad
    assert pseudo.label.dtype == torch.long


def test_the_threshold_compares_in_float32() -> None:
    """softmax(3, 0)'s confidence 0.9526 is 0.953 in bfloat16: a bar between must not be reached."""
    predicted = torch.tensor([[3.0, 0.0]], dtype=torch.bfloat16)
    assert Threshold(0.9528)(predicted, POSITIONS[:1]).weight.tolist() == [0]
    assert Threshold(0.9524)(predicted, POSITIONS[:1]).weight.tolist() == [1]


class _Student(nn.Module):
    """One parameter, a float buffer, an integer buffer, and dropout, which only training mode uses."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0]))
        self.register_buffer("mean", torch.tensor([10.0]))
        self.register_buffer("count", torch.tensor(3))
        self.dropout = nn.Dropout(0.5)

    def forward(self, clip: Tensor) -> Tensor:
        return self.dropout(clip * self.weight)


def test_the_teacher_averages_parameters_and_float_buffers_and_copies_counts() -> None:
    """0.75 * (1, 2) + 0.25 * (5, 10) = (2, 4); 0.75 * 10 + 0.25 * 30 = 15; the count is 7, not 4."""
    student = _Student()
    teacher = Teacher(student, decay=0.75)
    with torch.no_grad():
        student.weight.copy_(torch.tensor([5.0, 10.0]))
        student.get_buffer("mean").fill_(30)
        student.get_buffer("count").fill_(7)
    teacher.update(student)
    state = {name: value.tolist() for name, value in teacher.network.state_dict().items()}
    assert state == {"weight": [2, 4], "mean": [15], "count": 7}
    teacher.update(student)  # 0.75 * (2, 4) + 0.25 * (5, 10)
    assert teacher.network.state_dict()["weight"].tolist() == [2.75, 5.5]
    assert student.weight.tolist() == [5, 10]


def test_the_teacher_is_never_trained() -> None:
    student = _Student()
    teacher = Teacher(student, decay=0.9)
    holder = nn.ModuleList([student, teacher]).train()
    assert student.dropout.training
    assert not any(module.training for module in teacher.modules())
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert torch.equal(teacher(torch.ones(4, 2)), torch.tensor([[1.0, 2.0]]).expand(4, 2))
    assert not teacher(torch.ones(4, 2, requires_grad=True)).requires_grad
    assert student.weight.requires_grad
    assert {"1.network.weight", "1.network.mean", "1.network.count"} <= holder.state_dict().keys()


def test_the_loss_is_the_sum_of_the_terms() -> None:
    terms = {"labeled": torch.tensor(1.5, requires_grad=True), "unlabeled": torch.tensor(0.25)}
    output = LossOutput(terms)
    output.loss.backward()
    assert output.loss.item() == 1.75
    assert terms["labeled"].grad == 1
