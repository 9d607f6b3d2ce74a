"""One store for several processes and threads, which may be interrupted or killed."""

import multiprocessing
import pickle
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from helpers.frame_store import EVERY, SIZE, SOME, Spy, stored

from ssl_video.data.frames.store import FrameStore
from ssl_video.data.video.decode import decode

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
    assert store.prepare([0, 1], decoders=1) == {}
    assert [store.stored(0), store.stored(1)] == [True, True]
    assert (folder / "used").read_text() == f"{2 * SIZE:020d}"


def test_interruption_does_not_wait_for_what_is_left(videos: list[str], folder: Path, spy: Spy) -> None:
    def interrupted(done: int, total: int) -> None:
        raise KeyboardInterrupt

    store = FrameStore(videos * 50, 16, 0, folder)
    with pytest.raises(KeyboardInterrupt):
        store.prepare(range(200), interrupted, decoders=1)
    assert len(spy.calls["count"]) < 100


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
