"""Jobs that threads do ahead: their order, their limit, and their end."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssl_video.data import reading_threads
from ssl_video.data.frames.store import FrameStore
from ssl_video.data.reading_threads import Job, in_order


@pytest.fixture
def store(tmp_path: Path) -> FrameStore:
    return FrameStore([], 8, 0, tmp_path)


def of_number(number: int, size: int = 1) -> Job[int]:
    """A job that takes the longer, the earlier it is asked for."""

    def read(store: FrameStore) -> int:
        time.sleep(0.002 * (8 - number % 8))
        return number

    return Job(read, size)


@pytest.mark.parametrize("threads", [0, 1, 4])
def test_results_keep_their_order(store: FrameStore, threads: int) -> None:
    assert list(in_order(map(of_number, range(24)), store, threads)) == list(range(24))
    assert list(in_order(iter([]), store, threads)) == []


def test_each_thread_has_a_store(store: FrameStore) -> None:
    """Not that of the caller, whose last video it would forget; the threads do their jobs side by side."""
    together = threading.Barrier(3, timeout=10)

    def read(own: FrameStore) -> int:
        together.wait()
        return id(own)

    found = list(in_order([Job(read, 1)] * 3, store, 3))
    assert len({id(store), *found}) == 4


@pytest.mark.parametrize(("size", "ahead"), [(1, 4), (50, 2), (100, 1), (101, 1)])
def test_jobs_wait_within_the_limits(
    store: FrameStore, monkeypatch: pytest.MonkeyPatch, size: int, ahead: int
) -> None:
    """Of 4 jobs and 100 bytes; one that is larger is done alone."""
    monkeypatch.setattr(reading_threads, "_MOST_BYTES", 100)
    monkeypatch.setattr(reading_threads, "_MOST_JOBS", 4)
    begun = list[int]()

    def jobs() -> Iterator[Job[int]]:
        for number in range(9):
            begun.append(number)
            yield of_number(number, size)

    for number, found in enumerate(in_order(jobs(), store, 2)):
        assert found == number
        # The next one has been asked for, and waits for room.
        assert len(begun) == min(9, number + ahead + 1)


def test_an_error_ends_the_threads(store: FrameStore) -> None:
    def fail(_: FrameStore) -> int:
        raise OSError("gone")

    before = threading.active_count()
    with pytest.raises(OSError, match="gone"):
        list(in_order([of_number(0), Job(fail, 1), *map(of_number, range(99))], store, 2))
    assert threading.active_count() == before


def test_closing_ends_the_threads(store: FrameStore) -> None:
    done = list[int]()

    def read(_: FrameStore) -> None:
        time.sleep(0.005)
        done.append(1)

    before = threading.active_count()
    found = in_order([Job(read, 1)] * 200, store, 2)
    next(found)
    found.close()
    assert threading.active_count() == before
    assert len(done) < 100
