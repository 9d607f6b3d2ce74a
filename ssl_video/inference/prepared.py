"""Clips of tests, which threads prepare while the network works on earlier ones."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Tensor

from ssl_video.data.frames.store import FrameStore
from ssl_video.data.pool import evaluation_clips
from ssl_video.data.video.container import stop_with
from ssl_video.data.views.sampling import ClipShape
from ssl_video.spec import Spec

Made = dict[ClipShape, Tensor]
_MOST_BYTES = 2**31  # of clips that wait for the network


@dataclass(frozen=True)
class VideoGroup:
    """Videos that a network sees at once.

    Attributes:
        first: place of the first of them in the test.
        rows: the videos, as rows of the store.
        stored: by predictor the features that it takes in place of clips, or None.
    """

    first: int
    rows: Sequence[int]
    stored: dict[str, Tensor | None]


def prepared(
    groups: Iterator[VideoGroup],
    shapes: Callable[[VideoGroup], Sequence[ClipShape]],
    store: FrameStore,
    spec: Spec,
    threads: int,
) -> Generator[tuple[VideoGroup, Made], None, None]:
    """Yield groups with their clips, (videos * clips * crops, 3, T, size, size) by shape, in their order.

    PyAV decodes outside Python's global lock, so threads decode in parallel. The numbers do not
    depend on them.

    Args:
        groups: the groups.
        shapes: maps a group to the shapes of the clips that it needs.
        store: source of frames.
        spec: number of clips and crops, crop size.
        threads: number of threads, each of which prepares one video at a time, of groups of 2 GiB in all; 0:
            none.

    Raises:
        InputError: a video cannot be decoded, although it could be when its data set was opened.
    """
    if not threads:
        for group in groups:
            yield group, _made(store, group.rows, shapes(group), spec)
        return
    pool = _Pool(store, threads)
    waiting: deque[tuple[VideoGroup, dict[ClipShape, list[Future[Tensor]]]]] = deque()
    try:
        for group in groups:
            needed = dict.fromkeys(shapes(group))
            made = {shape: [pool.submit(row, shape, spec) for row in group.rows] for shape in needed}
            waiting.append((group, made))
            size = sum(_bytes(shape, spec) * len(futures) for shape, futures in made.items())
            if len(waiting) > max(1, min(threads, _MOST_BYTES // max(size, 1))):
                yield _joined(*waiting.popleft())
        while waiting:
            yield _joined(*waiting.popleft())
    finally:
        pool.close()


def _joined(group: VideoGroup, made: "dict[ClipShape, list[Future[Tensor]]]") -> tuple[VideoGroup, Made]:
    """Wait for the clips of a group."""
    return group, {shape: torch.cat([one.result() for one in futures]) for shape, futures in made.items()}


def _bytes(shape: ClipShape, spec: Spec) -> int:
    """Return the size of a video's clips."""
    return 4 * 3 * shape.frames * spec.size**2 * spec.test_clips * spec.test_crops


class _Pool:
    """Threads with a store each: a store remembers its last video."""

    def __init__(self, store: FrameStore, threads: int) -> None:
        self._store, self._own = store, threading.local()
        self._stopped, self._stores = threading.Event(), list[FrameStore]()
        self._threads = ThreadPoolExecutor(threads, "prepare-clips", initializer=self._begin)

    def _begin(self) -> None:
        make, settings = self._store.__reduce__()[:2]
        self._own.store = make(*settings)
        self._stores.append(self._own.store)
        stop_with(self._stopped)

    def submit(self, row: int, shape: ClipShape, spec: Spec) -> "Future[Tensor]":
        return self._threads.submit(lambda: evaluation_clips(self._own.store, row, shape, spec))

    def close(self) -> None:
        """End the threads, also inside a long file, and count their reads."""
        self._stopped.set()
        self._threads.shutdown(cancel_futures=True)
        for store in self._stores:
            self._store.add(store.take())


def _made(store: FrameStore, rows: Sequence[int], shapes: Sequence[ClipShape], spec: Spec) -> Made:
    return {
        shape: torch.cat([evaluation_clips(store, row, shape, spec) for row in rows])
        for shape in dict.fromkeys(shapes)
    }
