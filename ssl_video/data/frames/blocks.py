"""Frames of a long video, of which only the blocks that are used are decoded and stored."""

from collections.abc import Callable

import numpy as np

from ssl_video.data.frames.cache import FrameCache
from ssl_video.data.frames.formats import Format

_SIZE = 64  # frames of a block


def read(
    cache: FrameCache,
    format_: Format,
    video: tuple[str, int],
    indices: np.ndarray,
    decoded: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, int, int]:
    """Return frames by index, from stored blocks or decoded; decoded blocks are stored if there is room.

    Args:
        cache: the cache.
        format_: the format of stored frames.
        video: digest of the video's content, and number of its frames.
        indices: (N,) the frames.
        decoded: function from indices to decoded frames, uint8 (n, H, W, 3).

    Returns:
        The frames, uint8 (N, H, W, 3), and the numbers of blocks that were stored and that were not.
    """
    content, count = video
    wanted, places = np.unique(indices, return_inverse=True)
    parts, hits = list[np.ndarray](), 0
    blocks = np.unique(wanted // _SIZE).tolist()
    for block in blocks:
        name, first = f"{content}-{block}", block * _SIZE
        own = wanted[wanted // _SIZE == block]
        frames = cache.read(name, own - first)
        hits += frames is not None
        if frames is None and cache.full:
            frames = format_.settle(decoded(own))
        elif frames is None:
            whole = decoded(np.arange(first, min(first + _SIZE, count)))
            cache.put(name, whole)
            frames = format_.settle(whole[own - first])
        parts.append(frames)
    return np.concatenate(parts)[places], hits, len(blocks) - hits
