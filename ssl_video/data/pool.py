"""The clips of a step, as the views that an algorithm declares, and the clips of a test video."""

import copy
import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from ssl_video.contract import View
from ssl_video.data.frames.store import FrameStore
from ssl_video.data.video.container import DecodeError
from ssl_video.data.views import augment
from ssl_video.data.views.sampling import (
    BalancedOrder,
    ClipShape,
    EpochOrder,
    Stream,
    ViewRequest,
    even_starts,
    frame_indices,
    part_indices,
    random_start,
    resolve,
)
from ssl_video.data.views.temporal import TEMPORAL
from ssl_video.errors import InputError
from ssl_video.spec import Spec

_DEFAULTS = Spec()
# The clip of a view: its request, and the name of the window that it is cut from.
Cut = tuple[ViewRequest, str]


class Pool:
    """One kind of training clips (labeled or unlabeled) and their views.

    Args:
        purpose: "labeled" or "unlabeled"; part of the seed of every random choice.
        rows: rows of the index.
        views: the views by name, resolved.
        batch: clips per step.
        size: side of the crop in pixels.
        seed: the run's seed.
        store: the source of frames.
        shards: number of equal shards of a step's clips, for processes and accumulated gradients; the clips
            of a step do not depend on it.
        labels: class indices aligned with `rows`, if batches are drawn evenly over the classes.
        settings: the sampling of frames, and the augmentation.
    """

    def __init__(
        self,
        purpose: str,
        rows: np.ndarray,
        views: Mapping[str, ViewRequest],
        batch: int,
        size: int,
        seed: int,
        store: FrameStore,
        shards: int = 1,
        labels: np.ndarray | None = None,
        settings: Spec = _DEFAULTS,
    ) -> None:
        assert batch % shards == 0
        self.purpose, self.rows, self.views, self.batch = purpose, rows, views, batch
        self.size, self.seed, self.store, self.shards = size, seed, store, shards
        self.settings = settings
        self._in_parts = settings.sampling == "segments"
        self._recipes = augment.recipes(settings.augmentation)
        self.order: EpochOrder | BalancedOrder = (
            EpochOrder(seed, purpose, len(rows))
            if labels is None
            else BalancedOrder(seed, purpose, labels, batch)
        )
        # Rows are in the order of names, which mostly begin with the class, so row numbers would leak it.
        self._index_of = Stream(seed, f"positions/{purpose}").permutation(len(rows))
        # A view that starts on its own shares its clip with no other, not even one with an equal request.
        self.cuts: dict[str, Cut] = {
            name: (request, f"own/{name}" if request.window == "own" else "shared")
            for name, request in views.items()
        }
        # Frames of the file that a window spans: those of the longest of its clips.
        self.spans = dict[str, int]()
        for request, window in self.cuts.values():
            self.spans[window] = max(self.spans.get(window, 0), request.shape.span)

    @property
    def bytes(self) -> int:
        """Size of a shard's views in memory; see `clips`."""
        frames = sum(request.shape.frames for request, _ in set(self.cuts.values()))
        return len(self.slots(0)) * 3 * frames * self.size**2 * torch.float32.itemsize

    def reading(self, store: FrameStore) -> "Pool":
        """Return this pool with another store of the same clips, for another thread."""
        other = copy.copy(self)
        other.store = store
        return other

    def slots(self, shard: int) -> range:
        """Return the slots of one shard in a step's batch."""
        size = self.batch // self.shards
        return range(shard * size, (shard + 1) * size)

    def rows_of(self, step: int) -> np.ndarray:
        """Return the index rows of all of a step's clips, (batch,)."""
        return self.rows[np.concatenate([self.within_rows(step, shard) for shard in range(self.shards)])]

    def within_rows(self, step: int, shard: int = 0) -> np.ndarray:
        """Return where in `rows` the clips of a step's shard are, (batch / shards,)."""
        return np.array([self.order.at(step * self.batch + slot) for slot in self.slots(shard)])

    def indices_of(self, step: int, shard: int = 0) -> np.ndarray:
        """Return the shuffled index of each clip in this shard, in [0, rows), (batch / shards,).

        A clip keeps its index for the whole run. The index reveals nothing about its class.
        """
        return self._index_of[self.within_rows(step, shard)]

    @property
    def by_index(self) -> np.ndarray:
        """The rows in the order of their indices."""
        return self.rows[np.argsort(self._index_of)]

    def clips(self, step: int, shard: int = 0) -> dict[str, Tensor]:
        """Return every view of a shard's clips, each (batch / shards, 3, T, size, size).

        Views of one clip share one tensor.

        Raises:
            InputError: a video cannot be decoded, although it could be when the run began.
        """
        rows, draws = self.rows[self.within_rows(step, shard)], [(step, slot) for slot in self.slots(shard)]
        made = self.made(rows, draws, list(dict.fromkeys(self.cuts.values())))
        return {name: made[clip] for name, clip in self.cuts.items()}

    def made(
        self, rows: np.ndarray, draws: Sequence[tuple[int, int]], wanted: Sequence[Cut]
    ) -> dict[Cut, Tensor]:
        """Return some clips of videos, each (len(rows), 3, T, size, size).

        Args:
            rows: rows of the index.
            draws: for each row the step and slot whose random choices it gets.
            wanted: the clips.

        Raises:
            InputError: a video cannot be decoded, although it could be when the run began.
        """
        cut = [self._cut(row, wanted, *draw) for draw, row in zip(draws, rows, strict=True)]
        made = {}
        for number, clip in enumerate(wanted):
            augmentation = clip[0].augmentation
            purpose = f"augment/{self.purpose}/{augment.spatial(augmentation)}{_suffix(clip[0])}"
            frames = [sample[number] for sample in cut]
            transforms = [
                augment.draw(
                    self._recipes[augmentation],
                    Stream(self.seed, purpose, *drawn),
                    *sample.shape[1:3],
                )
                for drawn, sample in zip(draws, frames, strict=True)
            ]
            made[clip] = augment.apply(frames, transforms, self.size)
        return made

    def frames(self, step: int, slot: int) -> dict[str, np.ndarray]:
        """Return the indices of the frames in every view of one of a step's clips, (T,) each."""
        wanted = list(dict.fromkeys(self.cuts.values()))
        row = self.rows[self.order.at(step * self.batch + slot)]
        found = dict(zip(wanted, self._indices(wanted, self.store.count(row), step, slot), strict=True))
        return {name: found[clip] for name, clip in self.cuts.items()}

    def _cut(self, row: int, wanted: Sequence[Cut], step: int, slot: int) -> list[np.ndarray]:
        """Read one sample's frames for every wanted clip, each uint8 (T, H, W, 3), at once."""
        try:
            count = self.store.count(row)
            indices = self._indices(wanted, count, step, slot)
            needed, where = np.unique(np.concatenate(indices), return_inverse=True)
            frames = self.store.read(row, needed)
        except DecodeError as error:
            raise unreadable(self.store.paths[row], error) from None
        return [frames[part] for part in np.split(where, np.cumsum([len(i) for i in indices])[:-1])]

    def _indices(self, wanted: Sequence[Cut], count: int, step: int, slot: int) -> list[np.ndarray]:
        """Return the indices, out of a video's `count` frames, for every wanted clip, (T,) each."""
        chosen = []
        for request, window in wanted:
            # From the start for each request, so that views of one window draw the same numbers.
            stream = Stream(self.seed, f"window/{self.purpose}/{window}", step, slot)
            if self._in_parts:
                inside = np.array([stream.uniform() for _ in range(request.shape.frames)])
                indices = part_indices(inside, count)
            else:
                indices = frame_indices(random_start(stream, self.spans[window], count), request.shape, count)
            temporal = self._recipes[request.augmentation].temporal
            if temporal:
                purpose = f"temporal/{self.purpose}/{temporal}{_suffix(request)}"
                draws = Stream(self.seed, purpose, step, slot)
                indices = indices[TEMPORAL[temporal](draws, len(indices))]
            chosen.append(indices)
        return chosen


def evaluation_clips(store: FrameStore, row: int, shape: ClipShape, spec: Spec) -> Tensor:
    """Return a test video's clips x crops, (clips * crops, 3, T, size, size): see `evenly_spaced`.

    Raises:
        InputError: the video cannot be decoded, although it could be when its data set was opened.
    """
    try:
        return evenly_spaced(store.count(row), functools.partial(store.read, row), shape, spec)
    except DecodeError as error:
        raise unreadable(store.paths[row], error) from None


def evenly_spaced(
    count: int, read: Callable[[np.ndarray], np.ndarray], shape: ClipShape, spec: Spec
) -> Tensor:
    """Return clips x crops of a video, (clips * crops, 3, T, size, size): evenly spaced, not augmented.

    One crop is the centre; three crops are both ends and the centre of the longer side. A single clip of the
    sampling "segments" has the middle of each part.

    Args:
        count: number of frames of the video.
        read: function from indices, (N,), to frames, uint8 (N, H, W, 3).
        shape: the frames of a clip.
        spec: number of clips and crops, crop size and sampling.
    """
    clips = spec.test_clips
    if spec.sampling == "segments":
        inside = (np.arange(clips) + 0.5) / clips
        indices = np.stack([part_indices(np.full(shape.frames, middle), count) for middle in inside])
    else:
        starts = even_starts(clips, shape.span, count)
        indices = np.stack([frame_indices(start, shape, count) for start in starts])
    needed, where = np.unique(indices, return_inverse=True)
    frames = read(needed)[where.reshape(indices.shape)]  # (clips, T, H, W, 3)
    offsets = [0.5] if spec.test_crops == 1 else [0.0, 0.5, 1.0]
    height, width = frames.shape[2:4]
    return augment.apply(
        [clip for clip in frames for _ in offsets],
        [augment.centre(height, width, offset) for _ in frames for offset in offsets],
        spec.size,
    )


def unreadable(path: str, error: DecodeError) -> InputError:
    """Return the error for a video that could be read when its data set was opened."""
    return InputError(
        f"{path}: {error}; it could be decoded when the run began: restore it, "
        "and rerun the command, which resumes from the last checkpoint"
    )


def requests(views: Mapping[str, View], shapes: Mapping[str, ClipShape]) -> dict[str, ViewRequest]:
    """Resolve every view of an algorithm against its networks' clip shapes."""
    return {name: resolve(view, shapes) for name, view in views.items()}


def _suffix(request: ViewRequest) -> str:
    """Return the suffix that separates the random draws of a view's copies."""
    return f"/{request.copy}" if request.copy else ""
