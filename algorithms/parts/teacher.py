"""A moving average of a network, and the algorithms that learn from one."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from ssl_video.contract import Algorithm


class Teacher(nn.Module):
    """Exponential moving average of a network: never trained, always in evaluation mode.

    Floating-point buffers (batch-norm statistics) are averaged like the parameters, integer ones copied.
    Until the decay is reached the average is the plain mean of all states so far, as in the code of Mean
    Teacher (Tarvainen and Valpola 2017): in a short run the initial weights would otherwise never fade.
    """

    def __init__(self, student: nn.Module, decay: float) -> None:
        super().__init__()
        self.network = copy.deepcopy(student).requires_grad_(False)
        self.decay = decay
        self.updates: Tensor
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))
        self.train(False)

    def train(self, mode: bool = True) -> "Teacher":
        """Stays in evaluation mode whatever is asked."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, clip: Tensor) -> Any:
        """The averaged network's logits, without gradient."""
        return self.network(clip)

    @torch.no_grad()
    def update(self, student: nn.Module) -> None:
        """teacher <- d * teacher + (1 - d) * student, where d = min(decay, 1 - 1 / (number of states))."""
        self.updates += 1
        decay = torch.clamp(1 - 1 / (self.updates + 1), max=self.decay)
        for mine, theirs in zip(
            self.network.state_dict().values(), student.state_dict().values(), strict=True
        ):
            if mine.is_floating_point():
                mine.lerp_(theirs, (1 - decay).to(mine.dtype))
            else:
                mine.copy_(theirs)


class Taught(Algorithm):
    """An algorithm whose one network learns from a moving average of itself, which is also what is tested.

    Args:
        model: the student.
        decay: of the teacher's average, per step.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__()
        self.model, self.teacher = model, Teacher(model, decay)

    def after_step(self, progress: float) -> None:
        """Move the teacher."""
        self.teacher.update(self.model)

    def predictors(self) -> dict[str, nn.Module]:
        """The teacher, and the student beside it."""
        return {"teacher": self.teacher, "model": self.model}
