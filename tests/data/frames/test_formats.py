"""Stored clips: frames come back, exactly or nearly, and a damaged file is told from a whole one."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ssl_video.data.damage import DamagedError
from ssl_video.data.frames.formats import FORMATS, StoredClip, pack

INDICES = np.array([4, 0, 0, 3])
NAME = "raw-128/abc"


@pytest.fixture
def frames() -> np.ndarray:
    """Five frames of 18 x 21 pixels that change slowly from place to place, so that JPEG keeps them."""
    time, y, x, colour = np.meshgrid(*map(np.arange, (5, 18, 21, 3)), indexing="ij")
    return (40 * time + 2 * x + 2 * y + 5 * colour).astype(np.uint8)


@pytest.fixture(params=["raw", "jpeg"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(name: str, frames: np.ndarray, tmp_path: Path) -> Path:
    file = tmp_path / "clip"
    file.write_bytes(b"".join(pack(FORMATS[name], frames, NAME)))
    return file


def test_frames_come_back_in_the_order_asked(path: Path, name: str, frames: np.ndarray) -> None:
    with StoredClip(path, FORMATS[name], NAME) as clip:
        assert (len(clip), clip.shape, clip.size) == (5, (5, 18, 21, 3), path.stat().st_size)
        found = clip.read(INDICES)
    # Consumers write into them.
    assert (found.dtype, found.flags.c_contiguous, found.flags.writeable) == (np.uint8, True, True)
    assert np.array_equal(found, FORMATS[name].settle(frames)[INDICES])
    error = np.abs(found.astype(int) - frames[INDICES]).max()
    assert error == 0 if name == "raw" else 0 < error < 25


def test_size_of_a_raw_file(frames: np.ndarray) -> None:
    # 5 x 18 x 21 x 3 pixels, 56 bytes of header, and 4 of checksum for each frame.
    assert len(b"".join(pack(FORMATS["raw"], frames, NAME))) == 5670 + 56 + 5 * 4


def test_pixels_do_not_depend_on_the_frames_beside_them(name: str, frames: np.ndarray) -> None:
    settle = FORMATS[name].settle
    assert np.array_equal(settle(frames[2:3])[0], settle(frames)[2])


def test_what_is_removed_while_it_is_open_stays_readable(path: Path, name: str) -> None:
    with StoredClip(path, FORMATS[name], NAME) as clip:
        before = clip.read(INDICES)
        path.unlink()
        assert np.array_equal(clip.read(INDICES), before)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: bytes(len(content)),
        lambda content: b"another!" + content[8:],
    ],
)
def test_file_that_is_not_whole(path: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DamagedError):
        StoredClip(path, FORMATS[name], NAME)


# Behind a header that is right: the table of places points anywhere, or images are none.
@pytest.mark.parametrize("start", [76, 124])
@pytest.mark.parametrize("value", [0, 255])
def test_jpeg_images_that_are_damaged(frames: np.ndarray, tmp_path: Path, start: int, value: int) -> None:
    content = b"".join(pack(FORMATS["jpeg"], frames, NAME))
    path = tmp_path / "clip"
    path.write_bytes(content[:start] + bytes([value]) * (len(content) - start))
    with StoredClip(path, FORMATS["jpeg"], NAME) as clip, pytest.raises(DamagedError):
        clip.read(INDICES)


def test_file_that_is_cut_off_while_it_is_open(path: Path, name: str) -> None:
    # A mapped file would kill the process here.
    with StoredClip(path, FORMATS[name], NAME) as clip:
        with path.open("r+b") as file:
            file.truncate(100)
        with pytest.raises(DamagedError):
            clip.read(INDICES)


@pytest.mark.parametrize("index", [-1, 5])
def test_frame_that_does_not_exist(path: Path, name: str, index: int) -> None:
    with StoredClip(path, FORMATS[name], NAME) as clip, pytest.raises(IndexError, match="of a clip of 5"):
        clip.read(np.array([0, index]))
