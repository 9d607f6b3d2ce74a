"""The frame cache: same frames with and without it, within its bound, and whole whatever happens."""

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ssl_video.data import store as module
from ssl_video.data.decode import DecodeError, decode
from ssl_video.data.store import FrameStore
from ssl_video.errors import InputError

MakeVideo = Callable[..., Path]
Numbers = Callable[[np.ndarray], list[int]]

BYTES = 10 * 16 * 16 * 3  # of one clip below
HEADER = 128  # of one .npy file


@pytest.fixture
def videos(tmp_path: Path, make_video: MakeVideo) -> list[str]:
    """Four clips of ten frames of 16 x 16 pixels."""
    return [str(make_video(tmp_path / f"{n}.mkv", 10, 16, 16, clip=n)) for n in range(4)]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files decoded by the store, as it goes."""
    names: list[str] = []

    def spy(path: str, short_side: int | None = None) -> np.ndarray:
        names.append(Path(path).name)
        return decode(path, short_side)

    monkeypatch.setattr(module, "decode", spy)
    return names


def kept(cache: Path, suffix: str) -> list[Path]:
    return sorted(cache.rglob(f"*{suffix}"))


EVERY = np.arange(10)


def test_every_clip_is_decoded_once(videos: list[str], cache: Path, decoded: list[str]) -> None:
    store = FrameStore(videos, 16, folder=cache)
    seen: list[tuple[int, int]] = []
    assert store.prepare(range(4), lambda done, total: seen.append((done, total))) == {}
    assert sorted(decoded) == ["0.mkv", "1.mkv", "2.mkv", "3.mkv"]
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(kept(cache, ".npy")) == 4
    # Neither reading nor counting nor a second run decodes again.
    assert np.array_equal(store.read(2, EVERY), decode(videos[2]))
    again = FrameStore(videos, 16, folder=cache)
    assert again.prepare(range(4)) == {}
    assert [again.count(row) for row in range(4)] == [10] * 4
    assert len(decoded) == 4


def test_only_the_rows_asked_for_are_prepared(videos: list[str], cache: Path, decoded: list[str]) -> None:
    FrameStore(videos, 16, folder=cache).prepare([3, 1])
    assert sorted(decoded) == ["1.mkv", "3.mkv"]


def test_frames_are_read_by_index_in_the_order_asked(
    videos: list[str], cache: Path, frame_numbers: Numbers
) -> None:
    stored, plain = FrameStore(videos, 16, folder=cache), FrameStore(videos, 16, 0, cache)
    stored.prepare(range(4))
    for store in (stored, plain):
        frames = store.read(1, np.array([7, 0, 0, 9]))
        assert frame_numbers(frames) == [7, 0, 0, 9]
        # Frames that can be written to, and are no view of the file.
        assert (frames.dtype, frames.flags.c_contiguous, frames.flags.writeable) == (np.uint8, True, True)
        assert type(frames) is np.ndarray
        frames[:] = 0
        assert frame_numbers(store.read(1, np.array([7]))) == [7]


@pytest.mark.parametrize("limit", [0, 10**9])
def test_short_side_is_stored(videos: list[str], cache: Path, limit: int) -> None:
    for short_side, side in [(8, 8), (16, 16), (99, 16)]:
        store = FrameStore(videos, short_side, limit, cache)
        store.prepare([0])
        assert store.read(0, EVERY).shape == (10, side, side, 3)
    assert len(kept(cache, ".npy")) == (3 if limit else 0)


def test_without_limit_nothing_is_stored_but_lengths(
    videos: list[str], cache: Path, decoded: list[str]
) -> None:
    store = FrameStore(videos, 16, 0, cache)
    store.prepare(range(4))
    assert not kept(cache, ".npy")
    del decoded[:]
    assert FrameStore(videos, 16, 0, cache).count(1) == 10
    assert not decoded
    assert np.array_equal(store.read(1, EVERY), decode(videos[1]))


def test_asking_length_and_frames_decodes_once(videos: list[str], cache: Path, decoded: list[str]) -> None:
    store = FrameStore(videos, 16, 0, cache)
    for row in (0, 1, 0):
        assert store.count(row) == 10
        assert len(store.read(row, EVERY)) == 10
    assert decoded == ["0.mkv", "1.mkv", "0.mkv"]


# Two clips and their headers fit; a third does not.
def test_bound_holds_and_clips_beyond_it_are_read(videos: list[str], cache: Path, decoded: list[str]) -> None:
    limit = 2 * (BYTES + HEADER) + BYTES // 2
    store = FrameStore(videos, 16, limit, cache)
    assert store.prepare(range(4)) == {}
    assert len(kept(cache, ".npy")) == 2
    assert len(kept(cache, ".count")) == 2
    assert sum(path.stat().st_size for path in kept(cache, ".npy")) <= limit
    for row in range(4):
        assert store.count(row) == 10
        assert np.array_equal(store.read(row, EVERY), decode(videos[row]))
    # The next run with the same bound does not decode again to find out the same.
    del decoded[:]
    FrameStore(videos, 16, limit, cache).prepare(range(4))
    assert not decoded
    # What others have stored counts.
    FrameStore(videos, 8, limit, cache).prepare(range(4))
    assert sum(path.stat().st_size for path in kept(cache, ".npy")) <= limit


def test_larger_bound_fills_what_did_not_fit(videos: list[str], cache: Path, decoded: list[str]) -> None:
    FrameStore(videos, 16, 0, cache).prepare(range(4))
    FrameStore(videos, 16, 10**9, cache).prepare(range(4))
    assert len(kept(cache, ".npy")) == 4
    del decoded[:]
    FrameStore(videos, 16, 10**9, cache).prepare(range(4))
    assert not decoded


# Damage


def test_broken_videos_are_reported_and_not_stored(videos: list[str], tmp_path: Path, cache: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    paths = [*videos[:2], str(tmp_path / "text.mp4"), str(tmp_path / "gone.mp4"), str(tmp_path / "empty.mp4")]
    store = FrameStore(paths, 16, folder=cache)
    invalid = "invalid data found when processing input"
    expected = {2: invalid, 3: "no such file or directory", 4: invalid}
    for _ in range(2):
        assert store.prepare(range(5)) == expected
    assert sum(path.is_file() for path in cache.rglob("*")) == 2
    for row in expected:
        with pytest.raises(DecodeError):
            store.read(row, EVERY)
        with pytest.raises(DecodeError):
            store.count(row)


# A power cut may leave a file empty, cut off, or full of zeros.
@pytest.mark.parametrize(
    "damage", [lambda c: b"", lambda c: c[:50], lambda c: c[:-1], lambda c: bytes(len(c))]
)
def test_damaged_cache_file_is_as_good_as_none(
    videos: list[str], cache: Path, damage: Callable[[bytes], bytes]
) -> None:
    FrameStore(videos, 16, folder=cache).prepare([0])
    (path,) = kept(cache, ".npy")
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    store = FrameStore(videos, 16, folder=cache)
    assert store.count(0) == 10
    assert np.array_equal(store.read(0, EVERY), decode(videos[0]))
    assert store.prepare([0]) == {}
    assert path.read_bytes() == whole


@pytest.mark.parametrize("content", ["", "1", "x y"])
def test_damaged_length_is_as_good_as_none(videos: list[str], cache: Path, content: str) -> None:
    FrameStore(videos, 16, 0, cache).prepare([0])
    (path,) = kept(cache, ".count")
    path.write_text(content)
    store = FrameStore(videos, 16, 0, cache)
    assert store.count(0) == 10
    store.prepare([0])
    assert path.read_text() == f"10 {BYTES}"


def test_changed_video_has_new_frames(videos: list[str], cache: Path, make_video: MakeVideo) -> None:
    first, other = (Path(videos[n]) for n in (0, 3))
    size = max(first.stat().st_size, other.stat().st_size)
    first.write_bytes(first.read_bytes().ljust(size, b"\0"))
    before = first.stat()
    FrameStore(videos, 16, folder=cache).prepare(range(4))
    # The same name and size, another time.
    first.write_bytes(other.read_bytes().ljust(size, b"\0"))
    os.utime(first, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
    store = FrameStore(videos, 16, folder=cache)
    store.prepare(range(4))
    assert np.array_equal(store.read(0, EVERY), decode(videos[3]))


def test_videos_of_one_size_and_time_are_told_apart(videos: list[str], cache: Path) -> None:
    # An archive's files may all have its time.
    size = max(os.path.getsize(video) for video in videos)
    for video in map(Path, videos):
        video.write_bytes(video.read_bytes().ljust(size, b"\0"))
        os.utime(video, (1e9, 1e9))
    store = FrameStore(videos, 16, folder=cache)
    store.prepare(range(4))
    assert all(np.array_equal(store.read(row, EVERY), decode(videos[row])) for row in range(4))


def test_clip_that_is_read_before_it_is_prepared(videos: list[str], cache: Path, decoded: list[str]) -> None:
    store = FrameStore(videos, 16, folder=cache)
    store.read(0, EVERY)
    store.read(1, EVERY)
    store.prepare(range(4))
    del decoded[:]
    assert np.array_equal(store.read(0, EVERY), decode(videos[0]))
    assert not decoded


# Processes and threads


def test_leftovers_of_killed_processes_are_ignored_and_removed_after_a_day(
    videos: list[str], cache: Path
) -> None:
    FrameStore(videos, 16, folder=cache).prepare([0])
    (path,) = kept(cache, ".npy")
    fresh, stale = (path.with_name(f".{path.name}.{n}-1.part") for n in (1, 2))
    for part in (fresh, stale):
        part.write_bytes(b"half")
    yesterday = time.time() - 25 * 3600
    os.utime(stale, (yesterday, yesterday))
    os.utime(path, (yesterday, yesterday))
    store = FrameStore(videos, 16, folder=cache)
    assert store.prepare(range(4)) == {}
    assert np.array_equal(store.read(0, EVERY), decode(videos[0]))
    # Another process may still be writing the fresh one; whole files stay, however old.
    assert fresh.exists()
    assert path.stat().st_mtime == pytest.approx(yesterday)
    assert not stale.exists()


def test_file_that_vanishes_while_the_cache_is_measured(
    videos: list[str], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another process renames its temporary file between the listing and the look at it.
    FrameStore(videos, 16, folder=cache).prepare([0])
    walk = os.walk
    monkeypatch.setattr(
        module.os, "walk", lambda folder: ((p, d, [*f, "gone.part"]) for p, d, f in walk(folder))
    )
    assert FrameStore(videos, 16, folder=cache).prepare(range(4)) == {}


def test_killed_while_writing_leaves_no_cache_file(videos: list[str], cache: Path) -> None:
    program = (
        "import os, sys\nimport numpy as np\nfrom pathlib import Path\n"
        "from ssl_video.data.store import FrameStore\n"
        "def half(file, frames):\n    file.write(b'half'); file.flush(); os._exit(9)\n"
        "np.save = half\n"
        "FrameStore([sys.argv[1]], 16, folder=Path(sys.argv[2])).prepare([0])\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, videos[0], str(cache)], check=False)
    assert ended.returncode == 9
    assert not kept(cache, ".npy")
    store = FrameStore(videos, 16, folder=cache)
    assert store.prepare([0]) == {}
    assert np.array_equal(store.read(0, EVERY), decode(videos[0]))


def test_two_processes_fill_at_once(videos: list[str], cache: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom ssl_video.data.store import FrameStore\n"
        "assert FrameStore(sys.argv[2:], 16, folder=Path(sys.argv[1])).prepare(range(4)) == {}\n"
    )
    command = [sys.executable, "-c", program, str(cache), *videos]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    store = FrameStore(videos, 16, folder=cache)
    for row, path in enumerate(videos):
        assert np.array_equal(store.read(row, EVERY), decode(path))
    assert len(kept(cache, ".npy")) == 4
    assert not kept(cache, ".part")


def test_threads_share_a_store(videos: list[str], cache: Path) -> None:
    store, expected = FrameStore(videos, 16, 2 * (BYTES + HEADER), cache), [decode(path) for path in videos]
    store.prepare(range(4))
    with ThreadPoolExecutor(4) as pool:
        reads = list(pool.map(lambda n: store.read(n % 4, EVERY), range(64)))
    assert all(np.array_equal(frames, expected[n % 4]) for n, frames in enumerate(reads))


def test_pickle_is_a_description(videos: list[str], cache: Path) -> None:
    store = FrameStore(videos, 16, 10**9, cache)
    store.prepare(range(4))
    store.read(0, EVERY)
    content = pickle.dumps(store)
    assert len(content) < 1000 + sum(map(len, videos))
    copy = pickle.loads(content)
    assert (copy.paths, copy.short_side, copy.limit, copy.folder) == (videos, 16, 10**9, cache)
    assert np.array_equal(copy.read(3, EVERY), decode(videos[3]))


def test_folder_follows_the_environment(
    videos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_VIDEO_CACHE", str(tmp_path / "elsewhere"))
    FrameStore(videos, 16).prepare([0])
    assert len(kept(tmp_path / "elsewhere" / "frames", ".npy")) == 1


def test_folder_that_cannot_be_written(videos: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "cache"
    with pytest.raises(InputError) as caught:
        FrameStore(videos, 16, folder=folder).prepare(range(4))
    assert str(folder) in str(caught.value)
    assert "SSL_VIDEO_CACHE" in str(caught.value)
    # The remedy that the message names works.
    assert "--cache-gib 0" in str(caught.value)
    store = FrameStore(videos, 16, 0, folder)
    assert store.prepare(range(4)) == {}
    assert np.array_equal(store.read(1, EVERY), decode(videos[1]))


def test_full_disk_is_told(videos: list[str], cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What numpy raises when a disk is full has no error number.
    def full(*_: object) -> None:
        raise OSError("7680 requested and 4096 written")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(InputError, match="7680 requested and 4096 written"):
        FrameStore(videos, 16, folder=cache).prepare(range(4))
    assert not [path for path in cache.rglob("*") if path.is_file()]
