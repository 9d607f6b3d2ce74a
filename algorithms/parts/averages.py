"""Moving averages over the steps of a run, which are of use in short runs, too."""

import torch
from torch import Tensor, nn


def kept(updates: Tensor, decay: float) -> Tensor:
    """How much of an average its update number 1, 2, ... keeps: d = min(decay, 1 - 1 / (number of states)).

    Until the decay is reached the average is the plain mean of all states so far, as in the code of Mean
    Teacher (Tarvainen and Valpola 2017): in a short run the first state would otherwise never fade.
    """
    return torch.clamp(1 - 1 / (updates + 1), max=decay)


class Average(nn.Module):
    """Moving average of a statistic of batches, for example of how confident a network is.

    Statistics are to be those of the gathered batch (`parts.processes.gather`), so that all processes have
    the same average, and of the whole one: an algorithm that has some declares `whole_batch`.

    Attributes:
        value: the average so far, shaped and typed as `start`.
    """

    def __init__(self, start: Tensor, decay: float) -> None:
        """Begin with the state `start`, which fades like any other."""
        super().__init__()
        self.decay = decay
        self.value: Tensor
        self.updates: Tensor
        self.register_buffer("value", start.clone())
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def update(self, found: Tensor) -> Tensor:
        """value <- d * value + (1 - d) * found, with the d of `kept`; returns the new value."""
        self.updates += 1
        self.value.lerp_(found, (1 - kept(self.updates, self.decay)).to(self.value.dtype))
        return self.value

    def extra_repr(self) -> str:
        """Shown by `print(algorithm)`."""
        return f"decay={self.decay}"
