"""Two threads that stand for two processes."""

import pytest
import torch
from torch import Tensor, distributed, nn

from ssl_video import gather
from ssl_video.testing import processes
from ssl_video.testing.processes import TwoRanks


def test_they_gather_with_the_gradient_of_the_whole_batch() -> None:
    """As real ones do (parts/test_parts.py): rows 1, 2 and 3, 4; the loss is the square of their sum."""
    rows = [torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0, 4.0], requires_grad=True)]

    def work(rank: int) -> Tensor:
        found = gather(rows[rank])
        found.sum().square().backward()
        return found.detach()

    for found in TwoRanks().run(work):
        assert found.tolist() == [1, 2, 3, 4]
    for mine in rows:
        assert mine.grad is not None
        assert mine.grad.tolist() == [40, 40]
    assert not distributed.is_initialized()
    assert gather(rows[0]) is rows[0], "afterwards there is one process again"


def test_buffers_are_the_first_ones_and_gradients_are_averaged() -> None:
    networks = [nn.BatchNorm1d(1), nn.BatchNorm1d(1)]
    pair = TwoRanks()

    def work(rank: int) -> None:
        network = networks[rank]
        network.get_buffer("running_mean").fill_(rank + 5)
        network.weight.grad = torch.tensor([float(2 * rank)])  # and none for the bias
        pair.same_buffers(network)
        pair.average(network)

    pair.run(work)
    for network in networks:
        assert network.get_buffer("running_mean").item() == 5
        assert network.weight.grad is not None
        assert network.weight.grad.item() == 1


def test_one_that_waits_for_the_other_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_SECONDS", 0.2)
    with pytest.raises(TimeoutError, match="one process waits for the other, which does not communicate"):
        TwoRanks().run(lambda rank: gather(torch.ones(1)) if rank == 0 else None)


def test_what_one_raises_is_raised() -> None:
    def work(rank: int) -> None:
        if rank == 1:
            raise ZeroDivisionError("here")
        gather(torch.ones(1))

    with pytest.raises(ZeroDivisionError, match="here"):
        TwoRanks().run(work)
