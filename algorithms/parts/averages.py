"""Moving averages over the steps of a run, with a decay that also works in short runs."""

import torch
from torch import Tensor, nn


def effective_decay(updates: Tensor, decay: float) -> Tensor:
    """Return the effective decay of update 1, 2, ...: d = min(decay, 1 - 1 / (number of states)).

    Until `decay` is reached, the average is the plain mean of all states so far. Otherwise the first state
    would never fade in a short run.
    """
    return torch.clamp(1 - 1 / (updates + 1), max=decay)


class Average(nn.Module):
    """Moving average of a batch statistic, for example the confidence of a network.

    Compute the statistic on the gathered batch (`parts.processes.gather`), so that all processes have the
    same average. It also needs the whole batch, so an algorithm with an `Average` declares `whole_batch`.

    Attributes:
        value: the average so far, with the shape and type of `start`.
    """

    def __init__(self, start: Tensor, decay: float) -> None:
        """Begin with the state `start`, which fades like any other state."""
        super().__init__()
        self.decay = decay
        self.value: Tensor
        self.updates: Tensor
        self.register_buffer("value", start.clone())
        self.register_buffer("updates", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def update(self, found: Tensor) -> Tensor:
        """Update value <- d * value + (1 - d) * found, d = `effective_decay`; return the new value."""
        self.updates += 1
        self.value.lerp_(found, (1 - effective_decay(self.updates, self.decay)).to(self.value.dtype))
        return self.value

    def extra_repr(self) -> str:
        """Return the text that `print(algorithm)` shows."""
        return f"decay={self.decay}"
