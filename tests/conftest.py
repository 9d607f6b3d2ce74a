"""What all tests share: small real videos whose pixels say what they are, and a cache of their own."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from helpers.registries import unchanged_registries

CLASSES = ("bow", "jump", "wave")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take --slow, which also runs the slow tests."""
    parser.addoption("--slow", action="store_true", help="also run the tests that are marked as slow")


def pytest_configure(config: pytest.Config) -> None:
    """Leave the slow tests out, unless they are asked for by --slow, -m, a file or a test's name."""
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS and not (
        config.option.markexpr or config.getoption("--slow")
    ):
        config.option.markexpr = "not slow"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put slow tests first: left for the end, each would keep one process busy while the others have none."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True, scope="session")
def _no_traces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is kept in the user's cache, and tests side by side do not fight for cores."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_VIDEO_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("OMP_NUM_THREADS", "1")  # of processes that tests start
        yield


@pytest.fixture(autouse=True)
def _own_entries() -> Iterator[None]:
    """Remove what a test registers when it ends."""
    with unchanged_registries():
        yield


def colour(frame: int, label: int = 0, clip: int = 0) -> tuple[int, int, int]:
    """Red, green and blue of a whole frame: they say which frame of which clip of which class it is."""
    return 20 + 8 * frame, 40 + 60 * label, 30 + 30 * clip


def encode(
    path: Path,
    frames: int = 12,
    height: int = 40,
    width: int = 40,
    *,
    fps: int = 10,
    codec: str = "ffv1",
    pixels: str = "bgr0",
    label: int = 0,
    clip: int = 0,
    options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """A real video; every frame has one colour, `colour(frame, label, clip)`.

    With the default codec (for .mkv and .avi) pixels come back exactly, with others nearly.
    """
    assert frames <= 29, "red ends at 255"
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        for number in range(frames):
            image = np.empty((height, width, 3), np.uint8)
            image[:] = colour(number, label, clip)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Path]:
    """`make_video(path, frames, height, width, ...)` writes a video; see `encode`."""
    return encode


@pytest.fixture(scope="session")
def frame_numbers() -> Callable[[np.ndarray], list[int]]:
    """`frame_numbers(frames)`: which frames of their video these are; uint8 (T, H, W, 3), red is used."""

    def read(frames: np.ndarray) -> list[int]:
        red = frames[..., 0].astype(float).mean(tuple(range(1, frames.ndim - 1)))
        return np.round((red - 20) / 8).astype(int).tolist()

    return read


@pytest.fixture(scope="session")
def clip_facts() -> Callable[[torch.Tensor], tuple[Sequence[int], int, int]]:
    """`clip_facts(view)`: frame numbers, class and clip of a "none" or "weak" view, (3, T, S, S)."""

    def read(view: torch.Tensor) -> tuple[Sequence[int], int, int]:
        levels = (view.mean((2, 3)) * 0.225 + 0.45) * 255  # (3, T)
        red, green, blue = levels.tolist()
        return [round((r - 20) / 8) for r in red], round((green[0] - 40) / 60), round((blue[0] - 30) / 30)

    return read


@pytest.fixture(scope="session")
def video_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three class folders ("bow", "jump", "wave") with six videos each, 0.mkv to 5.mkv.

    Their frames are 40 x 44 pixels, their lengths 12 to 17 frames. For reading only: all tests share it.
    """
    root = tmp_path_factory.mktemp("videos")
    for label, name in enumerate(CLASSES):
        for clip in range(6):
            encode(root / name / f"{clip}.mkv", 12 + clip, 40, 44, label=label, clip=clip)
    return root
