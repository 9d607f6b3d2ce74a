"""Rows of all processes."""

import multiprocessing

import pytest
import torch
from helpers.processes import side_by_side

from ssl_video.algorithms.parts.processes import gather
from ssl_video.training.distributed import Processes
from ssl_video.training.execution import Execution

TWO = Execution("cpu", devices=2)


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

    def types() -> list[torch.dtype]:
        Processes(TWO)
        kinds = torch.bfloat16, torch.float32, torch.long
        return [gather(torch.ones(1, dtype=kind)).dtype for kind in kinds]

    expected = [torch.float32, torch.float32, torch.long]
    assert side_by_side(TWO, types) == [expected, expected], "sums of gradients in bfloat16 lose digits"
    first, second = side_by_side(TWO, gradient)
    assert first[0] == second[0] == [1, 2, 3, 4]
    assert first[1] == second[1] == [40, 40]
    assert (first[2] + second[2]) / 2 == 200
