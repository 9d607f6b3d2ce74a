"""Small videos, an empty cache for their frames, and an eye on the decoder."""

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.frame_store import Spy


@pytest.fixture
def videos(tmp_path: Path, make_video: Callable[..., Path]) -> list[str]:
    """Four clips of ten frames of 16 x 16 pixels."""
    return [str(make_video(tmp_path / f"{n}.mkv", 10, 16, 16, clip=n)) for n in range(4)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The cache's folder, which is not there yet."""
    return tmp_path / "cache"


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    """What is decoded in this test."""
    return Spy(monkeypatch)
