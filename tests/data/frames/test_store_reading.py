"""Frames by row: the same with and without the cache, decoded no more often than needed."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.frame_store import EVERY, SIZE, SOME, Spy, stored
from helpers.paths import FIXTURES

from ssl_video.data.frames import store as module
from ssl_video.data.frames.formats import FORMATS
from ssl_video.data.frames.store import GIB, FrameStore, Statistics
from ssl_video.data.video.decode import decode

Numbers = Callable[[np.ndarray], list[int]]


def test_every_clip_is_decoded_once(videos: list[str], folder: Path, spy: Spy) -> None:
    store = FrameStore(videos, 16, folder=folder)
    steps: list[tuple[int, int]] = []
    assert store.prepare(range(4), lambda done, total: steps.append((done, total))) == {}
    assert spy.seen() == {"decode": "0123"}
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(stored(folder)) == 4
    # Neither reading nor counting nor a second run decodes again.
    again = FrameStore(videos, 16, folder=folder)
    assert again.prepare(range(4)) == {}
    assert [again.count(row) for row in range(4)] == [10] * 4
    for row, path in enumerate(videos):
        assert np.array_equal(again.read(row, EVERY), decode(path))
    assert spy.seen() == {}


def test_only_the_rows_asked_for_are_prepared(videos: list[str], folder: Path, spy: Spy) -> None:
    FrameStore(videos, 16, folder=folder).prepare([3, 1])
    assert spy.seen() == {"decode": "13"}


@pytest.mark.parametrize("frame_format", list(FORMATS))
def test_frames_are_the_same_stored_or_not(
    videos: list[str], folder: Path, frame_numbers: Numbers, frame_format: str
) -> None:
    filled = FrameStore(videos, 12, folder=folder, frame_format=frame_format)
    filled.prepare(range(4))
    filling = FrameStore(videos, 12, folder=folder / "filling", frame_format=frame_format)
    plain = FrameStore(videos, 12, 0, folder / "plain", frame_format)
    whole = [FORMATS[frame_format].settle(decode(path, 12)) for path in videos]
    for store in (filled, filling, plain, plain):
        for row in (2, 1):
            frames = store.read(row, SOME)
            assert np.array_equal(frames, whole[row][SOME])
            assert frame_numbers(frames) == [7, 0, 0, 9]
            # Frames that can be written to, and are nobody else's.
            assert (frames.dtype, frames.flags.c_contiguous, frames.flags.writeable) == (np.uint8, True, True)
            frames[:] = 0
    assert [store.statistics()[:2] for store in (filled, filling, plain)] == [(2, 0), (0, 2), (0, 4)]


def test_real_videos_are_the_same_stored_or_not(folder: Path) -> None:
    if not FIXTURES.exists():
        pytest.skip("no shared data")
    videos = [
        str(path) for path in sorted(FIXTURES.glob("[RTv]*.avi"))[:2] + sorted(FIXTURES.glob("*.mp4"))[:1]
    ]
    for frame_format in FORMATS:
        filled = FrameStore(videos, 64, folder=folder, frame_format=frame_format)
        assert filled.fill(range(3)) == {}
        plain = FrameStore(videos, 64, 0, folder, frame_format)
        plain._cache.open = lambda _: None  # type: ignore[method-assign]
        for row in range(3):
            indices = np.array([40, 41, 12, filled.count(row) - 1])
            assert np.array_equal(filled.read(row, indices), plain.read(row, indices))
        assert (filled.statistics().hits, plain.statistics().misses) == (3, 3)


@pytest.mark.parametrize("limit", [0, GIB])
def test_short_side_is_part_of_what_is_stored(videos: list[str], folder: Path, limit: int) -> None:
    for short_side, side in [(8, 8), (16, 16), (99, 16)]:
        store = FrameStore(videos, short_side, limit, folder)
        store.fill([0])
        assert store.read(0, EVERY).shape == (10, side, side, 3)
    assert len(stored(folder)) == (3 if limit else 0)


def test_the_decoder_is_part_of_what_is_stored(
    videos: list[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FrameStore(videos, 16, folder=folder).fill([0])
    monkeypatch.setattr(module, "_DECODER", "another")
    assert not FrameStore(videos, 16, folder=folder).stored(0)


# Decoding no more than is needed


def test_clips_whose_length_is_known_are_stored_when_they_are_first_read(
    videos: list[str], folder: Path, spy: Spy
) -> None:
    FrameStore(videos, 16, 0, folder).prepare(range(4))
    assert spy.seen() == {"count": "0123"}
    # A run can start at once.
    store = FrameStore(videos, 16, folder=folder)
    assert store.prepare(range(4)) == {}
    assert [store.count(row) for row in range(4)] == [10] * 4
    assert spy.seen() == {}
    for row in (1, 3, 1):
        store.read(row, SOME)
    assert spy.seen() == {"decode": "13"}
    assert len(stored(folder)) == 2
    assert store.statistics() == Statistics(1, 2, 3 * 4 * 16 * 16 * 3)
    # Filling ahead does what is left.
    assert store.fill(range(4)) == {}
    assert spy.seen() == {"decode": "02"}


def test_without_a_cache_only_the_frames_asked_for_are_decoded(
    videos: list[str], folder: Path, spy: Spy
) -> None:
    store = FrameStore(videos, 16, 0, folder)
    store.prepare(range(4))
    spy.seen()
    assert np.array_equal(store.read(1, SOME), decode(videos[1])[SOME])
    assert spy.seen() == {"read": "1"}
    assert not stored(folder)


def test_asking_length_and_frames_decodes_once(videos: list[str], folder: Path, spy: Spy) -> None:
    store = FrameStore(videos, 16, 0, folder)
    for row in (0, 1):
        assert store.count(row) == 10
        assert len(store.read(row, EVERY)) == 10
    assert spy.seen() == {"decode": "01"}


# Two clips fit; a third does not.
def test_bound_holds_and_clips_beyond_it_are_read(videos: list[str], folder: Path, spy: Spy) -> None:
    limit = SIZE * 5 // 2
    store = FrameStore(videos, 16, limit, folder)
    assert store.prepare(range(4), decoders=1) == {}
    # The third was decoded to be stored; from then on nothing is.
    assert [len(names) for names in spy.seen().values()] == [3, 1]
    assert len(stored(folder)) == 2
    for row in range(4):
        assert store.count(row) == 10
        assert np.array_equal(store.read(row, EVERY), decode(videos[row]))
    assert store.statistics().hits == 2
    # The next run with the same bound does not decode ahead to find out the same.
    spy.seen()
    FrameStore(videos, 16, limit, folder).prepare(range(4))
    assert spy.seen() == {}
    # One with a larger bound stores the others.
    FrameStore(videos, 16, GIB, folder).fill(range(4))
    assert len(stored(folder)) == 4


def test_another_data_sets_clips_make_room(videos: list[str], folder: Path) -> None:
    old = FrameStore(videos[:2], 16, 2 * SIZE, folder)
    old.fill(range(2))
    del old
    for path in stored(folder):
        os.utime(path, (1e9, 1e9))
    new = FrameStore(videos[2:], 16, 2 * SIZE, folder)
    new.fill(range(2), decoders=1)
    assert [new.stored(0), new.stored(1)] == [True, True]
    assert len(stored(folder)) == 2


def test_hit_rate() -> None:
    assert Statistics(3, 1, 0).hit_rate == 0.75
    assert Statistics().hit_rate == 0
