"""Batches for the training loop, prepared here or ahead of it by other processes."""

import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from ssl_video.contract import Batch
from ssl_video.data.frames.store import Statistics
from ssl_video.data.pool import Pool
from ssl_video.errors import InputError
from ssl_video.signals import STOPPING, held_back, release

_WHOLE = range(1)


class _Places:
    """Every step's shares in their order, as the loader asks for them."""

    def __init__(self, steps: range, shares: range) -> None:
        self.steps, self.shares = steps, shares

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((step, share) for step in self.steps for share in self.shares)

    def __len__(self) -> int:
        return len(self.steps) * len(self.shares)


class _Pinnable:
    """A batch that is pinned as a whole; the loader by itself would copy what views share once per view.

    A worker sends what it read from the frame cache along.
    """

    def __init__(self, batch: Batch, read: Statistics) -> None:
        self.batch, self.read = batch, read

    def pin_memory(self) -> "_Pinnable":
        return _Pinnable(_each(self.batch, Tensor.pin_memory), self.read)


class _Steps(Dataset["_Pinnable | InputError"]):
    """A step and a share of it -> batch; what a loader's workers share.

    An error is handed over like a batch: one that is raised gets the worker's traceback as its message.
    """

    def __init__(self, labeled: Pool, labels: np.ndarray, unlabeled: Pool | None) -> None:
        self.labeled, self.labels, self.unlabeled = labeled, labels, unlabeled

    def __getitem__(self, place: tuple[int, int]) -> _Pinnable | InputError:
        try:
            batch = self.batch(*place)
            return _Pinnable(batch, self.labeled.store.take() if get_worker_info() else Statistics())
        except InputError as error:
            return error

    def batch(self, step: int, share: int) -> Batch:
        labels = torch.from_numpy(self.labels[self.labeled.places(step, share)])
        positions, clips = torch.empty(0, dtype=torch.long), dict[str, Tensor]()
        if self.unlabeled:
            positions = torch.from_numpy(self.unlabeled.positions(step, share))
            clips = self.unlabeled.clips(step, share)
        return Batch(self.labeled.clips(step, share), labels, clips, positions)


def batches(
    labeled: Pool,
    labels: np.ndarray,
    unlabeled: Pool | None,
    steps: range,
    device: torch.device,
    workers: int = 0,
    shares: range = _WHOLE,
) -> Iterator[Batch]:
    """The batches of the given steps, on the device; one after the other for each of the given shares.

    Args:
        labeled: the labeled clips.
        labels: their labels, by position.
        unlabeled: the unlabeled clips; None where the algorithm reads none, which then costs no decoding.
        steps: which steps, for example those that a resumed run still has to do.
        device: where to.
        workers: processes that prepare batches ahead; 0 prepares them in this one.
        shares: which shares of each step are this process's, of as many as the pools have.

    Raises:
        InputError: a video cannot be decoded, though it could be when the run began.
    """
    with warnings.catch_warnings(), held_back():
        # The loader advises as many workers as it sees cores; with cells side by side that is wrong.
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        loaded = iter(
            DataLoader(
                _Steps(labeled, labels, unlabeled),
                sampler=_Places(steps, shares),
                batch_size=None,
                num_workers=workers,
                pin_memory=device.type == "cuda",
                prefetch_factor=4 if workers else None,
                # Without one of its own it would draw from torch's, and a resumed run once more often.
                generator=torch.Generator(),
                worker_init_fn=_outlive_signals,
            )
        )
    try:
        for item in loaded:
            if isinstance(item, InputError):
                raise item
            labeled.store.add(item.read)
            yield to_device(item.batch, device)
    finally:
        # Its processes end with it. Left to the garbage collector, which may have taken the loader's queues
        # before, each would be waited for and killed after five seconds.
        del loaded


def _outlive_signals(_: int) -> None:
    """In a loader's process: schedulers signal every process of a job, but the run saves itself first.

    Without this, torch ends the run as soon as one of its loader's processes is gone. All of these signals
    are blocked since the process began, see `held_back`; SIGTERM stays blocked.
    """
    for number in set(STOPPING) - {signal.SIGTERM}:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        threading.Thread(target=_end_when_the_run_says, daemon=True).start()
    else:
        release()


def _end_when_the_run_says() -> None:
    """The loader ends its processes by the same signal."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != os.getppid():
        pass
    os._exit(0)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """A batch on a device; tensors that views share stay shared."""
    return _each(batch, lambda tensor: tensor.to(device, non_blocking=True))


def _each(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    """A batch with every tensor changed, once however many views share it."""
    changed: dict[int, Tensor] = {}

    def once(tensor: Tensor) -> Tensor:
        if id(tensor) not in changed:
            changed[id(tensor)] = change(tensor)
        return changed[id(tensor)]

    return Batch(
        {name: once(clip) for name, clip in batch.labeled.items()},
        once(batch.labels),
        {name: once(clip) for name, clip in batch.unlabeled.items()},
        once(batch.positions),
    )
