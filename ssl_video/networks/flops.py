"""Count the operations of a run's networks, independently of the machine and its load."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ssl_video.contract import Task
from ssl_video.networks.assemble import assemble
from ssl_video.networks.random_batch import random_batch
from ssl_video.spec import Spec

# Labeled clips of a counted step, and unlabeled ones. Operations are linear in both, so this suffices.
_FEW = 2
# The most clips of the smallest step in a run's own ratio. Larger steps are not counted, because a method
# that depends on its clips' values needs real computation.
_MOST = 8
# At this progress, methods that begin with labels only use their full loss.
_PROGRESS = 0.5


@dataclass(frozen=True)
class Operations:
    """Multiply-adds, integers; nan if they could not be counted.

    Attributes:
        forward: of the headline predictor, for one clip and crop.
        step: of everything in one training step, forward and backward, over all processes.
    """

    forward: float
    step: float


def counter() -> FlopCounterMode:
    """Return a context that counts floating-point operations, a multiply-add as two."""
    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.convolution_backward: _backward})


def count(spec: Spec, classes: int) -> Operations:
    """Return a run's operations, counted on random clips: convolutions, matrix products and attention.

    Args:
        spec: a resolved specification.
        classes: number of classes.

    Raises:
        InputError: see `assemble.assemble`.
        Exception: the error of a method that cannot run on such clips.
    """
    # Seeding also seeds the GPUs, and a run in progress needs their states.
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        torch.manual_seed(0)
        return Operations(_forward(spec, classes), round(_training(spec, classes)))


def _training(spec: Spec, classes: int) -> float:
    """Return the multiply-adds of a run's step, computed from steps with fewer clips.

    Raises:
        Exception: the error of a method that runs neither on so few clips nor on few in the run's own ratio.
    """
    try:
        few, many = _step(spec, classes, _FEW, _FEW), _step(spec, classes, _FEW, 2 * _FEW)
    except Exception:  # of any kind: the method may depend on the numbers of its clips
        parts = math.gcd(spec.labeled_batch, spec.unlabeled_batch)
        fewest = [batch // parts for batch in (spec.labeled_batch, spec.unlabeled_batch)]
        if sum(fewest) > _MOST:
            raise
        # Batch norm may need two clips.
        times = min(2, parts)
        return _step(spec, classes, *(times * clips for clips in fewest)) * parts / times
    unlabeled = (many - few) / _FEW
    labeled = few / _FEW - unlabeled
    return labeled * spec.labeled_batch + unlabeled * spec.unlabeled_batch


def _step(spec: Spec, classes: int, labeled: int, unlabeled: int) -> int:
    """Return the multiply-adds of a step with these numbers of clips."""

    def step(device: torch.device) -> None:
        with device:
            assembly = assemble(spec, Task(classes, unlabeled), trained=True)
        batch = random_batch(assembly, labeled, unlabeled, classes=classes, size=spec.size, device=device)
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
    """Return the multiply-adds that `compute` performs under `counting`.

    They depend only on shapes, so the meta device is enough unless a method depends on its clips' values.
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
    """Return the operations of a convolution's backward pass: each gradient costs one forward pass.

    torch's own formula (2.15) ignores groups, and so counts the gradient of depthwise weights too high by a
    factor of the number of channels.

    Args:
        gradient, inputs: shapes (N, C, ...) of the outputs' gradient and of the inputs.
        weights: shape (out, in / groups, ...).
        arguments: bias, stride, padding, dilation, transposed, output padding, groups, and flags of the
            requested gradients (inputs, weights, bias).
    """
    transposed, wanted = arguments[4], arguments[7]
    places = math.prod((inputs if transposed else gradient)[2:])
    return 2 * gradient[0] * places * math.prod(weights) * (bool(wanted[0]) + bool(wanted[1]))
