"""The frames of recordings that are folders of pictures, one after the other."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl_video.data.video import stream
from ssl_video.data.video.container import DecodeError

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 24, 30, 3), np.uint8)


def folder(path: Path) -> Path:
    path.mkdir()
    for number, image in enumerate(IMAGES):
        Image.fromarray(image).save(path / f"{number}.png")
    return path


def test_a_folder_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, listed, real = folder(tmp_path / "clip"), list[str](), os.scandir

    def noted(where: str | Path) -> object:
        listed.append(str(where))
        return real(where)

    monkeypatch.setattr(os, "scandir", noted)
    found = list(stream.frames(path, start=0.35, pictures=10))
    assert [seconds for seconds, _ in found] == [n / 10 for n in range(4, 12)]
    assert np.array_equal(np.stack([frame for _, frame in found]), IMAGES[4:])
    assert listed == [str(path)]


def test_pictures_of_several_sizes(tmp_path: Path) -> None:
    """As where whole clips are decoded; the frames before are handed over."""
    path = folder(tmp_path / "clip")
    Image.fromarray(IMAGES[5][:20]).save(path / "5.png")
    frames = stream.frames(path)
    seconds = [next(frames)[0] for _ in range(5)]
    assert seconds == [n / 25 for n in range(5)]
    with pytest.raises(DecodeError, match=r"^the pictures have several sizes: 30 x 20, 30 x 24$"):
        next(frames)
