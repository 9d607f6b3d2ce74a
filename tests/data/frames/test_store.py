"""Frames by row: the same with and without the cache, decoded no more often than needed, from any process."""

import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from places import FIXTURES

from ssl_video.data.frames import store as module
from ssl_video.data.frames.cache import entries
from ssl_video.data.frames.formats import FORMATS
from ssl_video.data.frames.store import GIB, FrameStore, Statistics
from ssl_video.data.video.decode import DecodeError, decode
from ssl_video.errors import InputError

MakeVideo = Callable[..., Path]
Numbers = Callable[[np.ndarray], list[int]]

SIZE = 10 * 16 * 16 * 3 + 32  # of one clip below, with the header of its file
EVERY = np.arange(10)
SOME = np.array([7, 0, 0, 9])


@pytest.fixture
def videos(tmp_path: Path, make_video: MakeVideo) -> list[str]:
    """Four clips of ten frames of 16 x 16 pixels."""
    return [str(make_video(tmp_path / f"{n}.mkv", 10, 16, 16, clip=n)) for n in range(4)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


class Spy:
    """What the store had decoded, by the names of files: whole, in part, or only to count frames."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls: dict[str, list[str]] = {}
        for name in ("decode", "read", "count"):
            self.calls[name] = []
            patch.setattr(module.decode, name, self._noting(name, getattr(module.decode, name)))

    def _noting(self, name: str, call: Callable[..., object]) -> Callable[..., object]:
        def noted(path: str, *arguments: object, **named: object) -> object:
            self.calls[name].append(Path(path).stem)
            return call(path, *arguments, **named)

        return noted

    def seen(self) -> dict[str, str]:
        """Names by kind of call, sorted; calls are forgotten."""
        found = {name: "".join(sorted(paths)) for name, paths in self.calls.items() if paths}
        for paths in self.calls.values():
            paths.clear()
        return found


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    return Spy(monkeypatch)


def stored(folder: Path) -> list[Path]:
    return sorted(entry.path for entry in entries(folder))


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
    assert store.prepare(range(4), jobs=1) == {}
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
    new.fill(range(2), jobs=1)
    assert [new.stored(0), new.stored(1)] == [True, True]
    assert len(stored(folder)) == 2


# Which file is which


def test_data_set_that_was_copied_elsewhere_finds_its_frames(
    videos: list[str], tmp_path: Path, folder: Path, spy: Spy
) -> None:
    FrameStore(videos, 16, folder=folder).prepare(range(4))
    spy.seen()
    (tmp_path / "elsewhere").mkdir()
    # Without its time, as `cp -r` and many archives leave it; under other names, too.
    moved = [shutil.copyfile(path, tmp_path / "elsewhere" / f"new{n}.mkv") for n, path in enumerate(videos)]
    store = FrameStore([str(path) for path in moved], 16, folder=folder)
    assert store.prepare(range(4)) == {}
    assert all(np.array_equal(store.read(row, EVERY), decode(videos[row])) for row in range(4))
    assert spy.seen() == {}
    assert len(stored(folder)) == 4


def test_changed_video_has_new_frames(videos: list[str], folder: Path) -> None:
    first, other = (Path(videos[n]) for n in (0, 3))
    size = max(first.stat().st_size, other.stat().st_size)
    first.write_bytes(first.read_bytes().ljust(size, b"\0"))
    before = first.stat()
    FrameStore(videos, 16, folder=folder).prepare(range(4))
    # The same name and size, another time.
    first.write_bytes(other.read_bytes().ljust(size, b"\0"))
    os.utime(first, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
    store = FrameStore(videos, 16, folder=folder)
    store.prepare(range(4))
    assert np.array_equal(store.read(0, EVERY), decode(videos[3]))


def test_videos_of_one_size_and_time_are_told_apart(videos: list[str], folder: Path) -> None:
    # An archive's files may all have its time.
    size = max(os.path.getsize(video) for video in videos)
    for video in map(Path, videos):
        video.write_bytes(video.read_bytes().ljust(size, b"\0"))
        os.utime(video, (1e9, 1e9))
    store = FrameStore(videos, 16, folder=folder)
    store.prepare(range(4))
    assert all(np.array_equal(store.read(row, EVERY), decode(videos[row])) for row in range(4))


def test_equal_files_are_stored_once(videos: list[str], tmp_path: Path, folder: Path) -> None:
    twin = shutil.copyfile(videos[0], tmp_path / "twin.mkv")
    store = FrameStore([videos[0], str(twin)], 16, folder=folder)
    store.prepare(range(2), jobs=1)
    assert len(stored(folder)) == 1
    assert np.array_equal(store.read(1, EVERY), decode(videos[0]))


@pytest.mark.parametrize("text", ["", "x", "x y", "x 10 10"])
def test_damaged_link_is_as_good_as_none(videos: list[str], folder: Path, text: str) -> None:
    FrameStore(videos, 16, 0, folder).prepare([0])
    (link,) = (path for path in folder.glob("files/*/*") if path.is_symlink())
    link.unlink()
    if text:
        link.symlink_to(text)
    else:
        link.write_text("no link")
    store = FrameStore(videos, 16, 0, folder)
    assert store.prepare([0]) == {}
    assert store.count(0) == 10


# Damage


def test_broken_videos_are_reported_and_not_stored(videos: list[str], tmp_path: Path, folder: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    names = ("text.mp4", "gone.mp4", "empty.mp4")
    paths = [*videos[:2], *(str(tmp_path / name) for name in names)]
    invalid = "invalid data found when processing input"
    expected = {2: invalid, 3: "no such file or directory", 4: invalid}
    for limit in (GIB, GIB, 0):
        store = FrameStore(paths, 16, limit, folder)
        assert store.prepare(range(5)) == expected
    assert len(stored(folder)) == 2
    for row in expected:
        with pytest.raises(DecodeError):
            store.read(row, EVERY)
        with pytest.raises(DecodeError):
            store.count(row)


@pytest.mark.parametrize("frame_format", list(FORMATS))
@pytest.mark.parametrize("length", [0, 20, 200, -1])
def test_torn_file_is_decoded_and_stored_again(
    videos: list[str], folder: Path, length: int, frame_format: str
) -> None:
    FrameStore(videos, 16, folder=folder, frame_format=frame_format).prepare([0])
    (path,) = stored(folder)
    whole = path.read_bytes()
    path.write_bytes(whole[:length])
    store = FrameStore(videos, 16, folder=folder, frame_format=frame_format)
    expected = FORMATS[frame_format].settle(decode(videos[0]))
    assert store.prepare([0]) == {}
    assert store.count(0) == 10
    assert np.array_equal(store.read(0, EVERY), expected)
    assert path.read_bytes() == whole


def test_damaged_images_are_decoded_and_stored_again(videos: list[str], folder: Path) -> None:
    FrameStore(videos, 16, folder=folder, frame_format="jpeg").prepare([0])
    (path,) = stored(folder)
    whole = path.read_bytes()
    path.write_bytes(whole[:200] + bytes(len(whole) - 200))
    store = FrameStore(videos, 16, folder=folder, frame_format="jpeg")
    assert np.array_equal(store.read(0, EVERY), FORMATS["jpeg"].settle(decode(videos[0])))
    assert store.statistics()[:2] == (0, 1)
    assert path.read_bytes() == whole


def test_clip_that_another_run_removes_is_decoded_again(videos: list[str], folder: Path) -> None:
    store = FrameStore(videos, 16, folder=folder)
    store.prepare(range(4))
    store.read(2, SOME)
    for path in stored(folder):
        path.unlink()
    assert np.array_equal(store.read(2, SOME), decode(videos[2])[SOME])
    assert store.stored(2)


def test_folder_that_cannot_be_written(videos: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    nowhere = tmp_path / "file" / "cache"
    with pytest.raises(InputError, match="--cache-gib 0"):
        FrameStore(videos, 16, folder=nowhere).prepare(range(4))
    # The remedy that the message names works.
    store = FrameStore(videos, 16, 0, nowhere)
    assert store.prepare(range(4)) == {}
    assert np.array_equal(store.read(1, EVERY), decode(videos[1]))


def test_interruption_does_not_wait_for_what_is_left(videos: list[str], folder: Path, spy: Spy) -> None:
    def interrupted(done: int, total: int) -> None:
        raise KeyboardInterrupt

    store = FrameStore(videos * 50, 16, 0, folder)
    with pytest.raises(KeyboardInterrupt):
        store.prepare(range(200), interrupted, jobs=1)
    assert len(spy.calls["count"]) < 100


# Processes and threads

_FILL = (
    "import sys\nfrom pathlib import Path\nfrom ssl_video.data.frames.store import FrameStore\n"
    "assert FrameStore(sys.argv[2:], 16, folder=Path(sys.argv[1])).prepare(range(len(sys.argv) - 2)) == {}\n"
)


def test_four_processes_fill_at_once(videos: list[str], folder: Path) -> None:
    command = [sys.executable, "-c", _FILL, str(folder), *videos]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(120) for process in processes] == [0] * 4
    store = FrameStore(videos, 16, folder=folder)
    for row, path in enumerate(videos):
        assert np.array_equal(store.read(row, EVERY), decode(path))
    assert (len(stored(folder)), store.statistics().hits) == (4, 4)
    assert not list(folder.rglob("*.part"))


def test_killed_while_writing(videos: list[str], folder: Path) -> None:
    # It stops behind the first part of its file, and is killed there.
    program = (
        "import contextlib, time\nfrom ssl_video.data.frames import cache\nwhole = cache.replacing\n"
        "@contextlib.contextmanager\ndef slow(path):\n"
        "    with whole(path) as file:\n"
        "        file.write(b'half')\n        file.flush()\n        print('ready', flush=True)\n"
        "        time.sleep(60)\n        yield file\n"
        "cache.replacing = slow\n"
    ) + _FILL
    command = [sys.executable, "-c", program, str(folder), videos[0]]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    assert len(list(folder.rglob("*.part"))) == 1
    assert not stored(folder)
    # Its claim is void, and the room that it reserved is found when room gets scarce.
    store = FrameStore(videos, 16, 2 * SIZE, folder)
    assert store.prepare([0, 1], jobs=1) == {}
    assert [store.stored(0), store.stored(1)] == [True, True]
    assert (folder / "used").read_text() == f"{2 * SIZE:020d}"


def test_threads_share_a_store(videos: list[str], folder: Path) -> None:
    store, expected = FrameStore(videos, 16, 2 * SIZE, folder), [decode(path) for path in videos]
    with ThreadPoolExecutor(4) as pool:
        reads = list(pool.map(lambda n: store.read(n % 4, EVERY), range(64)))
    assert all(np.array_equal(frames, expected[n % 4]) for n, frames in enumerate(reads))
    assert sum(store.statistics()[:2]) == 64


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_and_store(videos: list[str], folder: Path, method: str) -> None:
    FrameStore(videos, 16, 0, folder).prepare(range(4))
    store = FrameStore(videos, 16, folder=folder)
    store.prepare(range(4))
    store.read(0, EVERY)
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    workers = [context.Process(target=_work, args=(store, rows, answers)) for rows in ([0, 1], [2, 3, 1])]
    for worker in workers:
        worker.start()
    for _ in range(5):
        row, frames, statistics = answers.get(timeout=60)
        assert np.array_equal(frames, decode(videos[row])[SOME])
        store.add(statistics)
    for worker in workers:
        worker.join()
    # One read was this process's own.
    assert sum(store.statistics()[:2]) == 1 + 5
    assert len(stored(folder)) == 4


def _work(store: FrameStore, rows: list[int], answers: "multiprocessing.Queue[object]") -> None:
    """What a run's worker process does; it hands over what it counted, as the run's loader does."""
    for row in rows:
        answers.put((row, store.read(row, SOME), store.take()))


def test_pickle_is_a_description(videos: list[str], folder: Path) -> None:
    store = FrameStore(videos, 16, 10**9, folder, "jpeg")
    store.prepare(range(4))
    store.read(0, EVERY)
    content = pickle.dumps(store)
    assert len(content) < 1000 + sum(map(len, videos))
    copy = pickle.loads(content)
    assert (copy.paths, copy.short_side, copy.limit) == (videos, 16, 10**9)
    assert (copy.folder, copy.frame_format) == (folder, "jpeg")
    assert np.array_equal(copy.read(3, EVERY), store.read(3, EVERY))


def test_folder_follows_the_environment(
    videos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_VIDEO_CACHE", str(tmp_path / "elsewhere"))
    FrameStore(videos, 16).prepare([0])
    assert len(stored(tmp_path / "elsewhere" / "frames")) == 1


def test_hit_rate() -> None:
    assert Statistics(3, 1, 0).hit_rate == 0.75
    assert Statistics().hit_rate == 0
