"""The only access of an algorithm to other processes: gathering the whole batch."""

from typing import Any

import torch
from torch import Tensor, distributed

_SHORT = (torch.bfloat16, torch.float16)


def gather(rows: Tensor) -> Tensor:
    """Return the rows of all processes in rank order, (N, ...) -> (processes * N, ...).

    Use it for computations over the whole batch: statistics of predictions, memories, contrastive losses.
    Such an algorithm declares `whole_batch`, because the parts of a step (`accumulate`) cannot be gathered.
    All processes compute the same values from the gathered rows. Training averages gradients over the
    processes, so the gradient is that of one process with the whole batch. With one process, the rows are
    returned unchanged; with several, those of 16 bits become float32.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return rows
    # Gradients of several processes are summed, in which bfloat16 would lose digits.
    gathered: Tensor = _Gather.apply(rows.float() if rows.dtype in _SHORT else rows)
    return gathered


class _Gather(torch.autograd.Function):
    """all_gather with a gradient: the sum of the gradients of all processes' losses."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        """Return all processes' rows."""
        gathered = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
        distributed.all_gather(gathered, rows.contiguous())
        return torch.cat(gathered)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Return this process's rows of the summed gradients."""
        total = gradient.contiguous()
        distributed.all_reduce(total)
        return total.chunk(distributed.get_world_size())[distributed.get_rank()]
