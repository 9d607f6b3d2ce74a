"""Batches for the training loop, prepared in this process or ahead of time by worker processes."""

import multiprocessing
import multiprocessing.queues
import os
import pickle
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from ssl_video.contract import Batch
from ssl_video.data import shared_memory
from ssl_video.data.frames.store import Statistics
from ssl_video.data.pool import Pool
from ssl_video.data.video.container import stop_with
from ssl_video.errors import InputError
from ssl_video.processes import end_with_parent
from ssl_video.signals import STOPPING, held_back, release

_WHOLE = range(1)
# A wait for a batch is interrupted after so many seconds, by an error of torch with this message.
_WAIT_SECONDS = 1
_WAITED = "DataLoader timed out"
_LAST_SECONDS = 2.0  # that a loading process has to end by itself


_stopped = threading.Event()  # of a loader's process: the run needs no more batches


class _Places:
    """The shards of every step in their order, as a sampler for the loader."""

    def __init__(self, steps: range, shards: range) -> None:
        self.steps, self.shards = steps, shards

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((step, shard) for step in self.steps for shard in self.shards)

    def __len__(self) -> int:
        return len(self.steps) * len(self.shards)


class _Pinnable:
    """A batch that is pinned as a whole; the loader would copy a tensor that views share once per view.

    A worker adds its statistics of the frame cache.
    """

    def __init__(self, batch: Batch, read: Statistics) -> None:
        self.batch, self.read = batch, read

    def pin_memory(self) -> "_Pinnable":
        return _Pinnable(_each(self.batch, Tensor.pin_memory), self.read)


class _Packed:
    """A worker's batch as bytes, with its tensors in shared memory.

    torch would pack it in a thread of the worker, where an error is printed and the run waits for ever.
    """

    def __init__(self, batch: _Pinnable) -> None:
        self.content = bytes(ForkingPickler.dumps(batch))

    def pin_memory(self) -> "_Pinnable | InputError":
        batch = self.unpacked()
        return batch if isinstance(batch, InputError) else batch.pin_memory()

    def unpacked(self) -> "_Pinnable | InputError":
        try:
            batch: _Pinnable = pickle.loads(self.content)
        except (ConnectionError, EOFError, FileNotFoundError):
            # Tensors are fetched from the process that made them.
            return shared_memory.lost("before its batch was received")
        except (OSError, RuntimeError) as error:
            return _in_words(error)
        return batch


class _Steps(Dataset["_Pinnable | _Packed | InputError"]):
    """Map a step and a shard of it to a batch; the workers of a loader share this object.

    An error is returned like a batch, because a raised one gets the worker's traceback as its message.
    """

    def __init__(
        self, labeled: Pool, labels: np.ndarray, unlabeled: Pool | None, predictions: np.ndarray | None
    ) -> None:
        self.labeled, self.labels, self.unlabeled = labeled, labels, unlabeled
        self.predictions = predictions

    def __getitem__(self, place: tuple[int, int]) -> _Pinnable | _Packed | InputError:
        try:
            batch = self.batch(*place)
        except InputError as error:
            return error
        if not get_worker_info():
            return _Pinnable(batch, Statistics())
        try:
            return _Packed(_Pinnable(batch, self.labeled.store.take()))
        except (OSError, RuntimeError) as error:
            return _in_words(error)

    def batch(self, step: int, shard: int) -> Batch:
        labels = torch.from_numpy(self.labels[self.labeled.within_rows(step, shard)])
        indices, clips = torch.empty(0, dtype=torch.long), dict[str, Tensor]()
        if self.unlabeled:
            indices = torch.from_numpy(self.unlabeled.indices_of(step, shard))
            clips = self.unlabeled.clips(step, shard)
        found = None
        if self.unlabeled and self.predictions is not None:
            found = torch.from_numpy(self.predictions[self.unlabeled.within_rows(step, shard)])
        return Batch(self.labeled.clips(step, shard), labels, clips, indices, found)


def batches(
    labeled: Pool,
    labels: np.ndarray,
    unlabeled: Pool | None,
    steps: range,
    device: torch.device,
    workers: int = 0,
    shards: range = _WHOLE,
    held: int = 1,
    processes: int = 1,
    waiting: Callable[[], None] = lambda: None,
    predictions: np.ndarray | None = None,
) -> Iterator[Batch]:
    """Yield the batches of the given steps, on the device: for each step, one batch per given shard.

    Args:
        labeled: the labeled clips.
        labels: class indices aligned with `labeled.rows`.
        unlabeled: the unlabeled clips; None if the algorithm reads none, which saves decoding them.
        steps: the steps to prepare, for example the remaining ones of a resumed run.
        device: the target device.
        workers: processes that prepare batches ahead of time; 0 prepares them in this process.
        shards: this process's shards of each step, out of the pools' number of shards.
        held: batches that the caller holds at a time.
        processes: processes on this machine that load as many batches at the same time.
        waiting: called every second while a batch of a worker is waited for; it may raise an error.
        predictions: another model's, (clips, classes) aligned with `unlabeled.rows`; None: none asked for.

    Raises:
        InputError: a video cannot be decoded, although it could be when the run began; the batches of the
            workers do not fit into shared memory; a worker has died.
    """
    size = labeled.bytes + (unlabeled.bytes if unlabeled else 0)
    ahead = shared_memory.prefetch(workers, size, held, processes) if workers else None
    with warnings.catch_warnings(), held_back():
        # The loader recommends one worker per core, which is wrong if runs share the machine.
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        loader = DataLoader(
            _Steps(labeled, labels, unlabeled, predictions),
            sampler=_Places(steps, shards),
            batch_size=None,
            num_workers=workers,
            pin_memory=device.type == "cuda",
            prefetch_factor=ahead,
            timeout=_WAIT_SECONDS if workers else 0,
            # Without its own generator it would draw from torch's, and a resumed run once more often.
            generator=torch.Generator(),
            worker_init_fn=_begin,
        )
        received = _received(_started(loader), waiting)
    for item in received:
        labeled.store.add(item.read)
        yield to_device(item.batch, device)


def _started(loader: "DataLoader[Any]") -> Iterator[Any]:
    """Return the items of a loader, with its processes started.

    Raises:
        LoaderLost: the server that starts them was killed.
    """
    try:
        return iter(loader)
    except (ConnectionError, EOFError, FileNotFoundError) as error:
        raise shared_memory.lost(f"while it was started: {type(error).__name__}") from None


def _received(loaded: Any, waiting: Callable[[], None]) -> Iterator[_Pinnable]:
    """Yield the batches of a loader.

    Raises:
        InputError: see `batches`.
    """
    try:
        while True:
            try:
                item = next(loaded)
            except StopIteration:
                return
            except RuntimeError as error:
                item = shared_memory.ended(error)
                if not item and (_WAITED not in str(error) or not _pins(loaded)):
                    raise
            if item is None:
                waiting()
            elif isinstance(item, _Packed):
                item = item.unpacked()
            if isinstance(item, InputError):
                raise item
            if isinstance(item, _Pinnable):
                yield item
    except BaseException:
        # torch waits five seconds for a process that decodes a long video.
        for process in getattr(loaded, "_workers", ()):
            process.terminate()
        raise
    finally:
        # Deleting the loader ends its processes. The garbage collector may delete the loader's queues first;
        # then each process would be waited for and killed after five seconds.
        del loaded


def _pins(loaded: Any) -> bool:
    """Return whether the thread that pins a loader's batches is alive; it may have none."""
    thread = getattr(loaded, "_pin_memory_thread", None)
    return thread is None or thread.is_alive()


def _in_words(error: Exception) -> InputError:
    """Return the error for the user if a batch could not be shared, or raise it again."""
    explained = shared_memory.no_room(error)
    if explained is None:
        raise error
    return explained


def _begin(_: int) -> None:
    """Prepare a loader's process."""
    end_with_parent()
    stop_with(_stopped)
    # Also a thread's error has to end the process, or the run would wait for its batch for ever.
    multiprocessing.queues.Queue._on_queue_feeder_error = staticmethod(_fail)  # type: ignore[attr-defined]
    _outlive_signals()


def _fail(error: Exception, _: object) -> None:
    """End a loader's process with the traceback of an error."""
    traceback.print_exception(error)
    sys.stderr.flush()
    os._exit(1)


def _outlive_signals() -> None:
    """Ignore stop signals in a loader's process, because the run has to save itself first.

    Schedulers signal every process of a job, and torch ends the run as soon as one of its loader's processes
    is gone. All of these signals have been blocked since the process began, see `held_back`; SIGTERM stays
    blocked.
    """
    for number in set(STOPPING) - {signal.SIGTERM}:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        threading.Thread(target=_end_when_the_run_says, daemon=True).start()
    else:
        release()


def _end_when_the_run_says() -> None:
    """Stop decoding on SIGTERM from the run, and exit soon after it, or on another one.

    A process that has stopped decoding may end by itself, without leaving a half-sent batch.
    """
    # Not os.getppid(), which may be a server of processes.
    run = multiprocessing.parent_process()
    assert run is not None
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != run.pid:
        pass
    _stopped.set()
    until = time.monotonic() + _LAST_SECONDS
    while (left := until - time.monotonic()) > 0:
        again = signal.sigtimedwait({signal.SIGTERM}, left)
        if again and again.si_pid == run.pid:
            break
    os._exit(0)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Return a batch on a device; tensors that views share stay shared."""
    return _each(batch, lambda tensor: tensor.to(device, non_blocking=True))


def _each(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    """Return a batch with every tensor changed, once even if several views share it."""
    changed: dict[int, Tensor] = {}

    def once(tensor: Tensor) -> Tensor:
        if id(tensor) not in changed:
            changed[id(tensor)] = change(tensor)
        return changed[id(tensor)]

    return Batch(
        {name: once(clip) for name, clip in batch.labeled.items()},
        once(batch.labels),
        {name: once(clip) for name, clip in batch.unlabeled.items()},
        once(batch.indices),
        None if batch.predictions is None else once(batch.predictions),
    )
