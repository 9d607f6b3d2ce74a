"""Count the operations of a run's networks, independently of the machine and its load."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ssl_video.backbones.probe import Probe
from ssl_video.contract import Task
from ssl_video.networks import frozen
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
        step: of everything in one training step, forward and backward, over all processes; of a run that
            reads stored features, without the frozen networks.
        features: of the frozen networks for all features that a run stores for training.
    """

    forward: float
    step: float
    features: float = 0.0


def counter() -> FlopCounterMode:
    """Return a context that counts floating-point operations, a multiply-add as two."""
    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.convolution_backward: _backward})


def count(spec: Spec, classes: int, stored: Mapping[str, Probe] | None = None) -> Operations:
    """Return a run's operations, counted on random clips: convolutions, matrix products and attention.

    Args:
        spec: a resolved specification.
        classes: number of classes.
        stored: the run's frozen networks whose features it reads, by role; they are used as they are, which
            saves building them. None: as the settings say, see `frozen.readers`.

    Raises:
        InputError: see `assemble.assemble`.
        Exception: the error of a method that cannot run on such clips.
    """
    # Seeding also seeds the GPUs, and a run in progress needs their states.
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    with torch.random.fork_rng(devices):
        torch.manual_seed(0)
        return Operations(_forward(spec, classes, stored), round(_training(spec, classes, stored)))


def of_features(network: Probe, frames: int, size: int) -> int:
    """Return the multiply-adds of a frozen network's pass over one clip."""
    with _countable(), counter() as counting:
        network.features(_clip(frames, size, _device(network)))
    return counting.get_total_flops() // 2


def _training(spec: Spec, classes: int, stored: Mapping[str, Probe] | None) -> float:
    """Return the multiply-adds of a run's step, computed from steps with fewer clips.

    Raises:
        Exception: the error of a method that runs neither on so few clips nor on few in the run's own ratio.
    """

    def step(labeled: int, unlabeled: int) -> int:
        return _step(spec, classes, labeled, unlabeled, stored)

    try:
        few, many = step(_FEW, _FEW), step(_FEW, 2 * _FEW)
    except Exception:  # of any kind: the method may depend on the numbers of its clips
        parts = math.gcd(spec.labeled_batch, spec.unlabeled_batch)
        fewest = [batch // parts for batch in (spec.labeled_batch, spec.unlabeled_batch)]
        if sum(fewest) > _MOST:
            raise
        # Batch norm may need two clips.
        times = min(2, parts)
        return step(*(times * clips for clips in fewest)) * parts / times
    unlabeled = (many - few) / _FEW
    labeled = few / _FEW - unlabeled
    return labeled * spec.labeled_batch + unlabeled * spec.unlabeled_batch


def _step(spec: Spec, classes: int, labeled: int, unlabeled: int, stored: Mapping[str, Probe] | None) -> int:
    """Return the multiply-adds of a step with these numbers of clips."""

    def step(device: torch.device, modules: Mapping[str, Probe]) -> None:
        with device:
            assembly = assemble(spec, Task(classes, unlabeled), trained=True, modules=modules)
        roles = frozen.readers(spec, assembly.algorithm) if stored is None else stored
        batch = random_batch(
            *(assembly, labeled, unlabeled), classes=classes, size=spec.size, device=device, stored=roles
        )
        with counting:
            assembly.algorithm.train()(batch, _PROGRESS).loss.backward()

    counting = counter()
    return _counted(spec, counting, step, stored or {})


def _forward(spec: Spec, classes: int, stored: Mapping[str, Probe] | None = None) -> int:
    def forward(device: torch.device, modules: Mapping[str, Probe]) -> None:
        with device:
            assembly = assemble(spec, Task(classes, _FEW), trained=True, modules=modules)
        name, predictor = next(iter(assembly.predictors().items()))
        clip = _clip(assembly.shape_for(name).frames, spec.size, device)
        # In inference_mode, torch 2.4 counts nothing.
        with torch.no_grad(), counting:
            predictor.eval()(clip)

    counting = counter()
    return _counted(spec, counting, forward, stored or {})


def _counted(
    spec: Spec,
    counting: FlopCounterMode,
    compute: Callable[[torch.device, Mapping[str, Probe]], None],
    stored: Mapping[str, Probe],
) -> int:
    """Return the multiply-adds that `compute` performs under `counting`, given a device and networks by role.

    They depend only on shapes, so the meta device is enough unless a method depends on its clips' values.
    There, a pass takes longer than a real one, so that networks that are all there are used in its place.
    """
    with _countable():
        if stored.keys() == spec.networks.keys():
            # A copy of a probe shares the frozen network.
            copies = {role: copy.deepcopy(network) for role, network in stored.items()}
            compute(_device(next(iter(stored.values()))), copies)
        else:
            try:
                compute(torch.device("meta"), {})
            except RuntimeError:
                compute(torch.device("cpu"), {})
    # torch counts a multiply-add as two operations.
    return counting.get_total_flops() // 2


def _countable() -> AbstractContextManager[None]:
    """Return a context in which attention is computed by matrix products; the CPU's own is not counted."""
    return sdpa_kernel(SDPBackend.MATH)


def _clip(frames: int, size: int, device: torch.device) -> Tensor:
    return torch.randn(1, 3, frames, size, size, device=device)


def _device(network: Probe) -> torch.device:
    return next(network.head.parameters()).device


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
