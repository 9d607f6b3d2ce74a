"""Pools of clips and batches of them, on frames of noise or on real ones."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ssl_video.contract import Batch
from ssl_video.data.frames.store import FrameStore
from ssl_video.data.loader import batches
from ssl_video.data.pool import Pool
from ssl_video.data.views.sampling import ClipShape, ViewRequest

CPU = torch.device("cpu")
SLOW, FAST = ClipShape(4, 2), ClipShape(8, 1)  # spans of 7 and 8 frames
LABELS = np.repeat(np.arange(3), 6)  # of `video_folder`, whose row is class * 6 + clip

Facts = Callable[[Tensor], tuple[list[int], int, int]]


def request(
    augmentation: str = "none", shape: ClipShape = SLOW, window: str = "shared", copy: int = 0
) -> ViewRequest:
    """What an algorithm asks of a view."""
    return ViewRequest(augmentation, copy, shape, window)


class Noise(FrameStore):
    """Clips on which every transform leaves its mark: frames of noise, 15 of each clip."""

    def __init__(self) -> None:
        super().__init__(["noise"] * 18, 20)
        self.count = lambda row: 15  # type: ignore[assignment]
        self.rows: list[int] = []

    def read(self, row: int, indices: np.ndarray) -> np.ndarray:
        """Frames (T, 20, 24, 3); the row is noted."""
        self.rows.append(int(row))
        return np.random.default_rng(row).integers(0, 256, (15, 20, 24, 3), np.uint8)[indices]


def pool(
    frames: FrameStore,
    views: dict[str, ViewRequest],
    purpose: str = "labeled",
    rows: Sequence[int] = range(18),
    batch: int = 4,
    seed: int = 0,
    shards: int = 1,
    balance: bool = False,
) -> Pool:
    """Clips of 16 pixels, of all 18 rows unless said."""
    labels = LABELS[list(rows)] if balance else None
    return Pool(purpose, np.array(rows), views, batch, 16, seed, frames, shards, labels)


def all_batches(
    frames: FrameStore, steps: range, workers: int = 0, unlabeled: bool = True, seed: int = 0
) -> list[Batch]:
    """Batches with a view of every kind."""
    labeled = pool(frames, {"weak": request("weak")}, rows=[2, 7, 11, 16], batch=3, seed=seed)
    views = {
        "weak": request("weak"),
        "strong": request("strong"),
        "strong/fast": request("strong", FAST),
        "again": request("weak"),
        "warped": request("strong+timewarp"),
        "own": request("weak", window="own"),
    }
    others = pool(frames, views, "unlabeled", [n for n in range(18) if n not in (2, 7)], seed=seed)
    return list(batches(labeled, LABELS[labeled.rows], others if unlabeled else None, steps, CPU, workers))


def assert_same(ours: Sequence[Batch], others: Sequence[Batch]) -> None:
    """Equal labels, indices and pixels, under equal names in equal order."""
    assert len(ours) == len(others)
    for one, other in zip(ours, others, strict=True):
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.indices, other.indices)
        for mine, theirs in ((one.labeled, other.labeled), (one.unlabeled, other.unlabeled)):
            assert list(mine) == list(theirs)
            assert all(torch.equal(mine[name], theirs[name]) for name in mine)
