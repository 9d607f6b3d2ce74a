"""Files that name others or have no end, and bounds of what is decoded."""

import os
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.videos import KINDS, LENGTH, encode
from PIL import Image

from ssl_video.data.frames.store import FrameStore
from ssl_video.data.video import container, decode
from ssl_video.data.video.container import DecodeError, opened, shown, stop_with
from ssl_video.data.video.examine import examine
from ssl_video.data.video.probe import Facts, probe
from ssl_video.data.video.stream import frames
from ssl_video.errors import InputError

ONLY = "only containers of videos are opened"
LISTS = {
    "a.m3u8": ("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nfilm.mp4\n", "a playlist (HLS)"),
    "b.mp4": ("ffconcat version 1.0\nfile film.mp4\n", "a list of files (concat)"),
    "c.sdp": (
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5000 RTP/AVP 96\n",
        "a description of a stream (SDP)",
    ),
}


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return encode(tmp_path / "film.mp4", KINDS["h264"])


@pytest.mark.parametrize("name", LISTS)
def test_files_that_name_others_are_refused_by_every_reader(film: Path, name: str) -> None:
    """A playlist without its end tag was read for ever."""
    content, kind = LISTS[name]
    path = film.with_name(name)
    path.write_text(content)
    readers = (
        decode.decode,
        decode.count,
        decode.stamps,
        lambda p: decode.read(p, [0]),
        lambda p: [*frames(p)],
    )
    for reader in readers:
        with pytest.raises(DecodeError) as refused:
            reader(path)
        assert str(refused.value) == f"no video, but {kind}: {ONLY}"
    assert probe(str(path)).reason == f"no video, but {kind}: {ONLY}"


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    with pytest.raises(DecodeError, match="not a file: a folder, a pipe or a device"):
        decode.decode(tmp_path / "a.mp4")


def test_frames_have_a_largest_size(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MOST_PIXELS", 48 * 64)
    assert len(decode.decode(film)) == LENGTH
    monkeypatch.setattr(container, "MOST_PIXELS", 48 * 64 - 1)
    with pytest.raises(DecodeError, match="64 x 48 pixels, more than the 3,071"):
        decode.decode(film)


def test_pictures_have_a_largest_size(tmp_path: Path) -> None:
    """Pillow's own error for them is no OSError."""
    Image.new("1", (20_000, 20_000)).save(tmp_path / "1.png")
    with pytest.raises(DecodeError, match=r"1\.png"):
        decode.decode(tmp_path)


def test_files_have_a_largest_number_of_frames(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MOST_FRAMES", LENGTH - 1)
    with pytest.raises(DecodeError, match="more than 49 frames"):
        decode.count(film)
    assert len(decode.read(film, [LENGTH - 2])) == 1


def test_a_file_is_not_decoded_at_once_beyond_a_size(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 48 * 64 * 3
    monkeypatch.setattr(decode, "MOST_BYTES", LENGTH * size)
    assert len(decode.decode(film)) == LENGTH
    monkeypatch.setattr(decode, "MOST_BYTES", LENGTH * size - 1)
    with pytest.raises(DecodeError, match="states no duration"):
        decode.decode(film)


READERS: dict[str, Callable[[Path], object]] = {
    "all": decode.decode,
    "count": decode.count,
    "some": lambda film: decode.read(film, [LENGTH - 1], frames=LENGTH),
    "from a time": lambda film: [*frames(film)],
}


def test_data_without_a_frame_end(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that the reader takes between frames does not count, that of the decoder does."""
    monkeypatch.setattr(container, "MOST_SECONDS", 10.0)
    now = [0.0]
    monkeypatch.setattr(container.time, "thread_time", lambda: now[0])
    with opened(film) as (file, stream):
        source = shown(file, stream)
        for _ in range(5):
            next(source)
            now[0] += 100
        assert len(list(source)) == LENGTH - 5

    def slow(file: container.InputContainer, stream: container.VideoStream) -> object:
        for packet in file.demux(stream):
            now[0] += 11
            yield packet

    monkeypatch.setattr(container, "packets", slow)
    for read in READERS.values():
        with pytest.raises(DecodeError, match="no frame within 10 seconds of computing"):
            read(film)
    # Where frames are sought, too, before all is decoded from the beginning.
    told = list[str]()
    monkeypatch.setattr(
        decode, "_passed", lambda *_: told.append("from the beginning") or {LENGTH - 1: np.zeros(1)}
    )
    READERS["some"](film)
    assert told


@pytest.mark.parametrize("limits", [1e-9, (60.0, 1e-9)], ids=["opening", "reading"])
def test_a_disk_that_does_not_answer_is_not_the_fault_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: object
) -> None:
    """No file is quarantined for it, and the doctor keeps no finding."""
    film = encode(tmp_path / "film.mp4", KINDS["h264"]._replace(size=(480, 640)))  # more than a buffer
    monkeypatch.setitem(container._OPEN, "timeout", limits)
    for read in READERS.values():
        with pytest.raises(InputError, match=r"film\.mp4 could not be read: the disk did not answer within"):
            read(film)
    store = FrameStore([str(film)], 16, folder=tmp_path / "frames")
    with pytest.raises(InputError, match="the disk did not answer"):
        store.prepare([0])
    with pytest.raises(InputError, match="the disk did not answer"):
        [*examine([(0, str(film))], 1, 60.0, unanswered)]


def unanswered(path: str) -> Facts:
    container._OPEN["timeout"] = 1e-9
    return probe(path)


def test_decoding_in_a_thread_can_be_stopped(film: Path) -> None:
    stop = threading.Event()
    stop_with(stop)
    try:
        with opened(film) as (file, stream):
            source = shown(file, stream)
            next(source)
            stop.set()
            with pytest.raises(DecodeError, match="stopped"):
                list(source)
    finally:
        stop_with(None)
    assert len(decode.decode(film)) == LENGTH


def test_memory_for_a_few_large_frames(tmp_path: Path) -> None:
    """No room is taken for frames that may not come."""
    path = encode(tmp_path / "large.avi", KINDS["mpeg4"]._replace(size=(720, 1280)), 2)
    tracemalloc.start()
    try:
        pixels = decode.decode(path)
        assert tracemalloc.get_traced_memory()[1] < 6 * pixels[0].nbytes
    finally:
        tracemalloc.stop()


def test_ctrl_c_does_not_wait_for_the_end_of_a_file(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that fill the cache stop at their next packet."""
    pixels, scaled = decode.Scaler.pixels, list[int]()

    def slow(self: decode.Scaler, frame: container.av.VideoFrame) -> np.ndarray:
        scaled.append(1)
        time.sleep(0.02 * (len(scaled) > LENGTH))
        return pixels(self, frame)

    monkeypatch.setattr(decode.Scaler, "pixels", slow)
    others = [encode(film.with_name(f"{n}.avi"), KINDS["mpeg4"]) for n in range(2)]
    others[1].write_bytes(others[1].read_bytes() + b"\0")  # no copy, which would not be decoded

    def interrupted(done: int, total: int) -> None:
        raise KeyboardInterrupt

    store = FrameStore([str(film), *map(str, others)], 32, folder=film.parent / "cache")
    with pytest.raises(KeyboardInterrupt):
        store.prepare([0, 1, 2], interrupted, decoders=1)
    assert len(scaled) < 2 * LENGTH


def test_a_file_is_decoded_into_one_array(tmp_path: Path) -> None:
    """Frames in a list beside their stack took three times the memory of the result."""
    path = encode(tmp_path / "a.mp4", KINDS["h264"]._replace(size=(96, 128)), 200)
    decode.decode(path)
    tracemalloc.start()
    found = decode.decode(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 200
    assert peak < 1.7 * found.nbytes
