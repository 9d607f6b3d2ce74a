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
from ssl_video.networks.assemble import Assembly, assemble
from ssl_video.networks.random_batch import PROGRESS, random_batch
from ssl_video.spec import Spec

# Labeled clips of a counted step, and unlabeled ones. Operations are linear in both, so this suffices.
_FEW = 2
# The most clips of the smallest step in a run's own ratio. Larger steps are not counted, because a method
# that depends on its clips' values needs real computation.
_MOST = 8


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
        networks = _Networks(spec, classes, stored)
        return Operations(_forward(networks), round(_training(networks)))


def of_features(network: Probe, frames: int, size: int) -> int:
    """Return the multiply-adds of a frozen network's pass over one clip."""
    with _countable(), counter() as counting:
        network.features(_clip(frames, size, _device(network)))
    return counting.get_total_flops() // 2


class _Networks:
    """A run's networks, which are built once for all counted passes; for arguments see `count`."""

    def __init__(self, spec: Spec, classes: int, stored: Mapping[str, Probe] | None = None) -> None:
        self.spec, self.classes, self.stored = spec, classes, stored
        self._built = dict[torch.device, Assembly]()

    def on(self, device: torch.device) -> Assembly:
        """Return the networks on a device, with the stored ones if they are all there are."""
        if device not in self._built:
            # A copy of a probe shares the frozen network.
            stored = (self.stored or {}) if self._all_stored else {}
            copies = {role: copy.deepcopy(network) for role, network in stored.items()}
            task = Task(self.classes, 2 * _MOST)
            with device:
                self._built[device] = assemble(self.spec, task, trained=True, modules=copies)
        return self._built[device]

    def count(self, compute: Callable[[torch.device, FlopCounterMode], None]) -> int:
        """Return the multiply-adds that `compute` performs, given a device and a counter.

        They depend only on shapes, so the meta device is enough unless a method depends on its clips' values.
        There, a pass takes longer than a real one, so that networks that are all there are used in its place.
        """
        counting = counter()
        with _countable():
            if self._all_stored:
                compute(_device(next(iter((self.stored or {}).values()))), counting)
            else:
                try:
                    compute(torch.device("meta"), counting)
                except RuntimeError:
                    compute(torch.device("cpu"), counting)
        # torch counts a multiply-add as two operations.
        return counting.get_total_flops() // 2

    @property
    def _all_stored(self) -> bool:
        return (self.stored or {}).keys() == self.spec.networks.keys()


def _training(networks: _Networks) -> float:
    """Return the multiply-adds of a run's step, computed from steps with fewer clips.

    Raises:
        Exception: the error of a method that runs neither on so few clips nor on few in the run's own ratio.
    """
    spec = networks.spec
    try:
        few, many = _step(networks, _FEW, _FEW), _step(networks, _FEW, 2 * _FEW)
    except Exception:  # of any kind: the method may depend on the numbers of its clips
        parts = math.gcd(spec.labeled_batch, spec.unlabeled_batch)
        fewest = [batch // parts for batch in (spec.labeled_batch, spec.unlabeled_batch)]
        if sum(fewest) > _MOST:
            raise
        # Batch norm may need two clips.
        times = min(2, parts)
        labeled, unlabeled = (times * clips for clips in fewest)
        return _step(networks, labeled, unlabeled) * parts / times
    per_unlabeled = (many - few) / _FEW
    per_labeled = few / _FEW - per_unlabeled
    return per_labeled * spec.labeled_batch + per_unlabeled * spec.unlabeled_batch


def _step(networks: _Networks, labeled: int, unlabeled: int) -> int:
    """Return the multiply-adds of a step with these numbers of clips."""
    spec = networks.spec

    def step(device: torch.device, counting: FlopCounterMode) -> None:
        assembly = networks.on(device)
        roles = frozen.readers(spec, assembly.algorithm) if networks.stored is None else networks.stored
        batch = random_batch(
            *(assembly, labeled, unlabeled),
            classes=networks.classes,
            size=spec.size,
            device=device,
            stored=roles,
        )
        with counting:
            assembly.algorithm.train()(batch, PROGRESS).loss.backward()

    return networks.count(step)


def _forward(networks: _Networks) -> int:
    """Return the multiply-adds of the headline predictor for one clip and crop."""

    def forward(device: torch.device, counting: FlopCounterMode) -> None:
        assembly = networks.on(device)
        name, predictor = next(iter(assembly.predictors().items()))
        clip = _clip(assembly.shape_for(name).frames, networks.spec.size, device)
        # In inference_mode, torch 2.4 counts nothing.
        with torch.no_grad(), counting:
            predictor.eval()(clip)

    return networks.count(forward)


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
