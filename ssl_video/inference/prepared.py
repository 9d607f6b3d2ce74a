"""Clips of tests, which threads prepare while the network works on earlier ones."""

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import torch
from torch import Tensor

from ssl_video.data.frames.store import FrameStore
from ssl_video.data.pool import evaluation_clips
from ssl_video.data.reading_threads import Job, in_order
from ssl_video.data.views.sampling import ClipShape
from ssl_video.spec import Spec

Made = dict[ClipShape, Tensor]


@dataclass(frozen=True)
class VideoGroup:
    """Videos that a network sees at once.

    Attributes:
        first: place of the first of them in the test.
        rows: the videos, as rows of the store.
        stored: by predictor the features that it takes in place of clips, or None.
    """

    first: int
    rows: Sequence[int]
    stored: dict[str, Tensor | None]


def prepared(
    groups: Iterator[VideoGroup],
    shapes: Callable[[VideoGroup], Sequence[ClipShape]],
    store: FrameStore,
    spec: Spec,
    threads: int,
) -> Generator[tuple[VideoGroup, Made], None, None]:
    """Yield groups with their clips, (videos * clips * crops, 3, T, size, size) by shape, in their order.

    Args:
        groups: the groups.
        shapes: maps a group to the shapes of the clips that it needs.
        store: source of frames.
        spec: number of clips and crops, crop size.
        threads: number of threads, each of which prepares one video at a time; 0: none.

    Raises:
        InputError: a video cannot be decoded, although it could be when its data set was opened.
    """
    begun = deque[VideoGroup]()

    def jobs() -> Iterator[Job[Made]]:
        for group in groups:
            begun.append(group)
            needed = tuple(dict.fromkeys(shapes(group)))
            size = 4 * 3 * spec.size**2 * spec.test_clips * spec.test_crops * sum(s.frames for s in needed)
            yield from (Job(partial(_made, row=row, shapes=needed, spec=spec), size) for row in group.rows)

    with contextlib.closing(in_order(jobs(), store, threads)) as made:
        for first in made:
            group = begun.popleft()
            videos = [first, *islice(made, len(group.rows) - 1)]
            yield group, {shape: torch.cat([video[shape] for video in videos]) for shape in first}


def _made(store: FrameStore, row: int, shapes: Sequence[ClipShape], spec: Spec) -> Made:
    return {shape: evaluation_clips(store, row, shape, spec) for shape in shapes}
