"""The clip and the frames at step s, slot k: a function of the seed and of step and slot.

Every choice is drawn from a counter-based generator keyed by (seed, purpose) at the counter (step, slot).
So batches do not depend on the number of workers, on prefetching or on the number of processes per step,
and resuming needs no loader state.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ssl_video.contract import View
from ssl_video.errors import InputError


class Stream:
    """The random numbers for one choice: Philox keyed by (seed, purpose), its counter at (step, slot).

    Philox's raw words are the same in every version of NumPy. The distributions that `numpy.random.Generator`
    derives from them need not be, so they are derived here.
    """

    def __init__(self, seed: int, purpose: str, step: int = 0, slot: int = 0) -> None:
        # numpy counts up the first word; the higher words identify the step and the slot.
        # In a list, a word of 64 bits would be converted to a float, which rounds.
        key = np.array([seed, _word(purpose)], np.uint64)
        self._philox = np.random.Philox(key=key, counter=np.array([0, 0, slot, step], np.uint64))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Draw a number in [low, high), one of 2^53 evenly spaced ones."""
        return low + (high - low) * ((self._philox.random_raw() >> 11) * 2.0**-53)

    def integer(self, count: int) -> int:
        """Draw a number in {0, ..., count - 1}; the probabilities of two numbers differ by 2^-64 at most."""
        return int(self._philox.random_raw()) * count >> 64

    def permutation(self, size: int) -> np.ndarray:
        """Draw a random order of the numbers 0 to size - 1, (size,) int64."""
        return np.argsort(self._philox.random_raw(size), kind="stable")


@lru_cache(maxsize=256)
def _word(purpose: str) -> int:
    return int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "little")


class EpochOrder:
    """An endless sequence of the numbers in [0, size), reshuffled every epoch, without gaps between epochs.

    A loader that is restarted leaves a gap. Here a batch may hold the end of one epoch and the start of the
    next.
    """

    def __init__(self, seed: int, purpose: str, size: int) -> None:
        self.seed, self.purpose, self.size = seed, purpose, size
        self._pass: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def at(self, n: int) -> int:
        """Return the n-th number of the sequence."""
        number, place = divmod(n, self.size)
        if self._pass[0] != number:
            permutation = Stream(self.seed, f"order/{self.purpose}", number).permutation(self.size)
            self._pass = (number, permutation)
        return int(self._pass[1][place])


class BalancedOrder:
    """An endless sequence of the numbers in [0, size) in which the classes take turns.

    They may have unequal numbers of clips.

    A round has every class once, in an order of its own. The clips of a class come in their own `EpochOrder`,
    so those of a small class come again sooner. Every step's batch of B clips has floor(B / C) or
    ceil(B / C) clips of each of the C classes, also a batch that holds the end of one round and the start of
    another.

    Args:
        seed, purpose: see `Stream`.
        labels: the class of each number, (size,).
        batch: clips per step.
    """

    def __init__(self, seed: int, purpose: str, labels: np.ndarray, batch: int) -> None:
        self.seed, self.purpose, self.batch = seed, purpose, batch
        self._clips = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        self._within = [
            EpochOrder(seed, f"{purpose}/{labels[clips[0]]}", len(clips)) for clips in self._clips
        ]
        # After this many rounds a batch ends with a round, and the next round depends on none before it.
        self._period = batch // math.gcd(batch, len(self._clips))
        self._drawn: tuple[int, list[np.ndarray]] = (-1, [])

    def at(self, n: int) -> int:
        """Return the n-th number of the sequence."""
        number, place = divmod(n, len(self._clips))
        period, inside = divmod(number, self._period)
        if self._drawn[0] != period:
            self._drawn = (period, self._rounds(period))
        drawn = int(self._drawn[1][inside][place])
        return int(self._clips[drawn][self._within[drawn].at(number)])

    def _rounds(self, period: int) -> list[np.ndarray]:
        """Draw the classes of every round of a period, each (classes,)."""
        classes, rounds = len(self._clips), list[np.ndarray]()
        for inside in range(self._period):
            stream = Stream(self.seed, f"classes/{self.purpose}", period * self._period + inside)
            order, start = stream.permutation(classes), inside * classes
            begun = start // self.batch * self.batch
            if begun < start:
                # The round's first clips complete a batch that already has the end of an earlier round.
                earlier = rounds[begun // classes][begun % classes :]
                order = _others_first(order, earlier, begun + self.batch - start)
            rounds.append(order)
        return rounds


def _others_first(order: np.ndarray, earlier: np.ndarray, count: int) -> np.ndarray:
    """Return an order whose first `count` numbers are in `earlier` only where no others are left."""
    repeated = np.isin(order, earlier)
    first = np.concatenate([order[~repeated], order[repeated]])[:count]
    chosen = np.isin(order, first)
    return np.concatenate([order[chosen], order[~chosen]])


@dataclass(frozen=True)
class ClipShape:
    """The clip shape of a network: the number of frames and the distance between them."""

    frames: int
    stride: int

    @property
    def span(self) -> int:
        """Number of frames of the file from the clip's first to its last, inclusive."""
        return (self.frames - 1) * self.stride + 1


@dataclass(frozen=True)
class ViewRequest:
    """A view with all defaults filled in. Equal requests share a clip, unless they start on their own."""

    augmentation: str
    copy: int
    shape: ClipShape
    window: str


def resolve(view: View, shapes: Mapping[str, ClipShape]) -> ViewRequest:
    """Fill in a view's defaults from its network; `shapes` holds every role's, the first role first.

    Raises:
        InputError: the network's clip cannot be cut at the view's frame rate.
    """
    shape = shapes[view.network or next(iter(shapes))]
    frames, stride = shape.frames * view.rate, shape.stride / view.rate
    if not (float(frames).is_integer() and float(stride).is_integer() and frames >= 1):
        raise InputError(
            f"{view.rate:g} times the frame rate of {shape.frames} frames at stride {shape.stride} is "
            f"{frames:g} frames at stride {stride:g}: choose frames and stride that give whole numbers"
        )
    return ViewRequest(
        view.augmentation,
        view.copy,
        ClipShape(view.frames or int(frames), view.stride or int(stride)),
        view.window,
    )


def frame_indices(start: int, shape: ClipShape, count: int) -> np.ndarray:
    """Return the indices of the frames of a clip that starts at `start`, (T,).

    A clip that runs past the end of its file wraps around to the file's first frame: motion continues, while
    repeating the last frame would freeze it.
    """
    return (start + np.arange(shape.frames) * shape.stride) % count


def part_indices(places: np.ndarray, count: int) -> np.ndarray:
    """Return one frame from each of T equal parts of a video of `count` frames, (T,).

    The sampling of temporal segment networks (Wang et al. 2016, arXiv:1608.00859).

    Args:
        places: (T,) the place inside each part, in [0, 1): 0.5 is its middle.
        count: number of frames; fewer than T are repeated.
    """
    indices = np.floor((np.arange(len(places)) + places) / len(places) * count).astype(np.int64)
    return np.minimum(indices, count - 1)  # a place just below 1 may be rounded to 1


def random_start(stream: Stream, span: int, count: int) -> int:
    """Draw a uniformly random start of a window of `span` frames, inside the file if it is long enough."""
    return stream.integer(max(count - span, 0) + 1)


def even_starts(clips: int, span: int, count: int) -> np.ndarray:
    """Return starts of evenly spaced windows, (clips,): the centres of equal parts of the possible starts."""
    room = max(count - span, 0)
    return np.floor((np.arange(clips) + 0.5) / clips * (room + 1)).astype(np.int64)
