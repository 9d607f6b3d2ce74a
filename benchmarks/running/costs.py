"""What a training step of a specification costs: videos, multiply-adds, seconds. Needs no data."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ssl_video.contract import Task
from ssl_video.engine import assemble, operations
from ssl_video.engine.evaluate import autocast
from ssl_video.engine.layout import place
from ssl_video.engine.noise import noise
from ssl_video.errors import InputError
from ssl_video.spec import Spec

# How many classes there are is not known before the data is there, and hardly matters here.
_CLASSES = 2
_CLIPS = 6  # of a measured step
_REPEAT = 3


def clips(spec: Spec) -> int:
    """Videos that a step reads.

    Raises:
        InputError: the algorithm, a network or a view cannot be built.
    """
    unlabeled = assemble.check(spec, _CLASSES).unlabeled
    return spec.labeled_batch + (spec.unlabeled_batch if unlabeled else 0)


def gigaoperations(spec: Spec) -> float:
    """10^9 multiply-adds of a step, forward and backward.

    Raises:
        InputError: see `assemble.assemble`; a method that takes no few clips of noise.
    """
    with _told(spec):
        return operations.count(spec, _CLASSES).step / 1e9


def seconds(spec: Spec, device: torch.device) -> float:
    """Seconds that the networks take for a step, without data: the median of a few on fewer clips, scaled.

    Raises:
        InputError: see `gigaoperations`.
    """
    assembly = assemble.assemble(spec, Task(_CLASSES, _CLIPS), trained=True)
    algorithm = place(assembly.algorithm, device).train()
    whole, labeled, unlabeled = clips(spec), _CLIPS, 0
    if algorithm.unlabeled:
        labeled = min(max(1, round(_CLIPS * spec.labeled_batch / whole)), _CLIPS - 1)
        unlabeled = _CLIPS - labeled
    batch = noise(assembly, labeled, unlabeled, classes=_CLASSES, size=spec.size, device=device)
    taken = []
    for _ in range(1 + _REPEAT):
        began = time.perf_counter()
        with _told(spec):
            with autocast(spec, device):
                loss = algorithm(batch, 0.5).loss
            loss.backward()
        algorithm.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - began)
    return sorted(taken[1:])[_REPEAT // 2] * whole / _CLIPS


@contextmanager
def _told(spec: Spec) -> Iterator[None]:
    """What a method raises that looks at its clips, as something to be mended by another measure of cost."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = (str(error) or "no reason given").splitlines()[0]
        raise InputError(
            f"{spec.algorithm}: what a step costs cannot be found, as the method does not take clips of "
            f"noise, few at a time ({type(error).__name__}: {reason}); --match clips and a --dry-run without "
            "--measure do not need it"
        ) from error
