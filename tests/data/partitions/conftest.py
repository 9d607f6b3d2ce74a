"""Small indexes to draw from."""

import pytest
from helpers.partitions import make_index

from ssl_video.data.index import Index


@pytest.fixture
def index() -> Index:
    """12 training clips of "jump", 7 of "run", 1 of "walk it", and two test clips of each."""
    train = {"jump": 12, "run": 7, "walk it": 1}
    names = [(f"{c}/{c[0]}{k:02d}.mp4", "train") for c, n in train.items() for k in range(n)]
    names = sorted(names + [(f"{c}/{c[0]}{k}.mp4", "test") for c in train for k in (50, 51)])
    return make_index([name for name, _ in names], [part for _, part in names])


@pytest.fixture
def grouped() -> Index:
    """Three classes of 20 clips, four of each source video; g0 stands for another one in each class."""
    ids = [f"{c}/{c}{k:02d}.mp4" for c in "abc" for k in range(20)]
    return make_index(ids, groups=[f"g{k // 4}" for _ in "abc" for k in range(20)])
