"""Decode clips, whole or in stretches, into the views that a network sees."""

import functools
import itertools
import math
import threading
from collections.abc import Iterator, Sequence

from ssl_video.data import dataset
from ssl_video.data.frames.extent import ROUNDED
from ssl_video.data.frames.store import FrameStore
from ssl_video.data.importers.to_label import Given
from ssl_video.data.pool import evenly_spaced
from ssl_video.data.video import stream
from ssl_video.data.video.container import DecodeError
from ssl_video.data.views.sampling import ClipShape
from ssl_video.inference import stretches
from ssl_video.inference.ahead import ClipViews
from ssl_video.spec import Spec


class ClipReader:
    """Decodes clips into the views that a network sees.

    Args:
        clips: the clips.
        begins: for each clip the second from which on it is read; None: its first.
        every: seconds of a stretch.
        shape: the frames of a window.
        spec: the sampling and size of clips.
    """

    def __init__(
        self,
        clips: Sequence[Given],
        begins: Sequence[float | None],
        every: float | None,
        shape: ClipShape,
        spec: Spec,
    ) -> None:
        self.spec, self._clips, self._begins, self._every, self._shape = spec, clips, begins, every, shape
        self._side, self._clock = dataset.short_side(self.spec.size), dataset.clock(self.spec)
        self._of_thread = threading.local()

    def whole(self, number: int) -> Iterator[ClipViews]:
        """Yield a clip as one part.

        Raises:
            DecodeError: it cannot be read.
        """
        clip, store = self._clips[number], self._store()
        read = functools.partial(store.read, number)
        yield ClipViews(
            clip.start, clip.end, evenly_spaced(store.count(number), read, self._shape, self.spec)
        )

    def stretches(self, number: int) -> Iterator[ClipViews]:
        """Yield the stretches of a recording.

        Raises:
            DecodeError: it cannot be read to its end, or has no frame.
        """
        assert self._every is not None
        clip, begin, start = self._clips[number], self._begins[number], self._clips[number].start or 0.0
        in_frames = clip.segment is not None and clip.segment.in_frames
        first = 0.0 if in_frames else max(start, begin or 0.0)
        source = stream.frames(clip.file, self._side, first - ROUNDED, self._clock.pictures)
        if in_frames:
            assert clip.segment is not None
            source = stretches.in_segment(source, clip.segment)
        one = next(source, None)
        if one is None and begin is None:
            begins = clip.segment.words if clip.segment else "0 s"
            raise DecodeError(f"the clip begins at {begins} and has no frame")
        if one is None:
            return
        if in_frames:
            start = one[0]
        later = (each for each in itertools.chain([one], source) if each[0] >= (begin or 0.0) - ROUNDED)
        for stretch in stretches.cut(later, self._every, start, math.inf if clip.end is None else clip.end):
            views = stretches.views(stretch, self._clock, self._shape, self.spec)
            yield ClipViews(stretch.start, stretch.end, views)

    def _store(self) -> FrameStore:
        """Return this thread's store: it remembers the last video, which is not for several threads."""
        if not hasattr(self._of_thread, "store"):
            names = [clip.name for clip in self._clips]
            self._of_thread.store = FrameStore(
                names, self._side, limit=0, frame_format=self.spec.frame_format, clock=self._clock
            )
        store: FrameStore = self._of_thread.store
        return store
