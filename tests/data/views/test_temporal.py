"""Temporal augmentations: positions worked by hand from the numbers drawn."""

import numpy as np
import pytest

from ssl_video.data.views.sampling import Stream
from ssl_video.data.views.temporal import TEMPORAL, timewarp


class Script(Stream):
    """A stream whose numbers are given: one permutation, and integers."""

    def __init__(self, kept: list[int], *integers: int) -> None:
        self.kept, self.integers = kept, list(integers)

    def integer(self, count: int) -> int:
        number = self.integers.pop(0)
        assert number < count
        return number

    def permutation(self, size: int) -> np.ndarray:
        return np.array(self.kept + [n for n in range(size) if n not in self.kept])


@pytest.mark.parametrize(
    ("kept", "integers", "positions"),
    [
        # Two of 8, 2 and 6; from 2 on, 5 places are drawn from: the first, the third and the last.
        ([6, 2], [0, 0], [2, 2, 6, 6, 6, 6, 6, 6]),
        ([6, 2], [0, 2], [2, 2, 2, 2, 6, 6, 6, 6]),
        ([6, 2], [0, 4], [2, 2, 2, 2, 2, 2, 6, 6]),
        # Neighbours pass at the second: nothing is drawn.
        ([4, 3], [0], [3, 3, 3, 3, 4, 4, 4, 4]),
        ([0, 7], [0, 3], [0, 0, 0, 7, 7, 7, 7, 7]),
        # Four of 8: 1, 2, 5, 7. From 2 to 5 at 2 + 1, from 5 to 7 at 5 + 2.
        ([5, 1, 7, 2], [1, 1, 2], [1, 1, 2, 5, 5, 5, 5, 7]),
        # All of them.
        ([], [2], list(range(8))),
    ],
)
def test_timewarp_stretches_the_kept_frames(
    kept: list[int], integers: list[int], positions: list[int]
) -> None:
    assert timewarp(Script(kept, *integers), 8).tolist() == positions


def test_timewarp_keeps_a_quarter_half_or_all_equally_often() -> None:
    # 900 draws, 300 each, deviation 14, six of it 85. A kept frame is not shown where its stretch is empty.
    kinds = {2: 0, 4: 0, 8: 0}
    for number in range(900):
        positions = timewarp(Stream(0, "warp", number), 8)
        assert positions.shape == (8,)
        assert (np.diff(positions) >= 0).all()
        shown = len(np.unique(positions))
        kinds[next(kept for kept in kinds if shown <= kept)] += 1
    assert all(abs(count - 300) < 85 for count in kinds.values())


@pytest.mark.parametrize("name", TEMPORAL)
@pytest.mark.parametrize("frames", [1, 2, 3, 8, 13, 64])
def test_as_many_frames_as_before_from_among_them(name: str, frames: int) -> None:
    drawn = [TEMPORAL[name](Stream(1, "warp", number), frames) for number in range(60)]
    assert all(positions.shape == (frames,) for positions in drawn)
    assert all(set(positions.tolist()) <= set(range(frames)) for positions in drawn)
    if frames > 3 and name == "timewarp":
        assert len({tuple(positions) for positions in drawn}) > 10
