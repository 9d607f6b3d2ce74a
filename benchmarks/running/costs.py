"""The cost of a specification's training step: videos, multiply-adds, seconds. Needs no data."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ssl_video.contract import Task
from ssl_video.errors import InputError
from ssl_video.networks import assemble, flops, frozen
from ssl_video.networks.memory import of_step
from ssl_video.networks.memory_format import place
from ssl_video.networks.precision import autocast
from ssl_video.networks.random_batch import PROGRESS, random_batch
from ssl_video.spec import Spec

# The number of classes is unknown without the data, and hardly changes the cost.
_CLASSES = 2
_CLIPS = 6  # per measured step
_REPEAT = 3


def clips(spec: Spec) -> int:
    """Return the number of videos that a step reads.

    Raises:
        InputError: the algorithm, a network or a view cannot be built.
    """
    unlabeled = assemble.check(spec, _CLASSES).unlabeled
    return spec.labeled_batch + (spec.unlabeled_batch if unlabeled else 0)


def gigaoperations(spec: Spec) -> float:
    """Return the multiply-adds of a step, forward and backward, in units of 10^9.

    Raises:
        InputError: see `assemble.assemble`; a method that cannot run on small random batches.
    """
    with _told(spec):
        return flops.count(spec, _CLASSES).step / 1e9


def seconds(spec: Spec, device: torch.device) -> float:
    """Measure the networks' seconds per step, without data: a median over fewer clips, scaled.

    A step on stored features has all of its clips, as most of its time does not depend on their number.

    Raises:
        InputError: see `gigaoperations`.
    """
    assembly = assemble.assemble(spec, Task(_CLASSES, max(_CLIPS, clips(spec))), trained=True)
    algorithm = place(assembly.algorithm, device).train()
    assembly.begin(spec.steps - 1)
    whole, stored = clips(spec), frozen.readers(spec, algorithm)
    used = whole if stored else _CLIPS
    labeled, unlabeled = used, 0
    if algorithm.unlabeled:
        labeled = min(max(1, round(used * spec.labeled_batch / whole)), used - 1)
        unlabeled = used - labeled
    batch = random_batch(
        *(assembly, labeled, unlabeled), classes=_CLASSES, size=spec.size, device=device, stored=stored
    )
    taken = []
    for _ in range(1 + _REPEAT):
        began = time.perf_counter()
        with _told(spec):
            with autocast(spec, device):
                loss = algorithm(batch, PROGRESS).loss
            loss.backward()
        algorithm.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - began)
    if device.type == "cuda":
        # The runs that follow need the memory, and torch would keep it for this process.
        del assembly, algorithm, batch, loss
        torch.cuda.empty_cache()
    return sorted(taken[1:])[_REPEAT // 2] * whole / used


def memory(spec: Spec, processes: int = 1) -> int | None:
    """Return the bytes of a step in each process, see `ssl_video.networks.memory`.

    Returns:
        None if a step depends on the values of its clips, so that its memory cannot be predicted.

    Raises:
        InputError: the algorithm or a network cannot be built.
    """
    try:
        return of_step(spec, _CLASSES, processes).total
    except InputError:
        raise
    except Exception:  # noqa: BLE001 - of any kind, in the code of a method
        return None


@contextmanager
def _told(spec: Spec) -> Iterator[None]:
    """Re-raise errors from data-dependent methods as an InputError that suggests another measure of cost."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        reason = (str(error) or "no reason given").splitlines()[0]
        raise InputError(
            f"{spec.algorithm}: the cost of a step cannot be determined, because the method fails on small "
            f"batches of random clips ({type(error).__name__}: {reason}); --match clips and a --dry-run "
            "without --measure do not need it"
        ) from error
