"""Clips decoded ahead of the network by several threads, and labeled in groups that do not depend on them."""

import os
import queue
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ssl_video.data.video.container import DecodeError, stop_with
from ssl_video.errors import InputError
from ssl_video.inference.stretches import Labeled

MOST_DECODERS = 1024  # threads that decode
_AHEAD = 256  # clips that are decoded before the first of them is labeled
_POLL_SECONDS = 0.1
_PATIENCE = 2.0  # seconds until threads that still decode are left alone


class ClipViews(NamedTuple):
    """A clip, or a stretch of one, as a network sees it: views (clips * crops, 3, T, size, size)."""

    start: float | None
    end: float | None
    views: Tensor


@dataclass
class End:
    """The end of a clip, and the reason if the rest of it cannot be read."""

    error: str | None = None


Decode = Callable[[int], Iterator[ClipViews]]


def decoding_threads(number: int | None) -> int:
    """Return the number of threads that decode."""
    if number is None:
        return min(8, os.cpu_count() or 1)
    if not 0 <= number <= MOST_DECODERS:
        raise InputError(f"decoders must be a number from 0 to {MOST_DECODERS}, found {number}")
    return number


def labeled(
    decode: Decode,
    number: int,
    predict: Callable[[Tensor, int], np.ndarray],
    at_once: int,
    windows: int,
    decoders: int,
    apart: bool,
) -> Iterator[tuple[int, Labeled | End]]:
    """Yield clips with the probabilities of their parts, and their ends, in the order of the clips.

    PyAV decodes outside Python's global lock, so threads decode in parallel.

    Args:
        decode: function from the number of a clip to its parts; it may raise `DecodeError`.
        number: number of clips.
        predict: function from the views of parts and their number n to probabilities, (n, classes).
        at_once: parts that the network sees at once.
        windows: windows of frames in the views of a part.
        decoders: threads that decode; 0: none, each clip is decoded when it is its turn.
        apart: each clip's parts are a batch of their own; otherwise each clip is one part, and `at_once`
            clips that follow each other are a batch. So the numbers do not depend on `decoders`.
    """
    size = 1 if apart else at_once
    waiting = defaultdict[int, list[tuple[int, ClipViews]]](list)
    ended, reasons = Counter[int](), dict[int, End]()
    ready, first = defaultdict[int, list[Labeled | End]](list), 0
    ahead = _Threads(decode, number, decoders, at_once) if decoders else None
    try:
        for clip, part in ahead or _one_by_one(decode, number):
            group = clip // size
            clips = range(group * size, min((group + 1) * size, number))
            if isinstance(part, End):
                ended[group], reasons[clip] = ended[group] + 1, part
            else:
                waiting[group].append((clip, part))
            last = ended[group] == len(clips)
            if waiting[group] and (last or len(waiting[group]) == at_once):
                some = sorted(waiting.pop(group), key=lambda pair: pair[0])
                scores = predict(torch.cat([each.views for _, each in some]), len(some))
                for (which, each), score in zip(some, scores, strict=True):
                    ready[which].append(Labeled(each.start, each.end, score, windows))
            if last:
                for which in clips:
                    ready[which].append(reasons.pop(which))
                del ended[group]
                waiting.pop(group, None)
            while first in ready:
                for made in (found := ready.pop(first)):
                    yield first, made
                if not isinstance(found[-1], End):
                    break
                first += 1
                if ahead:
                    ahead.first = first
    finally:
        if ahead:
            ahead.close()


class _Threads:
    """Iterates over the parts and ends of clips, as threads deliver them."""

    def __init__(self, decode: Decode, number: int, decoders: int, room: int) -> None:
        self._decode, self._number = decode, number
        self._made: queue.Queue[tuple[int, ClipViews | End | Exception]] = queue.Queue(room)
        self._lock, self._next, self._stopped = threading.Lock(), 0, threading.Event()
        self.first = 0  # the first clip that has not ended
        self._threads = [
            threading.Thread(target=self._work, daemon=True) for _ in range(min(decoders, number))
        ]
        for thread in self._threads:
            thread.start()

    def __iter__(self) -> Iterator[tuple[int, ClipViews | End]]:
        ends = 0
        while ends < self._number:
            clip, part = self._made.get()
            if isinstance(part, Exception):
                raise part
            ends += isinstance(part, End)
            yield clip, part

    def close(self) -> None:
        """Stop the threads; one that is inside a long file ends after its next part, or with the program."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(_PATIENCE / len(self._threads))

    def _work(self) -> None:
        stop_with(self._stopped)
        while not self._stopped.is_set():
            with self._lock:
                clip = self._next
                self._next += 1
            if clip >= self._number:
                return
            while clip >= self.first + _AHEAD:
                if self._stopped.wait(_POLL_SECONDS):
                    return
            for part in _parts(self._decode, clip):
                if not self._put(clip, part):
                    return

    def _put(self, clip: int, part: ClipViews | End | Exception) -> bool:
        """Hand a part over, and return False if nobody wants it any more."""
        while not self._stopped.is_set():
            try:
                self._made.put((clip, part), timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False


def _one_by_one(decode: Decode, number: int) -> Iterator[tuple[int, ClipViews | End]]:
    for clip in range(number):
        for part in _parts(decode, clip):
            if isinstance(part, Exception):
                raise part
            yield clip, part


def _parts(decode: Decode, clip: int) -> Iterator[ClipViews | End | Exception]:
    """Yield the parts of a clip and its end, or an error that is none of the file's."""
    try:
        yield from decode(clip)
    except DecodeError as error:
        yield End(str(error))
    except OSError as error:
        yield End((error.strerror or str(error)).lower())
    except Exception as error:  # noqa: BLE001 - it is raised where the labels are waited for
        yield error
    else:
        yield End()
