"""A pool whose clips are replaced by stored features.

A sample of a training step is one of a few stored copies of its clip. The copy's random choices depend on the
video's content and the copy's number, not on the run, so that all runs share the features. All views of a
sample are those of one copy: they share windows and transforms as declared.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssl_video.data.features.store import FeatureSet, Item
from ssl_video.data.frames.store import FrameStore
from ssl_video.data.pool import Cut, Pool, unreadable
from ssl_video.data.progress import CountProgress
from ssl_video.data.video.container import DecodeError
from ssl_video.data.views.sampling import Stream
from ssl_video.features.extract import Extractor

# Name of the random choices of copies, in place of "labeled" and "unlabeled".
_PURPOSE = "features"


class FeaturePool(Pool):
    """One kind of training clips, with features for the views of frozen networks.

    Args:
        copies: number of copies of each clip.
        extractors: the network of each view whose features are read; the other views are clips.
        make: makes the set of features for a network, from what determines them and their shape.
        arguments: as for `Pool`.
    """

    def __init__(
        self,
        *arguments: Any,
        copies: int,
        extractors: Mapping[str, Extractor],
        make: Callable[[Mapping[str, Any], tuple[int, ...]], FeatureSet],
        **named: Any,
    ) -> None:
        super().__init__(*arguments, **named)
        self.copies, self.extractors, self._make = copies, extractors, make
        self._draws = Pool(
            _PURPOSE, self.rows, self.views, 1, self.size, 0, self.store, settings=self.settings
        )
        self._stored: dict[tuple[int, Cut], tuple[FeatureSet, np.ndarray]] = {}
        self._numbers = list[int]()

    @property
    def only_features(self) -> bool:
        """True if no view is a clip."""
        return self.extractors.keys() == self.views.keys()

    def fill(self, progress: CountProgress | None = None) -> None:
        """Compute the features that are not stored.

        Args:
            progress: called with the number of clips that are stored, and of all.

        Raises:
            InputError: there is no room for them, or a video cannot be decoded.
        """
        if self._stored or not self.extractors:
            return
        contents = [content_of(self.store, row) for row in self.rows]
        items = [(content, copy) for content in contents for copy in range(self.copies)]
        rows = dict(zip(contents, self.rows.tolist(), strict=True))
        wanted, stored = self._wanted(), {}
        for number, ((key, cut), extractor) in enumerate(wanted.items()):
            about = extractor.about | {"view": self._about(cut)}
            made = self._make(about, extractor.shape(cut[0].shape.frames))
            compute = partial(self._compute, extractor, cut, rows)
            made.fill(items, compute, progress and partial(_of_all, progress, number, len(wanted)))
            stored[key, cut] = made, made.places(items).reshape(len(contents), self.copies, 2)
        self._numbers = [_number(content) for content in contents]
        self._stored = stored

    def _compute(
        self, extractor: Extractor, cut: Cut, rows: Mapping[str, int], items: Sequence[Item]
    ) -> Iterator[np.ndarray]:
        """Return the features of copies of videos; `rows` are those of the videos by content."""

        def clips() -> Iterator[Tensor]:
            for content, copy in items:
                made = self._draws.made(np.array([rows[content]]), [(copy, _number(content))], [cut])
                yield made[cut][0]

        return extractor.features(clips())

    def clips(self, step: int, shard: int = 0) -> dict[str, Tensor]:
        """Return every view of a shard's clips: features (batch / shards, ...), or clips as in `Pool`."""
        self.fill()
        places, slots = self.places(step, shard), self.slots(shard)
        draws = [Stream(self.seed, f"copies/{self.purpose}", step, slot) for slot in slots]
        copies = np.array([draw.integer(self.copies) for draw in draws])
        found = {
            which: torch.from_numpy(made.read(where[places, copies])).float()
            for which, (made, where) in self._stored.items()
        }
        shown = list(dict.fromkeys(cut for name, cut in self.cuts.items() if name not in self.extractors))
        drawn = [(copy, self._numbers[place]) for copy, place in zip(copies.tolist(), places, strict=True)]
        clips = self._draws.made(self.rows[places], drawn, shown) if shown else {}
        return {
            name: found[id(self.extractors[name]), cut] if name in self.extractors else clips[cut]
            for name, cut in self.cuts.items()
        }

    def _wanted(self) -> dict[tuple[int, Cut], Extractor]:
        """Return the networks by the clips whose features they give; equal views of a network are one."""
        return {(id(e), self.cuts[name]): e for name, e in self.extractors.items()}

    def _about(self, cut: Cut) -> dict[str, Any]:
        """Return what determines the pixels of the copies of a clip."""
        request, window = cut
        return {
            "augmentation": request.augmentation,
            "copy": request.copy,
            "frames": request.shape.frames,
            "stride": request.shape.stride,
            "window": window,
            "span": self.spans[window],
            "sampling": self.settings.sampling,
            "settings": self.settings.augmentation.model_dump(mode="json"),
        }


def content_of(store: FrameStore, row: int) -> str:
    """Return a digest of a clip's content.

    Raises:
        InputError: the video cannot be read, although it could be when its data set was opened.
    """
    try:
        return store.content(row)
    except DecodeError as error:
        raise unreadable(store.paths[row], error) from None


def _number(content: str) -> int:
    """Return the number of a video, in place of a slot: its random choices depend on its content alone."""
    return int.from_bytes(hashlib.sha256(content.encode()).digest()[:8], "little")


def _of_all(progress: CountProgress, before: int, sets: int, done: int, total: int) -> None:
    progress(before * total + done, sets * total)
