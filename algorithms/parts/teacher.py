"""Teachers, which are not trained: frozen networks, and the moving average of the student."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ssl_video.contract import Algorithm


def teacher_decay(updates: Tensor, decay: float) -> Tensor:
    """Return the effective decay of a teacher's update 1, 2, ..., n: d = min(decay, (1 + n) / (10 + n)).

    Until `decay` is reached, the teacher is an average of about the last tenth of the steps so far, as in
    TensorFlow's `ExponentialMovingAverage`. With the plain mean of all states, as in the code of Mean Teacher
    (Tarvainen and Valpola 2017), the teacher of a short run lags behind its student by half of the training.
    """
    return torch.clamp((1 + updates) / (10 + updates), max=decay)


class Frozen(nn.Module):
    """A network that is never trained and always in evaluation mode."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "Frozen":
        """Keep evaluation mode for any `mode`."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, clip: Tensor) -> Any:
        """Return the network's logits, without gradient."""
        return self.network(clip)


class Teacher(Frozen):
    """Exponential moving average of a network.

    Floating-point buffers (batch-norm statistics) are averaged like the parameters, integer ones copied.
    Modules that a copy of the student shares with it, as the frozen network of a probe, stay as they are.
    """

    def __init__(self, student: nn.Module, decay: float) -> None:
        super().__init__(copy.deepcopy(student))
        self.decay = decay
        self.updates: Tensor
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def update(self, student: nn.Module) -> None:
        """Update teacher <- d * teacher + (1 - d) * student, with the d of `teacher_decay`."""
        self.updates += 1
        decay = teacher_decay(self.updates, self.decay)
        for mine, theirs in _pairs(self.network, student):
            if mine.is_floating_point():
                mine.lerp_(theirs, (1 - decay).to(mine.dtype))
            else:
                mine.copy_(theirs)


def _pairs(teacher: nn.Module, student: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the tensors of both states, without those of modules that both share, as a probe's backbone."""
    if teacher is student:
        return
    passing = teacher._non_persistent_buffers_set
    yield from zip(teacher.parameters(recurse=False), student.parameters(recurse=False), strict=True)
    buffers = zip(teacher.named_buffers(recurse=False), student.buffers(recurse=False), strict=True)
    yield from ((mine, theirs) for (name, mine), theirs in buffers if name not in passing)
    for part, other in zip(teacher.children(), student.children(), strict=True):
        yield from _pairs(part, other)


class EMATeacherAlgorithm(Algorithm):
    """An algorithm whose one network learns from its moving average.

    The average is the headline predictor, unless `student_first`.

    Args:
        model: the student.
        decay: of the teacher's average, per step.
    """

    student_first = False

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__()
        self.model, self.teacher = model, Teacher(model, decay)

    def after_step(self, progress: float) -> None:
        """Move the teacher."""
        self.teacher.update(self.model)

    def predictors(self) -> dict[str, nn.Module]:
        """Return the teacher and the student, the headline first."""
        found: dict[str, nn.Module] = {"teacher": self.teacher, "model": self.model}
        return dict(reversed(found.items())) if self.student_first else found
