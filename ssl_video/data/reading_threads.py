"""Threads that read clips ahead of a network.

PyAV decodes outside Python's global lock, so threads decode in parallel.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, NamedTuple, TypeVar

from ssl_video.data.frames.store import FrameStore
from ssl_video.data.video.container import stop_with

T = TypeVar("T")
_MOST_BYTES = 2**31  # of clips that wait for the network
_MOST_JOBS = 256


class Job(NamedTuple, Generic[T]):
    """Clips to read.

    Attributes:
        read: reads them from a store.
        bytes: their size.
    """

    read: Callable[[FrameStore], T]
    bytes: int


def in_order(jobs: Iterable[Job[T]], store: FrameStore, threads: int) -> Generator[T, None, None]:
    """Yield the results of jobs, in their order.

    They do not depend on the threads. Jobs are begun ahead as long as their results take less than 2 GiB.

    Args:
        jobs: the jobs; an iterator is advanced in the caller's thread.
        store: source of frames.
        threads: number of threads, each of which does one job at a time; 0: none.
    """
    if not threads:
        yield from (job.read(store) for job in jobs)
        return
    pool, size = _Pool(store, threads), 0
    waiting: deque[tuple[Future[T], int]] = deque()
    try:
        for job in jobs:
            while waiting and (len(waiting) == _MOST_JOBS or size + job.bytes > _MOST_BYTES):
                done, freed = waiting.popleft()
                size -= freed
                yield done.result()
            waiting.append((pool.submit(job.read), job.bytes))
            size += job.bytes
        while waiting:
            yield waiting.popleft()[0].result()
    finally:
        pool.close()


class _Pool:
    """Threads with a store each: a store remembers its last video."""

    def __init__(self, store: FrameStore, threads: int) -> None:
        self._store, self._own = store, threading.local()
        self._stopped, self._stores = threading.Event(), list[FrameStore]()
        self._threads = ThreadPoolExecutor(threads, "read-clips", initializer=self._begin)

    def _begin(self) -> None:
        make, settings = self._store.__reduce__()[:2]
        self._own.store = make(*settings)
        self._stores.append(self._own.store)
        stop_with(self._stopped)

    def submit(self, read: Callable[[FrameStore], T]) -> Future[T]:
        return self._threads.submit(lambda: read(self._own.store))

    def close(self) -> None:
        """End the threads, also inside a long file, and count their reads."""
        self._stopped.set()
        self._threads.shutdown(cancel_futures=True)
        for store in self._stores:
            self._store.add(store.take())
