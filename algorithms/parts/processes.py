"""The one thing that an algorithm may know of other processes: the rest of the batch."""

from typing import Any

import torch
from torch import Tensor, distributed


def gather(rows: Tensor) -> Tensor:
    """The rows of all processes in the order of ranks, (N, ...) -> (processes * N, ...); alone the same.

    For whatever looks at a batch as a whole: statistics of predictions, memories, contrastive losses. Such an
    algorithm declares `whole_batch`, as the parts of a step (`accumulate`) cannot be gathered. What all
    processes compute of the gathered rows is equal, and its gradient, averaged over the processes as training
    does it, is that of one process with the whole batch.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return rows
    gathered: Tensor = _Gather.apply(rows)
    return gathered


class _Gather(torch.autograd.Function):
    """all_gather with a gradient: each process's rows get the sum of what all losses say of them."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        """All processes' rows."""
        gathered = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
        distributed.all_gather(gathered, rows.contiguous())
        return torch.cat(gathered)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """This process's rows of the summed gradients."""
        total = gradient.contiguous()
        distributed.all_reduce(total)
        return total.chunk(distributed.get_world_size())[distributed.get_rank()]
