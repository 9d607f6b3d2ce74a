"""Frame rates that differ within a data set, which `stride` does not see."""

import statistics
from collections.abc import Mapping

from ssl_video.data.dataset import Data
from ssl_video.data.frames import video_facts
from ssl_video.data.segments import file_of
from ssl_video.errors import counted

# Rates differ by half or more. Between 24 and 30 frames per second nobody sees a difference.
_FAR = 1.5
_LOOKED_AT = 5000  # files, evenly spaced: shared file systems are slow


def far_off(rates: Mapping[str, float]) -> tuple[float, list[str]]:
    """Return the median of rates, and the names of those that differ from it by half or more.

    Without rates the median is 0.
    """
    if not rates:
        return 0.0, []
    usual = statistics.median_low(rates.values())
    return usual, [name for name, rate in rates.items() if not usual / _FAR < rate < usual * _FAR]


def remark(data: Data) -> str | None:
    """Return a sentence about a data set's files if their frame rates differ; None if they hardly do.

    Of a large data set some thousand files are looked at. Files that state no duration are left out.
    """
    used = data.index.used
    rows = used[:: len(used) // _LOOKED_AT + 1].tolist()
    files = dict.fromkeys(file_of(data.index.paths[row]) for row in rows)
    videos = {file: video_facts.find(data.store.folder, file) for file in files}
    rates = {file: video.frames / video.seconds for file, video in videos.items() if video and video.seconds}
    usual, some = far_off(rates)
    if not some:
        return None
    slowest, fastest = min(rates.values()), max(rates.values())
    return (
        f"{data.index.name}: the frame rate of {counted(len(some), 'video')} of {len(rates):,} differs by "
        f"half or more from the usual {usual:.4g} per second ({slowest:.4g} to {fastest:.4g} occur), and "
        "--stride counts frames, so their clips last longer or shorter; --fps samples by time"
    )
