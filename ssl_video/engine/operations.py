"""What a run's networks compute, counted: the same on every machine, whatever else it does."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ssl_video.contract import Task
from ssl_video.engine.assemble import assemble
from ssl_video.engine.noise import noise
from ssl_video.spec import Spec

# Labeled clips of a counted step, and unlabeled ones; what a real step has follows, as both count linearly.
_FEW = 2
# Clips of the smallest step in the own ratio of a run; larger ones are not counted, as they are computed
# where a method looks at their numbers.
_MOST = 8
# Methods that begin with labels alone have gone over to their whole loss by then.
_PROGRESS = 0.5


@dataclass(frozen=True)
class Operations:
    """Multiply-adds, whole numbers; nan where they could not be counted.

    Attributes:
        forward: of the headline predictor, for one clip and crop.
        step: of everything in one training step, forward and backward, over all processes.
    """

    forward: float
    step: float


def counter() -> FlopCounterMode:
    """Counts floating-point operations, a multiply-add as two, of what runs inside its `with`."""
    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.convolution_backward: _backward})


def count(spec: Spec, classes: int) -> Operations:
    """The operations of a run, counted on clips of noise; convolutions, matrix products and attention.

    Args:
        spec: a resolved specification.
        classes: number of classes.

    Raises:
        InputError: see `assemble.assemble`.
        Exception: what the method raises that takes no such clips.
    """
    # Seeding seeds the GPUs, too, whose states a run that has begun needs.
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        torch.manual_seed(0)
        return Operations(_forward(spec, classes), round(_training(spec, classes)))


def _training(spec: Spec, classes: int) -> float:
    """Multiply-adds of a step of a run, from those of steps with fewer clips.

    Raises:
        Exception: what the method raises that takes neither so few clips nor fewer in the run's own ratio.
    """
    try:
        few, many = _step(spec, classes, _FEW, _FEW), _step(spec, classes, _FEW, 2 * _FEW)
    except Exception:  # of any kind: the method may look at its clips one by one
        parts = math.gcd(spec.labeled_batch, spec.unlabeled_batch)
        fewest = [batch // parts for batch in (spec.labeled_batch, spec.unlabeled_batch)]
        if sum(fewest) > _MOST:
            raise
        # Batch norm may need two.
        times = min(2, parts)
        return _step(spec, classes, *(times * clips for clips in fewest)) * parts / times
    unlabeled = (many - few) / _FEW
    labeled = few / _FEW - unlabeled
    return labeled * spec.labeled_batch + unlabeled * spec.unlabeled_batch


def _step(spec: Spec, classes: int, labeled: int, unlabeled: int) -> int:
    """Multiply-adds of a step with so many clips."""

    def step(device: torch.device) -> None:
        with device:
            assembly = assemble(spec, Task(classes, unlabeled), trained=True)
        batch = noise(assembly, labeled, unlabeled, classes=classes, size=spec.size, device=device)
        with counting:
            assembly.algorithm.train()(batch, _PROGRESS).loss.backward()

    counting = counter()
    return _counted(counting, step)


def _forward(spec: Spec, classes: int) -> int:
    def forward(device: torch.device) -> None:
        with device:
            assembly = assemble(spec, Task(classes, _FEW), trained=True)
        name, predictor = next(iter(assembly.predictors().items()))
        frames = assembly.shape_for(name).frames
        clip = torch.randn(1, 3, frames, spec.size, spec.size, device=device)
        # In inference_mode, torch 2.4 counts nothing.
        with torch.no_grad(), counting:
            predictor.eval()(clip)

    counting = counter()
    return _counted(counting, forward)


def _counted(counting: FlopCounterMode, compute: Callable[[torch.device], None]) -> int:
    """Multiply-adds of what `compute` does under `counting`.

    They follow from shapes alone, so nothing is computed but where a method looks at its numbers.
    """
    try:
        compute(torch.device("meta"))
    except RuntimeError:
        compute(torch.device("cpu"))
    # torch counts a multiply-add as two operations.
    return counting.get_total_flops() // 2


def _backward(
    gradient: Sequence[int], inputs: Sequence[int], weights: Sequence[int], *arguments: Any, **_: Any
) -> int:
    """Operations of a convolution's backward pass: each gradient costs what the forward pass did.

    torch's own formula (2.15) takes every convolution for one without groups, and so counts the gradient of
    depthwise weights as many times too high as there are channels.

    Args:
        gradient, inputs: shapes (N, C, ...) of the outputs' gradient and of the inputs.
        weights: shape (out, in / groups, ...).
        arguments: bias, stride, padding, dilation, transposed, output padding, groups, and which gradients of
            inputs, weights and bias are asked for.
    """
    transposed, wanted = arguments[4], arguments[7]
    places = math.prod((inputs if transposed else gradient)[2:])
    return 2 * gradient[0] * places * math.prod(weights) * (bool(wanted[0]) + bool(wanted[1]))
