"""What a run's networks compute, counted: the same on every machine, whatever else it does."""

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from ssl_video.contract import Task
from ssl_video.engine.assemble import assemble
from ssl_video.engine.noise import noise
from ssl_video.spec import Spec

# Labeled clips of a counted step, and unlabeled ones; what a real step has follows, as both count linearly.
_FEW = 2
# Methods that begin with labels alone have gone over to their whole loss by then.
_PROGRESS = 0.5


@dataclass(frozen=True)
class Operations:
    """Multiply-adds.

    Attributes:
        forward: of the headline predictor, for one clip and crop.
        step: of everything in one training step, forward and backward, over all processes.
    """

    forward: int
    step: int


def count(spec: Spec, classes: int) -> Operations:
    """The operations of a run, counted on clips of noise; convolutions, matrix products and attention.

    Args:
        spec: a resolved specification.
        classes: number of classes.

    Raises:
        InputError: see `assemble.assemble`.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        few, many = _step(spec, classes, _FEW), _step(spec, classes, 2 * _FEW)
        unlabeled = (many - few) / _FEW
        labeled = few / _FEW - unlabeled
        step = labeled * spec.labeled_batch + unlabeled * spec.unlabeled_batch
        return Operations(_forward(spec, classes), round(step))


def _step(spec: Spec, classes: int, unlabeled: int) -> int:
    """Multiply-adds of a step with `_FEW` labeled clips."""
    assembly = assemble(spec, Task(classes, unlabeled), trained=True)
    algorithm = assembly.algorithm.train()
    batch = noise(assembly, _FEW, unlabeled, classes=classes, size=spec.size)
    with FlopCounterMode(display=False) as counter:
        algorithm(batch, _PROGRESS).loss.backward()
    # torch counts a multiply-add as two operations.
    return counter.get_total_flops() // 2


def _forward(spec: Spec, classes: int) -> int:
    assembly = assemble(spec, Task(classes, _FEW), trained=True)
    name, predictor = next(iter(assembly.predictors().items()))
    clip = torch.randn(1, 3, assembly.shape_for(name).frames, spec.size, spec.size)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        predictor.eval()(clip)
    return counter.get_total_flops() // 2
