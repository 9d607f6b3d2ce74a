"""The time in which a run waits for its clips, and remedies."""

import time
from collections.abc import Iterator

from ssl_video.contract import Batch
from ssl_video.data.frames.store import Statistics
from ssl_video.training.execution import Execution

# Below, nothing is worth a change; below a minute of training, the first batch counts too much.
_FRACTION, _SECONDS = 0.2, 60
_CACHED = 0.9


class TimedBatches:
    """Batches with the seconds in which they were waited for.

    Args:
        batches: the batches.

    Attributes:
        seconds: the sum so far.
    """

    def __init__(self, batches: Iterator[Batch]) -> None:
        self.seconds = 0.0
        self._batches = batches

    def __iter__(self) -> "TimedBatches":
        return self

    def __next__(self) -> Batch:
        began = time.monotonic()
        try:
            return next(self._batches)
        finally:
            self.seconds += time.monotonic() - began


def advice(fraction: float, seconds: float, execution: Execution, loaders: int, read: Statistics) -> str:
    """Return a sentence if a run waited for its clips too long; "" if not.

    Args:
        fraction: of the training, in which it waited.
        seconds: duration of the training.
        execution: its execution settings.
        loaders: its number of loading processes.
        read: its reads of frames.
    """
    reads = read.hits + read.misses
    if fraction <= _FRACTION or seconds < _SECONDS or not reads:
        return ""  # without reads of frames it trains on stored features
    ways = []
    if read.hit_rate < _CACHED:
        decoded = f"{100 * (1 - read.hit_rate):.0f} % of the clips were decoded again"
        ways.append(f"{decoded}: --cache-gib {2 * execution.cache_gib or 20:g} keeps more")
    if loaders:
        ways.append("more --workers, if cores are free")
    else:
        ways.append("--workers 1 prepares batches in a process of their own, if a core is free")
    return f"the training waited for its clips {100 * fraction:.0f} % of the time: {'; '.join(ways)}"
