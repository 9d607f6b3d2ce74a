"""Batches: which clips stand in a step, cut into the views that an algorithm declares."""

import warnings
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ssl_video.contract import Batch, View
from ssl_video.data import augment
from ssl_video.data.sampling import (
    ClipShape,
    Order,
    Request,
    even_starts,
    frame_indices,
    random_start,
    resolve,
    stream,
)
from ssl_video.data.store import FrameStore


class Pool:
    """One kind of training clips (labeled or unlabeled) and the views made of them.

    Args:
        purpose: "labeled" or "unlabeled"; part of every random choice.
        rows: rows of the index, in the order of positions.
        views: the views by name, resolved.
        batch: clips per step.
        size: side of the crop in pixels.
        seed: the run's seed.
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
    ) -> None:
        self.purpose, self.rows, self.views, self.batch = purpose, rows, views, batch
        self.size, self.seed, self.store = size, seed, store
        self.order = Order(seed, purpose, len(rows))

    def positions(self, step: int) -> np.ndarray:
        """Positions in `rows` of the clips of a step, (batch,)."""
        return np.array([self.order.at(step * self.batch + slot) for slot in range(self.batch)])

    def clips(self, step: int) -> dict[str, Tensor]:
        """Every view of a step's clips, each (batch, 3, T, size, size); equal requests share one tensor."""
        requests = list(dict.fromkeys(self.views.values()))
        cut = [
            self._cut(row, requests, step, slot) for slot, row in enumerate(self.rows[self.positions(step)])
        ]
        made = {}
        for number, request in enumerate(requests):
            clips = [sample[number] for sample in cut]
            transforms = [
                augment.draw(
                    augment.RECIPES[request.augmentation],
                    stream(self.seed, f"augment/{self.purpose}/{request.augmentation}", step, slot),
                    *clip.shape[1:3],
                )
                for slot, clip in enumerate(clips)
            ]
            made[request] = augment.apply(clips, transforms, self.size)
        return {name: made[request] for name, request in self.views.items()}

    def _cut(self, row: int, requests: Sequence[Request], step: int, slot: int) -> list[np.ndarray]:
        """One sample's frames for every request, each uint8 (T, H, W, 3), read in one go."""
        count = self.store.count(row)
        window = max((r.shape.span for r in requests if r.window == "shared"), default=1)
        shared = random_start(stream(self.seed, f"window/{self.purpose}", step, slot), window, count)
        indices = []
        for number, request in enumerate(requests):
            start = shared
            if request.window == "own":
                own = stream(self.seed, f"window/{self.purpose}/own{number}", step, slot)
                start = random_start(own, request.shape.span, count)
            indices.append(frame_indices(start, request.shape, count))
        needed, where = np.unique(np.concatenate(indices), return_inverse=True)
        frames = self.store.read(row, needed)
        return [frames[part] for part in np.split(where, np.cumsum([len(i) for i in indices])[:-1])]


class _Steps(Dataset[Batch]):
    """Step number -> batch; what a loader's workers share."""

    def __init__(self, labeled: Pool, labels: np.ndarray, unlabeled: Pool | None) -> None:
        self.labeled, self.labels, self.unlabeled = labeled, labels, unlabeled

    def __getitem__(self, step: int) -> Batch:
        labels = torch.from_numpy(self.labels[self.labeled.positions(step)])
        if self.unlabeled is None:
            return Batch(self.labeled.clips(step), labels, {}, torch.empty(0, dtype=torch.long))
        positions = torch.from_numpy(self.unlabeled.positions(step))
        return Batch(self.labeled.clips(step), labels, self.unlabeled.clips(step), positions)


def batches(
    labeled: Pool,
    labels: np.ndarray,
    unlabeled: Pool | None,
    steps: range,
    device: torch.device,
    workers: int = 0,
) -> Iterator[Batch]:
    """The batches of the given steps, on the device.

    Args:
        labeled: the labeled clips.
        labels: their labels, by position.
        unlabeled: the unlabeled clips; None where the algorithm reads none, which then costs no decoding.
        steps: which steps, for example those that a resumed run still has to do.
        device: where to.
        workers: processes that prepare batches ahead; 0 prepares them in this one.
    """
    loader = DataLoader(
        _Steps(labeled, labels, unlabeled),
        sampler=steps,
        batch_size=None,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        prefetch_factor=4 if workers else None,
        # Without one of its own it would draw from torch's generator, and a resumed run once more often.
        generator=torch.Generator(),
    )
    with warnings.catch_warnings():
        # The loader advises as many workers as it sees cores; with cells side by side that is wrong.
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        for batch in loader:
            yield to_device(batch, device)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """A batch on a device; tensors that views share stay shared."""
    moved: dict[int, Tensor] = {}

    def move(tensor: Tensor) -> Tensor:
        if id(tensor) not in moved:
            moved[id(tensor)] = tensor.to(device, non_blocking=True)
        return moved[id(tensor)]

    return Batch(
        {name: move(clip) for name, clip in batch.labeled.items()},
        move(batch.labels),
        {name: move(clip) for name, clip in batch.unlabeled.items()},
        move(batch.positions),
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


def requests(views: Mapping[str, View], shapes: Mapping[str, ClipShape]) -> dict[str, Request]:
    """Every view of an algorithm, resolved against its networks' clip shapes."""
    return {name: resolve(view, shapes) for name, view in views.items()}
