"""Batches: which clips stand in a step, cut into the views that an algorithm declares."""

import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from ssl_video.contract import Batch, View
from ssl_video.data.frames.store import FrameStore, Statistics
from ssl_video.data.video.decode import DecodeError
from ssl_video.data.views import augment
from ssl_video.data.views.sampling import (
    ClipShape,
    Order,
    Request,
    Stream,
    even_starts,
    frame_indices,
    random_start,
    resolve,
)
from ssl_video.data.views.temporal import TEMPORAL
from ssl_video.errors import InputError
from ssl_video.signals import STOPPING

_WHOLE = range(1)


class Pool:
    """One kind of training clips (labeled or unlabeled) and the views made of them.

    Args:
        purpose: "labeled" or "unlabeled"; part of every random choice.
        rows: rows of the index, in the order of positions.
        views: the views by name, resolved.
        batch: clips per step.
        size: side of the crop in pixels.
        seed: the run's seed.
        store: where frames come from.
        shares: equal parts into which a step's clips are cut, for processes and accumulated gradients; which
            clips stand in a step does not depend on it.
    """

    def __init__(
        self,
        purpose: str,
        rows: np.ndarray,
        views: Mapping[str, Request],
        batch: int,
        size: int,
        seed: int,
        store: FrameStore,
        shares: int = 1,
    ) -> None:
        assert batch % shares == 0
        self.purpose, self.rows, self.views, self.batch = purpose, rows, views, batch
        self.size, self.seed, self.store, self.shares = size, seed, store, shares
        self.order = Order(seed, purpose, len(rows))
        # Which clip a view shows: its request, and the window that it is cut from. A view that starts on its
        # own shares its clip with no other, not even one of an equal request.
        self._clip = {
            name: (request, f"own/{name}" if request.window == "own" else "shared")
            for name, request in views.items()
        }

    def slots(self, share: int) -> range:
        """The places in a step's batch that one share has."""
        size = self.batch // self.shares
        return range(share * size, (share + 1) * size)

    def rows_of(self, step: int) -> np.ndarray:
        """Rows of the index of all of a step's clips, (batch,)."""
        return self.rows[np.concatenate([self.positions(step, share) for share in range(self.shares)])]

    def positions(self, step: int, share: int = 0) -> np.ndarray:
        """Positions in `rows` of the clips of a step's share, (batch / shares,)."""
        return np.array([self.order.at(step * self.batch + slot) for slot in self.slots(share)])

    def clips(self, step: int, share: int = 0) -> dict[str, Tensor]:
        """Every view of a share's clips, each (batch / shares, 3, T, size, size).

        Views of one clip share one tensor.

        Raises:
            InputError: a video cannot be decoded, though it could be when the run began.
        """
        wanted = list(dict.fromkeys(self._clip.values()))
        rows, slots = self.rows[self.positions(step, share)], self.slots(share)
        cut = [self._cut(row, wanted, step, slot) for slot, row in zip(slots, rows, strict=True)]
        made = {}
        for number, clip in enumerate(wanted):
            augmentation = clip[0].augmentation
            frames = [sample[number] for sample in cut]
            transforms = [
                augment.draw(
                    augment.RECIPES[augmentation],
                    Stream(self.seed, f"augment/{self.purpose}/{augment.spatial(augmentation)}", step, slot),
                    *sample.shape[1:3],
                )
                for slot, sample in zip(slots, frames, strict=True)
            ]
            made[clip] = augment.apply(frames, transforms, self.size)
        return {name: made[clip] for name, clip in self._clip.items()}

    def frames(self, step: int, slot: int) -> dict[str, np.ndarray]:
        """Which frames of its file every view of one of a step's clips shows, (T,) each."""
        wanted = list(dict.fromkeys(self._clip.values()))
        row = self.rows[self.order.at(step * self.batch + slot)]
        found = dict(zip(wanted, self._indices(wanted, self.store.count(row), step, slot), strict=True))
        return {name: found[clip] for name, clip in self._clip.items()}

    def _cut(self, row: int, wanted: Sequence[tuple[Request, str]], step: int, slot: int) -> list[np.ndarray]:
        """One sample's frames for every clip wanted, each uint8 (T, H, W, 3), read in one go."""
        try:
            count = self.store.count(row)
            indices = self._indices(wanted, count, step, slot)
            needed, where = np.unique(np.concatenate(indices), return_inverse=True)
            frames = self.store.read(row, needed)
        except DecodeError as error:
            raise unreadable(self.store.paths[row], error) from None
        return [frames[part] for part in np.split(where, np.cumsum([len(i) for i in indices])[:-1])]

    def _indices(
        self, wanted: Sequence[tuple[Request, str]], count: int, step: int, slot: int
    ) -> list[np.ndarray]:
        """Which of a video's `count` frames stand in every clip wanted, (T,) each."""
        spans: dict[str, int] = {}
        for request, window in wanted:
            spans[window] = max(spans.get(window, 0), request.shape.span)
        starts = {
            window: random_start(
                Stream(self.seed, f"window/{self.purpose}/{window}", step, slot), span, count
            )
            for window, span in spans.items()
        }
        chosen = []
        for request, window in wanted:
            indices = frame_indices(starts[window], request.shape, count)
            temporal = augment.RECIPES[request.augmentation].temporal
            if temporal:
                draws = Stream(self.seed, f"temporal/{self.purpose}/{temporal}", step, slot)
                indices = indices[TEMPORAL[temporal](draws, len(indices))]
            chosen.append(indices)
        return chosen


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
        labels = torch.from_numpy(self.labels[self.labeled.positions(step, share)])
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
    with warnings.catch_warnings():
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

    Without this, torch ends the run as soon as one of its loader's processes is gone.
    """
    for number in set(STOPPING) - {signal.SIGTERM}:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_when_the_run_says, daemon=True).start()


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


def evaluation_clips(
    store: FrameStore, row: int, shape: ClipShape, clips: int, crops: int, size: int
) -> Tensor:
    """A test video's clips x crops, (clips * crops, 3, T, size, size): evenly spaced, not augmented.

    One crop is the centre; three are both ends and the centre of the longer side.
    """
    count = store.count(row)
    places = [0.5] if crops == 1 else [0.0, 0.5, 1.0]
    indices = np.stack([frame_indices(s, shape, count) for s in even_starts(clips, shape.span, count)])
    needed, where = np.unique(indices, return_inverse=True)
    frames = store.read(row, needed)[where.reshape(indices.shape)]  # (clips, T, H, W, 3)
    height, width = frames.shape[2:4]
    return augment.apply(
        [clip for clip in frames for _ in places],
        [augment.centre(height, width, place) for _ in frames for place in places],
        size,
    )


def unreadable(path: str, error: DecodeError) -> InputError:
    """What to say of a video that could be read when its dataset was opened."""
    return InputError(
        f"{path}: {error}; it could be decoded when the run began: bring it back, "
        "and start the run again, which goes on from its last checkpoint"
    )


def requests(views: Mapping[str, View], shapes: Mapping[str, ClipShape]) -> dict[str, Request]:
    """Every view of an algorithm, resolved against its networks' clip shapes."""
    return {name: resolve(view, shapes) for name, view in views.items()}
