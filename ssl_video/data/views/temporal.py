"""Temporal augmentations: which of a view's frames stand at each of its places.

Each maps a stream of random numbers and a number of frames T to positions (T,) in [0, T): a view's frames are
cut as its shape says, and then shown in the order of the positions.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from ssl_video.data.views.sampling import Stream


def timewarp(stream: Stream, frames: int) -> np.ndarray:
    """SVFormer's temporal warping (Xing et al. 2023, arXiv:2211.13222, as its code does it).

    With probability 1/3 each, a quarter or half of the frames (2 or 4 of 8) are kept and stretched over all
    places, else nothing changes. The clip passes from one kept frame a to the next one b at a place drawn
    from [a, b], both counted, or at b where no frame lies between them. That the shares are the same for
    other numbers of frames, rounded, with at least one frame, is ours.
    """
    share = (0.25, 0.5, 1.0)[stream.integer(3)]
    if share == 1:
        return np.arange(frames)
    kept = np.sort(stream.permutation(frames)[: max(1, round(share * frames))])
    passes = [b if b == a + 1 else a + stream.integer(b - a + 1) for a, b in pairwise(kept.tolist())]
    # At each place, as many passes lie behind as kept frames have been left.
    return kept[np.searchsorted(passes, np.arange(frames), side="right")]


TEMPORAL: dict[str, Callable[[Stream, int], np.ndarray]] = {"timewarp": timewarp}
