"""Real clips whose frames are stored, and the transforms that clips go through."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from ssl_video.data.frames.store import FrameStore
from ssl_video.data.views import augment
from ssl_video.data.views.augment import Transform


@pytest.fixture(scope="module")
def store(video_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> FrameStore:
    """The 18 clips of `video_folder`, decoded once, with a short side of 20 pixels."""
    made = FrameStore(
        [str(path) for path in sorted(video_folder.glob("*/*.mkv"))],
        20,
        folder=tmp_path_factory.mktemp("frames"),
    )
    assert made.prepare(range(18)) == {}
    return made


@pytest.fixture
def transforms(monkeypatch: pytest.MonkeyPatch) -> list[Transform]:
    """The transforms that have been applied, as it goes."""
    applied: list[Transform] = []
    plain = augment.apply

    def spy(clips: Sequence[np.ndarray], given: Sequence[Transform], size: int) -> Tensor:
        applied.extend(given)
        return plain(clips, given, size)

    monkeypatch.setattr(augment, "apply", spy)
    return applied
