"""Parts against numbers worked out by hand."""

import math
import multiprocessing
from collections.abc import Callable

import pytest
import torch
from helpers.numbers import close
from helpers.processes import side_by_side
from torch import Tensor, nn

from ssl_video.algorithms.parts.features import Features, classifier
from ssl_video.algorithms.parts.passes import Passes, in_passes, together
from ssl_video.algorithms.parts.processes import gather
from ssl_video.algorithms.parts.pseudo import Threshold, masked_cross_entropy, ramp, started
from ssl_video.algorithms.parts.teacher import Taught, Teacher
from ssl_video.contract import LossOutput, Pseudo
from ssl_video.engine.processes import Execution, Processes
from ssl_video.errors import InputError

POSITIONS = torch.arange(3)
TWO = Execution("cpu", devices=2)


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
    assert low.flatten().tolist() == close([-1, -1])
    assert high.flatten().tolist() == close([1, 1])
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
        assert made.flatten().tolist() == close([-1, 1])
    assert norm.running_mean.item() == close(3)
    assert norm.num_batches_tracked == 2
    assert norm.track_running_stats


def test_joint_passes_share_statistics() -> None:
    """Values 0, 0, 3, 3, 3, 3 have mean 2 and variance 2."""
    norm = nn.BatchNorm1d(1, eps=1e-9, affine=False)
    labeled, weak, strong = in_passes(
        norm, torch.zeros(2, 1), torch.full((2, 1), 3.0), torch.full((2, 1), 3.0), "joint"
    )
    assert labeled.flatten().tolist() == close([-math.sqrt(2)] * 2)
    assert weak.flatten().tolist() == strong.flatten().tolist() == close([math.sqrt(0.5)] * 2)


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
    assert masked_cross_entropy(predicted, pseudo).item() == close(2 / 3 * math.log(2))


def test_masked_cross_entropy_learns_a_distribution_where_there_is_one() -> None:
    """Half of ln 2 and half of ln 4 is 1.5 ln 2, with weight 0.5, averaged over two clips: 0.375 ln 2."""
    predicted = logits((0.5, 0.25, 0.25), (0.9, 0.05, 0.05))
    soft = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])
    pseudo = Pseudo(torch.tensor([0, 2]), torch.tensor([0.5, 0.0]), soft)
    assert masked_cross_entropy(predicted, pseudo).item() == close(0.375 * math.log(2))


@pytest.mark.parametrize(
    ("progress", "share", "height"),
    [(0.0, 0.4, 0.0), (0.1, 0.4, 0.25), (0.4, 0.4, 1.0), (0.9, 0.4, 1.0), (0.0, 0.0, 1.0)],
)
def test_the_ramp(progress: float, share: float, height: float) -> None:
    assert ramp(progress, share) == close(height)


@pytest.mark.parametrize(
    ("progress", "share", "on"), [(0.0, 0.0, 1), (0.0, 0.5, 0), (0.499, 0.5, 0), (0.5, 0.5, 1), (0.9, 0.5, 1)]
)
def test_a_phase_has_started_at_its_first_step(progress: float, share: float, on: float) -> None:
    assert started(progress, share) == on


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
    """Halfway from (1, 2) to (5, 10) is (3, 6), from 10 to 30 is 20; the count is 7, not 5."""
    student = _Student()
    teacher = Teacher(student, decay=0.5)
    with torch.no_grad():
        student.weight.copy_(torch.tensor([5.0, 10.0]))
        student.get_buffer("mean").fill_(30)
        student.get_buffer("count").fill_(7)
    teacher.update(student)
    state = {name: value.tolist() for name, value in teacher.network.state_dict().items()}
    assert state == {"weight": [3, 6], "mean": [20], "count": 7}
    teacher.update(student)
    assert teacher.network.state_dict()["weight"].tolist() == [4, 8]
    assert student.weight.tolist() == [5, 10]


def test_the_teacher_is_the_mean_of_all_states_until_its_decay_is_reached() -> None:
    """Decay 0.75. States 1, 5, 9: means 1, 3, 5. With four states 1 - 1/4 is the decay itself: 5 -> 8 by 17.

    From then on the decay stays: 0.75 * 8 + 0.25 * 0 = 6, where the mean would be 6.4.
    """
    student = _Student()
    teacher = Teacher(student, decay=0.75)
    found = []
    for value in (5.0, 9.0, 17.0, 0.0):
        with torch.no_grad():
            student.weight.fill_(value)
            teacher.network.get_parameter("weight")[1] = teacher.network.get_parameter("weight")[0]
        teacher.update(student)
        found.append(teacher.network.state_dict()["weight"][0].item())
    assert found == close([3, 5, 8, 6])


def test_the_taught_are_tested_by_their_teacher_first() -> None:
    taught = Taught(_Student(), decay=0.5)
    with torch.no_grad():
        taught.model.get_parameter("weight").fill_(3.0)
    taught.after_step(0.0)
    assert list(taught.predictors()) == ["teacher", "model"]
    assert taught.predictors()["teacher"](torch.ones(1, 2)).tolist() == [[2, 2.5]]


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


class _Frames(nn.Module):
    """A network with a convolution for a classifier, or one that passes frames as images to a linear one."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, clip: Tensor) -> Tensor:
        """Clip (N, 2, T, 1, 1) -> logits (N, 3)."""
        if isinstance(self.layer, nn.Conv3d):
            out: Tensor = self.layer(clip).mean((2, 3, 4))
        else:
            out = (
                self.layer(clip[..., 0, 0].transpose(1, 2).flatten(0, 1))
                .unflatten(0, (len(clip), -1))
                .mean(1)
            )
        return out


@pytest.mark.parametrize("layer", [nn.Conv3d(2, 3, 1), nn.Linear(2, 3)], ids=["places", "frames"])
def test_features_are_the_mean_of_what_the_classifier_is_given(layer: nn.Module) -> None:
    """Two clips of two frames: channels (1, 10), (3, 30) give (2, 20); (5, 50), (5, 70) give (5, 60)."""
    model = _Frames(layer)
    clip = torch.tensor([[[1.0, 3.0], [10.0, 30.0]], [[5.0, 5.0], [50.0, 70.0]]])[..., None, None]
    features = Features(model, num_classes=3)
    assert features.size == 2
    model(clip)
    with features.captured() as last:
        with torch.no_grad():
            model(torch.zeros_like(clip))
        logits = model(clip.requires_grad_())
    model(clip * 0)
    assert logits.shape == (2, 3)
    assert last(2).tolist() == [[2, 20], [5, 60]]
    assert last(1).tolist() == [[5, 60]]
    last(2).sum().backward()
    assert clip.grad is not None
    assert (clip.grad == 0.5).all()


def test_the_classifier_is_the_last_layer_with_an_output_a_class() -> None:
    wanted = nn.Linear(4, 3)
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4), wanted, nn.LayerNorm(3), nn.Linear(3, 5))
    assert classifier(model, 3) is wanted
    with pytest.raises(InputError, match="Sequential has no linear layer or convolution with 7 outputs"):
        classifier(model, 7)


def test_rows_of_one_process_are_gathered_as_they_are() -> None:
    rows = torch.ones(2, 3)
    assert gather(rows) is rows


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="they are forked")
def test_gathered_rows_have_the_gradient_of_the_whole_batch() -> None:
    """Rows 1, 2 in one process and 3, 4 in the other; the loss is the square of their sum, 10.

    Its gradient is 20 for every row. Training averages the processes' gradients of what the rows came from,
    which for a common factor w = 1 of all rows is 20 * (1 + 2 + 3 + 4) = 200 = ((3 * 40) + (7 * 40)) / 2.
    """

    def gradient() -> tuple[list[float], list[float], float]:
        rank = Processes(TWO).rank
        factor = torch.ones((), requires_grad=True)
        rows = (factor * torch.tensor([[1.0], [2.0]] if rank == 0 else [[3.0], [4.0]])).requires_grad_()
        rows.retain_grad()
        found = gather(rows)
        found.sum().square().backward()
        assert rows.grad is not None
        assert factor.grad is not None
        return found.flatten().tolist(), rows.grad.flatten().tolist(), factor.grad.item()

    first, second = side_by_side(TWO, gradient)
    assert first[0] == second[0] == [1, 2, 3, 4]
    assert first[1] == second[1] == [40, 40]
    assert (first[2] + second[2]) / 2 == 200
