"""Teachers: averages of a student's states, which are never trained."""

import torch
from helpers.numbers import close
from torch import Tensor, nn

from ssl_video.algorithms.parts.teacher import EMATeacherAlgorithm, Teacher


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
    taught = EMATeacherAlgorithm(_Student(), decay=0.5)
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
