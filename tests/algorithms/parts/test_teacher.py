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
    """Seven eighths of the way from (1, 2) to (5, 10) is (4.5, 9), from 10 to 30 is 27.5; the count is 7."""
    student = _Student()
    teacher = Teacher(student, decay=0.125)
    with torch.no_grad():
        student.weight.copy_(torch.tensor([5.0, 10.0]))
        student.get_buffer("mean").fill_(30)
        student.get_buffer("count").fill_(7)
    teacher.update(student)
    state = {name: value.tolist() for name, value in teacher.network.state_dict().items()}
    assert state == {"weight": [4.5, 9], "mean": [27.5], "count": 7}
    teacher.update(student)
    assert teacher.network.state_dict()["weight"].tolist() == [4.9375, 9.875]
    assert student.weight.tolist() == [5, 10]


def test_a_young_teacher_follows_its_student_fast() -> None:
    """Decay 0.3, states 1, 12, 5, 13, 0: after n updates at most (1 + n) / (10 + n), 2/11, 3/12 and 4/13.

    1 -> 2/11 + 9/11 * 12 = 10; 10 -> 0.25 * 10 + 0.75 * 5 = 6.25. Then the decay is smaller than 4/13:
    0.3 * 6.25 + 0.7 * 13 = 10.975, and 0.3 * 10.975 = 3.2925.
    """
    student = _Student()
    teacher = Teacher(student, decay=0.3)
    found = []
    for value in (12.0, 5.0, 13.0, 0.0):
        with torch.no_grad():
            student.weight.fill_(value)
            teacher.network.get_parameter("weight")[1] = teacher.network.get_parameter("weight")[0]
        teacher.update(student)
        found.append(teacher.network.state_dict()["weight"][0].item())
    assert found == close([10, 6.25, 10.975, 3.2925])


def test_the_taught_are_tested_by_their_teacher_first() -> None:
    taught = EMATeacherAlgorithm(_Student(), decay=0.125)
    with torch.no_grad():
        taught.model.get_parameter("weight").fill_(3.0)
    taught.after_step(0.0)
    assert list(taught.predictors()) == ["teacher", "model"]
    assert taught.predictors()["teacher"](torch.ones(1, 2)).tolist() == [[2.75, 2.875]]


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
