from collections.abc import Callable
from pathlib import Path

import pytest

from ssl_video.data.dataset import Data, load
from ssl_video.data.frame_rates import far_off, remark
from ssl_video.spec import build


@pytest.fixture
def opened(tmp_path: Path, make_video: Callable[..., Path]) -> Callable[..., Data]:
    """`opened(*rates)`: a data set with a video of 24 frames for each rate in each class."""

    def make(*rates: int) -> Data:
        for label, name in enumerate(("bow", "wave")):
            for number, rate in enumerate(rates):
                make_video(tmp_path / "gym" / name / f"{number}.mp4", 24, fps=rate, codec="libx264",
                           pixels="yuv420p", label=label, clip=number)  # fmt: skip
        return load(build({"data": str(tmp_path / "gym"), "size": 16, "folds": 2}))

    return make


def test_rates_that_differ_are_counted(opened: Callable[..., Data]) -> None:
    assert remark(opened(15, 15, 60)) == (
        "gym: the frame rate of 2 videos of 6 differs by half or more from the usual 15 per second (15 to 60 "
        "occur), and --stride counts frames, so their clips last longer or shorter; --fps samples by time"
    )


def test_rates_that_hardly_differ(opened: Callable[..., Data]) -> None:
    assert remark(opened(24, 25, 30)) is None


def test_half_more_and_half_as_much() -> None:
    rates = {
        "much slower": 20.0,
        "slower": 20.1,
        "usual": 30.0,
        "same": 30.0,
        "faster": 44.9,
        "half more": 45.0,
    }
    assert far_off(rates) == (30.0, ["much slower", "half more"])
    assert far_off({}) == (0.0, [])
