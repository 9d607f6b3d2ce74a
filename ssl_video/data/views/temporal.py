"""Temporal augmentations: the order in which a view's frames are shown.

Each maps a stream of random numbers and a number of frames T to positions (T,) in [0, T). A view's frames are
first selected by its shape, and then shown in the order of the positions.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from ssl_video.data.views.sampling import Stream


def timewarp(stream: Stream, frames: int) -> np.ndarray:
    """Draw SVFormer's temporal warping (Xing et al. 2023, arXiv:2211.13222, as implemented in its code).

    With probability 1/3 each, a quarter or half of the frames (2 or 4 of 8) are kept and stretched over all
    places, otherwise nothing changes. The clip passes from one kept frame a to the next one b at a place
    drawn from [a, b], inclusive, or at b if no frame lies between them. For other numbers of frames we keep
    the same fractions, rounded, with at least one frame.
    """
    fraction = (0.25, 0.5, 1.0)[stream.integer(3)]
    if fraction == 1:
        return np.arange(frames)
    kept = np.sort(stream.permutation(frames)[: max(1, round(fraction * frames))])
    passes = [b if b == a + 1 else a + stream.integer(b - a + 1) for a, b in pairwise(kept.tolist())]
    # At each place, the number of passes so far is the number of kept frames that have ended.
    return kept[np.searchsorted(passes, np.arange(frames), side="right")]


def reversal(_: Stream, frames: int) -> np.ndarray:
    """Reverse the frames of SeFAR's two lower frame rates (Huang et al. 2025, arXiv:2501.01245, its code).

    The highest rate has every second frame from the first, and the others have every fourth, from the second
    and from the fourth. Of 8 frames, the second and the sixth change places, and the fourth and the eighth.
    """
    order = np.arange(frames)
    for first in (1, 3):
        order[first::4] = order[first::4][::-1].copy()
    return order


TEMPORAL: dict[str, Callable[[Stream, int], np.ndarray]] = {"timewarp": timewarp, "reversal": reversal}
