"""A pool whose clips are replaced by stored features.

A sample of a training step is one of a few stored copies of its clip. The copy's random choices depend on the
video's content and the copy's number, not on the run, so that all runs share the features. All views of a
sample are those of one copy: they share windows and transforms as declared.
"""

import contextlib
import hashlib
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain, groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ssl_video.data.features.store import FeatureSet, Item
from ssl_video.data.frames.store import FrameStore
from ssl_video.data.pool import Cut, Pool, unreadable
from ssl_video.data.progress import CountProgress
from ssl_video.data.reading_threads import Job, in_order
from ssl_video.data.video.container import DecodeError
from ssl_video.data.views.sampling import Stream
from ssl_video.features.extract import Extractor

# Name of the random choices of copies, in place of "labeled" and "unlabeled".
_PURPOSE = "features"
_AT_ONCE = 16  # copies that are read at once


class Needed(NamedTuple):
    """A set of features that a pool reads.

    Attributes:
        names: the views that are read from it.
        extractor: the frozen network.
        cut: the clip.
        about: what determines the features.
    """

    names: list[str]
    extractor: Extractor
    cut: Cut
    about: dict[str, Any]


class FeaturePool(Pool):
    """One kind of training clips, with features for the views of frozen networks.

    Args:
        copies: number of copies of each clip.
        extractors: the network of each view whose features are read; the other views are clips.
        make: makes the set of features for a network, from what determines them and their shape.
        threads: threads that read clips, while their features are computed.
        arguments: as for `Pool`.
    """

    def __init__(
        self,
        *arguments: Any,
        copies: int,
        extractors: Mapping[str, Extractor],
        make: Callable[[Mapping[str, Any], tuple[int, ...]], FeatureSet],
        threads: int = 0,
        **named: Any,
    ) -> None:
        super().__init__(*arguments, **named)
        self.copies, self.on_features = copies, frozenset(extractors)
        self.extractors, self._make, self._threads = extractors, make, threads
        self._draws = Pool(
            _PURPOSE, self.rows, self.views, 1, self.size, 0, self.store, settings=self.settings
        )
        # By view: the set, and the places (rows, copies, 2) of its features. Equal views share both.
        self._stored = dict[str, tuple[FeatureSet, np.ndarray]]()
        self._numbers = list[int]()

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for a loading process, which reads what is stored and has no network."""
        assert self._stored, "features are computed before loading processes start"
        return {**self.__dict__, "extractors": {}, "_make": None}

    @property
    def only_features(self) -> bool:
        """True if no view is a clip."""
        return self.on_features == self.views.keys()

    @property
    def bytes(self) -> int:
        """Size of a shard's views in memory; see `clips`."""
        clips = {cut for name, cut in self.cuts.items() if name not in self.on_features}
        pixels = sum(3 * request.shape.frames * self.size**2 for request, _ in clips)
        numbers = sum(math.prod(made.shape) for made in {id(m): m for m, _ in self._stored.values()}.values())
        return len(self.slots(0)) * (pixels + numbers) * torch.float32.itemsize

    def fill(self, progress: CountProgress | None = None) -> None:
        """Compute the features that are not stored.

        Args:
            progress: called with the number of clips that are stored, and of all.

        Raises:
            InputError: there is no room for them, or a video cannot be decoded.
        """
        if self._stored:
            return
        rows = RowsByContent(self.store)
        contents = rows.contents(self.rows.tolist())
        items = [(content, copy) for content in contents for copy in range(self.copies)]
        needed, stored = self.needed(), dict[str, tuple[FeatureSet, np.ndarray]]()
        for number, (names, extractor, cut, about) in enumerate(needed):
            made = self._make(about, extractor.shape(cut[0].shape.frames))
            compute = partial(self._compute, extractor, cut, rows)
            shown = progress and partial(_of_all, progress, number, len(needed))
            made.fill(items, compute, shown, rows.has)
            places = made.places(items).reshape(len(contents), self.copies, 2)
            stored |= dict.fromkeys(names, (made, places))
        self._numbers = [_number(content) for content in contents]
        self._stored = stored

    def _compute(
        self, extractor: Extractor, cut: Cut, rows: "RowsByContent", items: Sequence[Item]
    ) -> Generator[np.ndarray, None, None]:
        """Yield the features of copies of videos."""

        size = 4 * 3 * cut[0].shape.frames * self.size**2

        def clips(store: FrameStore, row: int, draws: Sequence[tuple[int, int]]) -> Tensor:
            return self._draws.reading(store).made(np.array([row] * len(draws)), draws, [cut])[cut]

        def job(content: str, some: Sequence[Item]) -> Job[Tensor]:
            draws = [(copy, _number(content)) for _, copy in some]
            return Job(partial(clips, row=rows.row(content), draws=draws), size * len(some))

        # Copies of a video that follow each other are one job, which reads its file once.
        groups = groupby(items, lambda item: (item[0], item[1] // _AT_ONCE))
        jobs = (job(content, list(some)) for (content, _), some in groups)
        with contextlib.closing(in_order(jobs, self.store, self._threads)) as read:
            yield from extractor.features(chain.from_iterable(read))

    def clips(self, step: int, shard: int = 0) -> dict[str, Tensor]:
        """Return every view of a shard's clips: features (batch / shards, ...), or clips as in `Pool`."""
        self.fill()
        within, slots = self.within_rows(step, shard), self.slots(shard)
        draws = [Stream(self.seed, f"copies/{self.purpose}", step, slot) for slot in slots]
        copies = np.array([draw.integer(self.copies) for draw in draws])
        found = {
            id(where): torch.from_numpy(made.read(where[within, copies])).float()
            for made, where in {id(stored[1]): stored for stored in self._stored.values()}.values()
        }
        shown = list(dict.fromkeys(cut for name, cut in self.cuts.items() if name not in self.on_features))
        drawn = [(copy, self._numbers[n]) for copy, n in zip(copies.tolist(), within, strict=True)]
        clips = self._draws.made(self.rows[within], drawn, shown) if shown else {}
        return {
            name: found[id(self._stored[name][1])] if name in self.on_features else clips[cut]
            for name, cut in self.cuts.items()
        }

    def needed(self) -> list[Needed]:
        """Return the sets of features that the views are read from; equal views of one network share one."""
        equal = dict[tuple[int, Cut], list[str]]()
        for name, extractor in self.extractors.items():
            equal.setdefault((id(extractor), self.cuts[name]), []).append(name)
        found = list[Needed]()
        for names in equal.values():
            extractor, cut = self.extractors[names[0]], self.cuts[names[0]]
            found.append(Needed(names, extractor, cut, extractor.about | {"view": self._about(cut)}))
        return found

    def _about(self, cut: Cut) -> dict[str, Any]:
        """Return what determines the pixels of the copies of a clip."""
        request, window = cut
        settings = {
            "augmentation": request.augmentation,
            "recipe": asdict(self._recipes[request.augmentation]),
            "copy": request.copy,
            "frames": request.shape.frames,
            "window": window,
            "sampling": self.settings.sampling,
        }
        dense = {"stride": request.shape.stride, "span": self.spans[window]}
        return settings | (dense if self.settings.sampling == "dense" else {})


class RowsByContent:
    """Rows of a store by the content of their videos.

    Other runs on the same data, with other labels, ask for features of other rows. A process may compute
    theirs, so it has to find all rows.

    Args:
        store: the store.
    """

    def __init__(self, store: FrameStore) -> None:
        self._store, self._rows, self._all = store, dict[str, int](), False

    def contents(self, rows: Sequence[int]) -> list[str]:
        """Return a digest of the content of each row's clip.

        Raises:
            InputError: a video cannot be read, although it could be when its data set was opened.
        """
        found = list[str]()
        for row in rows:
            try:
                found.append(self._store.content(row))
            except DecodeError as error:
                raise unreadable(self._store.paths[row], error) from None
        self._rows |= zip(found, rows, strict=True)
        return found

    def has(self, content: str) -> bool:
        """Return whether a row has this content."""
        if content not in self._rows and not self._all:
            self._all = True
            for row in range(len(self._store.paths)):
                with contextlib.suppress(DecodeError):
                    self._rows.setdefault(self._store.content(row), row)
        return content in self._rows

    def row(self, content: str) -> int:
        """Return the row of a content that there is."""
        return self._rows[content]


def _number(content: str) -> int:
    """Return the number of a video, in place of a slot: its random choices depend on its content alone."""
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "little")


def _of_all(progress: CountProgress, before: int, sets: int, done: int, total: int) -> None:
    progress(before * total + done, sets * total)
