"""Clips that are a part of a video file: `day1.mp4#t=20,30` is the part from second 20 to second 30.

The notation is that of media fragments (W3C). `#f=120,184` counts frames in place of seconds: 120 to 183. A
start or an end that is left out is that of the file: `#t=20`, `#t=,30`.
"""

import math
import re
from typing import NamedTuple

_NUMBER = r"\d{1,9}(?:\.\d{1,6})?"
# The part alone, for Arrow's functions on columns.
PART = rf"#[tf]=(?:{_NUMBER})?(?:,{_NUMBER})?"
_FORM = re.compile(rf"(?P<file>.+)#(?P<unit>[tf])=(?P<start>{_NUMBER})?(?:,(?P<end>{_NUMBER}))?", re.DOTALL)


class Segment(NamedTuple):
    """A part of a file, from `start` up to, but without, `end`, in seconds or in frames."""

    start: float
    end: float
    in_frames: bool

    @property
    def words(self) -> str:
        """The start in words, for a message."""
        return f"frame {self.start:g}" if self.in_frames else f"{self.start:g} s"


def parse(name: str) -> tuple[str, Segment | None]:
    """Return the file of a clip, and the clip's part of it; None: all of it."""
    match = _FORM.fullmatch(name) if "#" in name else None
    if not match:
        return name, None
    end = math.inf if match["end"] is None else float(match["end"])
    return match["file"], Segment(float(match["start"] or 0), end, match["unit"] == "f")


def written(start: float | None, end: float | None, unit: str = "t") -> str:
    """Return the part of a name that says which part of the file a clip is; empty: all of it.

    Args:
        start: the first second or frame; None: that of the file.
        end: the second or frame after the last; None: the end of the file.
        unit: "t" for seconds, of which microseconds are kept, or "f" for frames.
    """
    if start is None and end is None:
        return ""
    first, last = ("" if edge is None else f"{edge:.6f}".rstrip("0").rstrip(".") for edge in (start, end))
    return f"#{unit}={first},{last}" if last else f"#{unit}={first}"


def file_of(name: str) -> str:
    """Return the file of a clip, without the clip's part of it."""
    return parse(name)[0]
