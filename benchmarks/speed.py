"""What a training step costs, and how much of it is not its networks' own forward and backward passes."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ssl_video.contract import Batch
from ssl_video.engine.evaluate import autocast
from ssl_video.engine.optimize import clip_gradients
from ssl_video.engine.train import Training


@dataclass(frozen=True)
class StepCost:
    """Medians over steps, in seconds.

    Attributes:
        data: making the batch: reading frames, augmentation, transfer to the device.
        networks: the forward and backward passes of the networks alone, on the same clips.
        rest: losses, pseudo-labels, clipping, optimizer, teachers, and whatever else a step does.
        clips: videos per step.
    """

    data: float
    networks: float
    rest: float
    clips: int

    @property
    def total(self) -> float:
        """Seconds of a whole step."""
        return self.data + self.networks + self.rest

    @property
    def overhead(self) -> float:
        """Share of the step that is not the networks' own passes."""
        return 1 - self.networks / self.total


def measure(run: Training, repeat: int, warmup: int = 2) -> StepCost:
    """Measure steps of a run; every step's networks are run again alone, right after it.

    Args:
        run: a fresh run; it is trained a little by this, and nothing is written.
        repeat: number of measured steps.
        warmup: number of steps before them.
    """
    batches = run.batches()
    run.algorithm.train()
    data, whole, bare = [], [], []
    for number in range(warmup + repeat):
        seconds, batch = _timed(run.device, lambda: next(batches))
        with _calls(run) as calls:
            step = _timed(run.device, lambda batch=batch: _step(run, batch))[0]  # type: ignore[misc]
        alone = _timed(run.device, lambda calls=calls: _replay(run, calls))[0]  # type: ignore[misc]
        if number >= warmup:
            data.append(seconds)
            whole.append(step)
            bare.append(alone)
    networks = statistics.median(bare)
    rest = statistics.median(s - b for s, b in zip(whole, bare, strict=True))
    return StepCost(statistics.median(data), networks, rest, run.clips_per_step())


def _step(run: Training, batch: Batch) -> None:
    with autocast(run.spec, run.device):
        output = run.algorithm(batch, 0.5)
    output.loss.backward()
    clip_gradients(run.algorithm, run.spec.clip_norm)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    run.algorithm.after_step(0.5)


@contextmanager
def _calls(run: Training) -> Iterator[list[tuple[nn.Module, Tensor, bool]]]:
    """Every call of a network during a step: the network, its clips, and whether it kept a gradient."""
    calls: list[tuple[nn.Module, Tensor, bool]] = []

    def note(network: nn.Module, inputs: tuple[Any, ...]) -> None:
        calls.append((network, inputs[0].detach(), torch.is_grad_enabled()))

    handles = [n.register_forward_pre_hook(note) for n in set(run.algorithm.predictors().values())]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _replay(run: Training, calls: list[tuple[nn.Module, Tensor, bool]]) -> None:
    for network, clips, gradient in calls:
        with torch.set_grad_enabled(gradient), autocast(run.spec, run.device):
            out = network(clips)
        if gradient:
            out.float().sum().backward()
    run.optimizer.zero_grad(set_to_none=True)


def _timed(device: torch.device, work: Callable[[], Any]) -> tuple[float, Any]:
    _wait(device)
    began = time.perf_counter()
    result = work()
    _wait(device)
    return time.perf_counter() - began, result


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
