"""Two threads that simulate two processes by replacing the functions of torch.distributed.

Forked processes cannot run a backward pass if the program has already run one on a GPU. Spawned processes
take seconds to start and need the algorithm in a file.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, distributed, nn

_SECONDS = 30  # time limit of a wait for the other thread


class TwoRanks:
    """Two ranks and their communication."""

    def __init__(self) -> None:
        self._place, self._held = threading.local(), [None, None]
        self._barrier = threading.Barrier(2, timeout=_SECONDS)

    def run(self, work: Callable[[int], Any]) -> list[Any]:
        """Return the results of `work(rank)` for both ranks.

        Raises:
            TimeoutError: one rank waits for the other one, which does not communicate.
        """
        results: list[Any] = [None, None]
        errors: list[BaseException] = []

        def member(rank: int) -> None:
            self._place.rank = rank
            torch.set_num_threads(1)
            try:
                results[rank] = work(rank)
            except BaseException as error:  # noqa: BLE001 - raised again by the thread that called
                errors.append(error)
                self._barrier.abort()

        threads = [threading.Thread(target=member, args=(rank,)) for rank in (0, 1)]
        with self._answering():
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if errors:
            first = next((e for e in errors if not isinstance(e, threading.BrokenBarrierError)), None)
            raise first or TimeoutError("one process waits for the other, which does not communicate")
        return results

    def same_buffers(self, algorithm: nn.Module) -> None:
        """Copy rank 0's buffers to both, as training does before each step."""
        for buffer in algorithm.buffers():
            self._broadcast(buffer, 0)

    def average(self, algorithm: nn.Module) -> None:
        """Average all gradients over both ranks, as training does."""
        for parameter in algorithm.parameters():
            if parameter.grad is not None:
                self._all_reduce(parameter.grad)
                parameter.grad /= 2

    def _exchange(self, value: Tensor) -> Sequence[Any]:
        self._held[self._place.rank] = value.detach().clone()
        self._barrier.wait()
        found = list(self._held)
        self._barrier.wait()  # or the next exchange could overwrite a value that is not read yet
        return found

    def _all_gather(self, tensors: list[Tensor], tensor: Tensor, *_: Any, **__: Any) -> None:
        for mine, theirs in zip(tensors, self._exchange(tensor), strict=True):
            mine.copy_(theirs)

    def _all_reduce(self, tensor: Tensor, *_: Any, **__: Any) -> None:
        one, other = self._exchange(tensor)
        tensor.copy_(one + other)

    def _broadcast(self, tensor: Tensor, source: int, *_: Any, **__: Any) -> None:
        tensor.copy_(self._exchange(tensor)[source])

    @contextmanager
    def _answering(self) -> Iterator[None]:
        answers: dict[str, Any] = {
            "is_available": lambda: True,
            "is_initialized": lambda: hasattr(self._place, "rank"),
            "get_world_size": lambda *_: 2,
            "get_rank": lambda *_: self._place.rank,
            "all_gather": self._all_gather,
            "all_reduce": self._all_reduce,
            "broadcast": self._broadcast,
        }
        with mock.patch.multiple(distributed, create=True, **answers):
            yield
