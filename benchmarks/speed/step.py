"""The cost of a training step, and the part of it outside the networks' own forward and backward passes."""

import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from ssl_video.contract import Batch, LossOutput
from ssl_video.data.views import augment
from ssl_video.networks import assemble, flops
from ssl_video.networks.activation_checkpointing import saved_bytes
from ssl_video.networks.precision import autocast
from ssl_video.training import state
from ssl_video.training.optimizer import clip_gradients, clip_groups
from ssl_video.training.state import Training

# Dense bf16 operations per second, from NVIDIA's data sheets (SXM versions if there are several).
_PEAKS = {"H200": 989e12, "H100 PCIe": 756e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12}


@dataclass(frozen=True)
class StepCost:
    """Medians over steps, in seconds, and further measurements.

    Attributes:
        data: waiting for the batch: reading frames, augmentation, transfer to the device.
        augmentation: the part of `data` that is augmentation; 0 if worker processes do it.
        networks: the forward and backward passes of the networks alone, on the same clips.
        rest: losses, pseudo-labels, clipping, optimizer, teachers, and everything else in a step.
        clips: videos per step.
        peak: peak memory in bytes, on the device or, on CPU, of the whole process.
        kept: bytes that the forward pass stores for the backward pass.
        flops: floating-point operations of a step, a multiply-add counted as two.
        steps: seconds of every measured step without its data.
        textbook: seconds of a textbook FixMatch step measured right after each; empty if not requested.
    """

    data: float
    augmentation: float
    networks: float
    rest: float
    clips: int
    peak: int
    kept: int
    flops: int
    steps: tuple[float, ...]
    textbook: tuple[float, ...]

    @property
    def total(self) -> float:
        """Seconds of a whole step."""
        return self.data + self.networks + self.rest

    @property
    def speed(self) -> float:
        """Floating-point operations per second of the whole step."""
        return self.flops / self.total

    @property
    def overhead(self) -> float:
        """Fraction of the step outside the networks' own passes."""
        return 1 - self.networks / self.total


def measure(run: Training, repeat: int, textbook: Training | None = None, warmup: int = 2) -> StepCost:
    """Measure steps of a run; right after each step, its networks alone are run again.

    Args:
        run: a fresh run; it is trained a little by this, and nothing is written.
        repeat: number of measured steps.
        textbook: a run to compare with, see `textbook_fixmatch`; its steps alternate with the run's.
        warmup: number of unmeasured steps before them.
    """
    batches, others = run.batches(), textbook.batches() if textbook else iter(())
    run.algorithm.train()
    run.assembly.begin(run.spec.steps - 1)  # of the steps that train everything
    data, augmentation, whole, bare, compared = [], [], [], [], []
    peak = kept = flops = 0
    for number in range(warmup + repeat):
        with _augmenting() as spent:
            seconds, batch = _timed(run.device, lambda: next(batches))
        if run.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(run.device)
        with _calls(run) as calls:
            step = _timed(run.device, lambda batch=batch: _step(run, batch))[0]  # type: ignore[misc]
        # A process's peak on CPU never falls: only the first step's peak excludes other measurements.
        peak = max(peak, _peak(run.device)) if run.device.type == "cuda" else peak or _peak(run.device)
        flops = flops or _flops(lambda batch=batch: _step(run, batch))  # type: ignore[misc]
        kept = kept or saved_bytes(lambda batch=batch: _forward(run, batch))
        alone = _timed(run.device, lambda calls=calls: _replay(run, calls))[0]  # type: ignore[misc]
        other = _textbook_step(textbook, next(others)) if textbook else 0.0
        if number >= warmup:
            data.append(seconds)
            augmentation.append(sum(spent))
            whole.append(step)
            bare.append(alone)
            compared.append(other)
    return StepCost(
        data=statistics.median(data),
        augmentation=statistics.median(augmentation),
        networks=statistics.median(bare),
        rest=statistics.median(s - b for s, b in zip(whole, bare, strict=True)),
        clips=run.clips_per_step(),
        peak=peak,
        kept=kept,
        flops=flops,
        steps=tuple(whole),
        textbook=tuple(compared) if textbook else (),
    )


def textbook_fixmatch(run: Training, folder: Path) -> Training:
    """Set up FixMatch as it is usually written, with the run's first network, clips and optimizer.

    All clips go through the network in one pass with gradient, in float32, with torch's own convolutions in
    its contiguous layout.
    """
    network = next(iter(run.spec.networks.values()))
    spec = run.spec.model_copy(
        update={
            "algorithm": "fixmatch",
            "options": {"passes": "joint"},
            "networks": {"model": network},
            "precision": "float32",
        }
    )
    with mock.patch.object(state, "place", lambda network, device: network.to(device)):
        made = Training(assemble.resolve(spec, run.device), run.data, run.partition, folder, run.execution)
    made.algorithm.train()
    return made


def _textbook_step(run: Training, batch: Batch) -> float:
    """Measure the seconds of one step on contiguous clips."""
    kinds = ({name: clip.contiguous() for name, clip in k.items()} for k in (batch.labeled, batch.unlabeled))
    labeled, unlabeled = kinds
    plain = batch._replace(labeled=labeled, unlabeled=unlabeled)
    return _timed(run.device, lambda: _step(run, plain))[0]


def fraction_of_peak(speed: float, device: str) -> float | None:
    """Return the fraction of a GPU's dense bf16 peak, in [0, 1]; None if the peak is not known.

    Args:
        speed: floating-point operations per second.
        device: the GPU's name, as torch reports it.
    """
    peak = next((peak for name, peak in _PEAKS.items() if name in device), None)
    return speed / peak if peak else None


def _flops(work: Callable[[], Any]) -> int:
    with flops.counter() as counting:
        work()
    return int(counting.get_total_flops())


def _forward(run: Training, batch: Batch) -> LossOutput:
    with autocast(run.spec, run.device):
        output: LossOutput = run.algorithm(batch, 0.5)
    return output


def _step(run: Training, batch: Batch) -> None:
    _forward(run, batch).loss.backward()
    clip_gradients(clip_groups(run.algorithm), run.spec.clip_norm)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    run.algorithm.after_step(0.5)
    run.assembly.after_step()


@contextmanager
def _augmenting() -> Iterator[list[float]]:
    """Measure the seconds of every augmentation inside the block, in this process."""
    spent: list[float] = []
    apply = augment.apply

    def timed(*arguments: Any) -> Tensor:
        began = time.perf_counter()
        made = apply(*arguments)
        spent.append(time.perf_counter() - began)
        return made

    with mock.patch.object(augment, "apply", timed):
        yield spent


@contextmanager
def _calls(run: Training) -> Iterator[list[tuple[nn.Module, Tensor, bool]]]:
    """Record every call of a network during a step: the network, its clips, and whether gradients were on."""
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


def _peak(device: torch.device) -> int:
    """Return the peak memory so far, in bytes."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
