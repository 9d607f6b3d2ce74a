"""Clips as short films: a strip of frames in one picture, which a style sheet moves behind a window.

A strip can be stopped. It stands still in print and for readers who asked for less motion, and is smaller
than an animated picture of the same frames. It needs only the style sheet.
"""

import base64
import io
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from PIL import Image

from ssl_video.data import dataset, demo
from ssl_video.data.frames.store import FrameStore
from ssl_video.data.video.container import DecodeError
from ssl_video.errors import InputError
from ssl_video.spec import build

FRAMES, SIDE = 12, 96
_QUALITY = 70


class Film(NamedTuple):
    """A strip as WebP, and the side of its frames in pixels."""

    data: bytes
    side: int

    @property
    def address(self) -> str:
        """The picture as a data URL."""
        return f"data:image/webp;base64,{base64.b64encode(self.data).decode()}"


def film(frames: np.ndarray) -> Film:
    """Return a film of a clip's frames, uint8 (FRAMES, H, W, 3): their central squares side by side."""
    side = min(frames.shape[1:3])
    top, left = ((size - side) // 2 for size in frames.shape[1:3])
    shown = min(side, SIDE)
    strip = Image.new("RGB", (len(frames) * shown, shown))
    for place, frame in enumerate(frames[:, top : top + side, left : left + side]):
        # Resized one by one, so that no frame blends with its neighbours.
        one = Image.fromarray(frame).resize((shown, shown), Image.Resampling.LANCZOS)
        strip.paste(one, (place * shown, 0))
    file = io.BytesIO()
    strip.save(file, "WEBP", quality=_QUALITY)
    return Film(file.getvalue(), shown)


class FilmSource:
    """Films of the clips of a run's data set.

    Args:
        spec: the run's specification, as in its record.
        fingerprint: that of its data set, as in its record.

    Raises:
        InputError: the data set is missing, or is not the one of the run.
    """

    def __init__(self, spec: Mapping[str, object], fingerprint: str) -> None:
        built = build(spec)
        if built.data == "demo" and not demo.place().is_dir():
            raise InputError("the demo clips are not rendered here; `ssl-video data cache demo` renders them")
        index = dataset.read_index(built)
        if "d" + index.fingerprint != fingerprint:
            raise InputError(f"the clips or labels of {built.data} are not those that the runs used")
        dataset.check_present(index)
        # Frames that training stored are read from the cache; none are added.
        self._store = FrameStore(
            index.paths,
            dataset.short_side(built.size),
            limit=0,
            frame_format=built.frame_format,
            clock=dataset.clock(built),
        )
        self._rows = {name: row for row, name in enumerate(index.ids)}
        self._films: dict[str, Film | None] = {}

    def film(self, clip: str) -> Film | None:
        """Return a clip's film, of FRAMES evenly spaced frames from first to last; None if it is broken."""
        if clip not in self._films:
            try:
                self._films[clip] = self._film(self._rows[clip])
            except (DecodeError, KeyError):
                self._films[clip] = None
        return self._films[clip]

    def _film(self, row: int) -> Film:
        places = np.linspace(0, self._store.count(row) - 1, FRAMES).round().astype(np.int64)
        return film(self._store.read(row, places))
