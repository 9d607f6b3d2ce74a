"""An error of a loading process, or of a thread in it, ends the run with one sentence."""

import os
import signal
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.batches import CPU, LABELS, Noise, pool, request

from ssl_video.data import loader, shared_memory
from ssl_video.data.loader import batches
from ssl_video.data.pool import Pool
from ssl_video.data.shared_memory import LoaderLost, ended, prefetch
from ssl_video.data.views.sampling import ClipShape
from ssl_video.errors import InputError

MIB = 2**20
FULL = "unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)"


def load(frames: Noise | None = None, workers: int = 2, **more: Any) -> list[object]:
    labeled = pool(frames or Noise(), {"weak": request("weak")})
    return list(batches(labeled, LABELS, None, range(4), CPU, workers, **more))


class Slow(Noise):
    def read(self, row: int, indices: np.ndarray) -> np.ndarray:
        time.sleep(0.1)
        return super().read(row, indices)


class Killed(Noise):
    def read(self, row: int, indices: np.ndarray) -> np.ndarray:
        os.kill(os.getpid(), signal.SIGKILL)
        return super().read(row, indices)


# Errors in a process


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (FULL, "no room is left in the shared memory /dev/shm .* --shm-size .* fewer --workers"),
        ("unable to open shared memory object: Too many open files (24)", "too many open files .* ulimit -n"),
    ],
)
def test_batches_that_cannot_be_shared(monkeypatch: pytest.MonkeyPatch, text: str, told: str) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(text)

    for name in ("_share_fd_cpu_", "_share_filename_cpu_"):
        monkeypatch.setattr(torch.UntypedStorage, name, fail)
    with pytest.raises(InputError, match=told):
        load()


def test_batches_that_cannot_be_received(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("received 0 items of ancdata")

    monkeypatch.setattr(loader, "pickle", SimpleNamespace(loads=fail))
    with pytest.raises(InputError, match="too many open files"):
        load()


def test_other_errors_of_sharing_keep_their_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("planted")

    for name in ("_share_fd_cpu_", "_share_filename_cpu_"):
        monkeypatch.setattr(torch.UntypedStorage, name, fail)
    with pytest.raises(RuntimeError, match="planted"):
        load()


def test_a_thread_that_cannot_send(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("planted")

    # The queue's thread pickles it.
    monkeypatch.setattr(loader._Packed, "__reduce__", fail)
    with pytest.raises(InputError, match=r"a loading process has ended \(exited unexpectedly"):
        load()


def test_a_process_that_is_killed() -> None:
    with pytest.raises(LoaderLost, match=r"a loading process has ended .*fewer --workers"):
        load(Killed())


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("DataLoader worker (pid 12) is killed by signal: Killed. ", "killed by signal: Killed"),
        (
            "DataLoader worker (pid 12) is killed by signal: Bus error. It is possible that dataloader's "
            "workers are out of shared memory. Please try to raise your shared memory limit.",
            "killed by signal: Bus error",
        ),
        ("DataLoader worker (pid(s) 12, 13) exited unexpectedly", "exited unexpectedly"),
        (
            "DataLoader worker (pid 12) exited unexpectedly with exit code 1. Details are lost due to "
            "multiprocessing.",
            "exited unexpectedly with exit code 1",
        ),
    ],
)
def test_reports_of_a_dead_process(text: str, how: str) -> None:
    assert str(ended(RuntimeError(text))).startswith(f"a loading process has ended ({how}): ")


@pytest.mark.parametrize("text", ["", "some other error", "no DataLoader worker (pid 12) is killed"])
def test_other_errors_are_no_reports_of_a_dead_process(text: str) -> None:
    assert ended(RuntimeError(text)) is None


# Waiting


def test_a_wait_can_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    class Enough(Exception):
        pass

    def stop() -> None:
        raise Enough

    monkeypatch.setattr(loader, "_WAIT_SECONDS", 0.01)
    with pytest.raises(Enough):
        load(Slow(), workers=1, waiting=stop)


def test_a_wait_goes_on_until_the_batch_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    waits = list[int]()
    monkeypatch.setattr(loader, "_WAIT_SECONDS", 0.01)
    assert len(load(Slow(), waiting=lambda: waits.append(1))) == 4
    assert waits


def test_the_thread_that_pins_has_died() -> None:
    class Dead:
        def is_alive(self) -> bool:
            return False

    class Loaded:
        _pin_memory_thread = Dead()

        def __next__(self) -> None:
            raise RuntimeError("DataLoader timed out after 1 seconds")

    with pytest.raises(RuntimeError, match="timed out"):
        next(loader._received(Loaded(), lambda: None))


# Room in shared memory


@pytest.mark.parametrize(
    ("room", "held", "processes", "ahead"),
    [
        (1000, 1, 1, 4),
        (18, 1, 1, 4),  # 4 * 4 and 2
        (17, 1, 1, 3),
        (6, 1, 1, 1),
        (13, 8, 1, 1),
        (12, 1, 2, 1),
        (36, 1, 2, 4),
    ],
)
def test_batches_ahead(
    monkeypatch: pytest.MonkeyPatch, room: int, held: int, processes: int, ahead: int
) -> None:
    monkeypatch.setattr(shared_memory, "free", lambda: room * MIB + MIB // 2 + 1)
    assert prefetch(4, MIB, held, processes) == ahead


def test_no_folder_of_shared_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(shared_memory, "FOLDER", tmp_path / "none")
    assert shared_memory.free() is None
    assert prefetch(8, 10**12) == 4


@pytest.mark.parametrize(
    ("room", "told"),
    [
        (5, "4 loading processes need 6.5 MiB .* batches of 1.0 MiB, .* has 5.5 MiB left: .* --workers 3$"),
        (1, "--shm-size 8g.* --workers 0, which loads clips in the run's own process$"),
    ],
)
def test_not_one_batch_each(monkeypatch: pytest.MonkeyPatch, room: int, told: str) -> None:
    monkeypatch.setattr(shared_memory, "free", lambda: room * MIB + MIB // 2)
    with pytest.raises(InputError, match=told):
        prefetch(4, MIB)


def test_too_little_room_is_told_before_a_process_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_memory, "free", lambda: 1000)
    monkeypatch.setattr(loader, "DataLoader", None)
    with pytest.raises(InputError, match="2 loading processes need"):
        load()


def test_without_processes_no_room_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_memory, "free", lambda: 0)
    assert len(load(workers=0)) == 4


def test_size_of_a_batch() -> None:
    views = {
        "weak": request("weak"),
        "again": request("weak"),
        "fast": request("strong", ClipShape(8, 1)),
        "own": request("weak", window="own"),
    }
    for shards in (1, 2):
        made: Pool = pool(Noise(), views, shards=shards)
        stored = {view.data_ptr(): view.nbytes for view in made.clips(0).values()}
        assert made.bytes == sum(stored.values())
