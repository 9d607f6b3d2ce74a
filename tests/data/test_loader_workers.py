"""Nothing is read in vain, and batches come whole from workers that end with the training."""

import multiprocessing
import signal
import subprocess
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.batches import CPU, LABELS, Noise, all_batches, assert_same, pool, request
from torch import Tensor

from ssl_video.data import loader
from ssl_video.data.frames.store import FrameStore, Statistics
from ssl_video.data.loader import _Packed, _Pinnable, batches, to_device
from ssl_video.data.shared_memory import LoaderLost
from ssl_video.errors import InputError

# What is read


def test_algorithm_without_unlabeled_views_reads_no_unlabeled_clip() -> None:
    frames = Noise()
    for batch in all_batches(frames, range(5), unlabeled=False):
        assert batch.unlabeled == {}
        assert batch.indices.shape == (0,)
        assert batch.indices.dtype == torch.long
    assert set(frames.rows) == {2, 7, 11, 16}
    # Fifteen clips, each read once, although the window is cut into views.
    assert len(frames.rows) == 15


def test_views_of_a_sample_are_read_together() -> None:
    frames = Noise()
    views = {name: request(name, window=window) for name, window in [("weak", "shared"), ("strong", "own")]}
    pool(frames, views).clips(0)
    assert len(frames.rows) == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_reads_are_counted_whoever_does_them(video_folder: Path, tmp_path: Path, workers: int) -> None:
    """Three steps of two labeled and four unlabeled clips; both kinds have two views, read in one go."""
    frames = FrameStore([str(path) for path in sorted(video_folder.glob("*/*.mkv"))], 20, folder=tmp_path)
    assert frames.prepare(range(18)) == {}
    views = {"a": request(), "b": request("weak")}
    labeled, others = pool(frames, views, batch=2), pool(frames, views, "unlabeled")
    list(batches(labeled, LABELS, others, range(3), CPU, workers))
    assert frames.statistics()[:2] == (3 * (2 + 4), 0)


@pytest.mark.parametrize("workers", [0, 2])
def test_clip_that_has_become_unreadable(
    tmp_path: Path, make_video: Callable[..., Path], workers: int
) -> None:
    path = make_video(tmp_path / "moved.mkv")
    FrameStore([str(path)], 20, folder=tmp_path / "cache").prepare([0])
    path.unlink()
    frames = FrameStore([str(path)], 20, folder=tmp_path / "cache")
    labeled = pool(frames, {"a": request()}, rows=[0])
    with pytest.raises(InputError) as caught:
        list(batches(labeled, LABELS[:1], None, range(3), CPU, workers))
    # One line that names the file, whichever process found it.
    assert str(caught.value).startswith(f"{path}: no such file or directory; it could be decoded")
    assert "\n" not in str(caught.value)


# On the way to the device


@pytest.mark.parametrize("workers", [0, 2])
def test_shared_tensors_stay_shared(workers: int) -> None:
    (batch,) = all_batches(Noise(), range(1), workers)
    assert batch.unlabeled["weak"] is batch.unlabeled["again"]
    assert batch.unlabeled["weak"] is not batch.unlabeled["own"]
    # Another device makes other tensors; "meta" is one that every machine has.
    moved = to_device(batch, torch.device("meta"))
    assert moved.unlabeled["weak"] is moved.unlabeled["again"]
    assert len({id(view) for view in moved.unlabeled.values()}) == 5
    for tensor in (*moved.labeled.values(), moved.labels, *moved.unlabeled.values(), moved.indices):
        assert tensor.device.type == "meta"
    assert [view.shape for view in moved.unlabeled.values()] == [
        view.shape for view in batch.unlabeled.values()
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_pinning_keeps_tensors_shared(monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    (batch,) = all_batches(Noise(), range(1))
    # Only machines with a GPU can pin; a copy does what pinning does to sharing.
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: tensor.clone())
    item = _Pinnable(batch, Statistics())
    pinned = torch.utils.data._utils.pin_memory.pin_memory(_Packed(item) if packed else item).batch
    assert pinned.unlabeled["weak"] is pinned.unlabeled["again"]
    assert pinned.unlabeled["weak"] is not batch.unlabeled["weak"]
    assert_same([pinned], [batch])


def test_warnings_are_left_to_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    # The loader's advice on workers is silenced, and nothing else.
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0}, raising=False)
    labeled = pool(Noise(), {"weak": request("weak")})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in batches(labeled, LABELS, None, range(2), CPU, workers=2):
            warnings.warn("This DataLoader will create trouble", stacklevel=1)
    assert [str(w.message) for w in caught if "DataLoader" in str(w.message)] == [
        "This DataLoader will create trouble"
    ] * 2


@pytest.mark.parametrize("error", [EOFError, ConnectionRefusedError, BrokenPipeError, FileNotFoundError])
def test_the_server_of_loading_processes_is_killed_before_they_start(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def start(_: object) -> None:
        raise error

    monkeypatch.setattr("multiprocessing.Process.start", start)
    loading = batches(pool(Noise(), {"weak": request("weak")}), LABELS, None, range(2), CPU, workers=1)
    with pytest.raises(LoaderLost, match=f"has ended .while it was started: {error.__name__}"):
        next(iter(loading))


def test_workers_end_when_training_stops_early() -> None:
    def children() -> set[object]:
        return {*multiprocessing.active_children()} - before

    before: set[object] = {*multiprocessing.active_children()}
    loading = batches(pool(Noise(), {"weak": request("weak")}), LABELS, None, range(50), CPU, workers=2)
    next(iter(loading))
    assert len(children()) == 2
    loading.close()  # type: ignore[attr-defined]
    while children():
        time.sleep(0.01)


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="this system does not say who sent a signal")
def test_workers_outlive_the_signals_of_a_scheduler() -> None:
    """Otherwise torch ends the run with an error as soon as one of them is gone."""
    before = {*multiprocessing.active_children()}
    loading = batches(pool(Noise(), {"weak": request("weak")}), LABELS, None, range(20), CPU, workers=2)
    next(iter(loading))
    # Sent by another process than the one that made them.
    workers = [str(child.pid) for child in {*multiprocessing.active_children()} - before]
    for name in ("TERM", "INT", "USR1", "USR2"):
        subprocess.run(["kill", f"-{name}", *workers], check=True)
    assert len(list(loading)) == 19


@pytest.mark.skipif(not hasattr(signal, "sigwaitinfo"), reason="this system does not say who sent a signal")
def test_workers_outlive_signals_that_come_before_they_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that has just been started is still importing, and must not be ended by what comes then."""
    listen, before = loader._outlive_signals, {*multiprocessing.active_children()}

    def late() -> None:
        time.sleep(0.5)
        listen()

    def send() -> None:
        while len(workers := {*multiprocessing.active_children()} - before) < 2:
            time.sleep(0.001)
        for name in ("TERM", "INT", "USR1", "USR2"):
            subprocess.run(["kill", f"-{name}", *(str(worker.pid) for worker in workers)], check=True)

    monkeypatch.setattr(loader, "_outlive_signals", late)
    sender = threading.Thread(target=send)
    sender.start()
    loading = batches(pool(Noise(), {"weak": request("weak")}), LABELS, None, range(20), CPU, workers=2)
    assert len(list(loading)) == 20
    sender.join()
