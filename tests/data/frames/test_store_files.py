"""Files of videos and of frames: which belongs to which, and what becomes of damaged ones."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.frame_store import EVERY, SOME, Spy, stored

from ssl_video.data.frames.formats import FORMATS
from ssl_video.data.frames.store import GIB, FrameStore
from ssl_video.data.video.container import DecodeError
from ssl_video.data.video.decode import decode
from ssl_video.errors import InputError

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
    store.prepare(range(2), decoders=1)
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


def test_folder_follows_the_environment(
    videos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_VIDEO_CACHE", str(tmp_path / "elsewhere"))
    FrameStore(videos, 16).prepare([0])
    assert len(stored(tmp_path / "elsewhere" / "frames")) == 1


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
