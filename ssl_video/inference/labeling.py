"""Labels for any number of clips, or along the time of recordings, as rows of a table."""

import functools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ssl_video.data import dataset
from ssl_video.data.importers.manifest import KNOWN
from ssl_video.data.importers.to_label import Given
from ssl_video.data.paths import cache_dir
from ssl_video.data.progress import Progress
from ssl_video.data.recordings import durations
from ssl_video.errors import InputError, some
from ssl_video.inference.ahead import End, labeled
from ssl_video.inference.clip_reader import ClipReader
from ssl_video.inference.evaluate import CLIPS_AT_ONCE, evaluating, mean_over_views
from ssl_video.inference.label_rows import UNKNOWN, choice, continued, empty, row_of
from ssl_video.inference.label_table import COLUMNS, LabelTable, Row
from ssl_video.inference.stretches import Labeled, Merged
from ssl_video.networks.precision import autocast

if TYPE_CHECKING:
    from ssl_video.inference.model import Model


@dataclass(frozen=True)
class Asked:
    """The settings of a labeling.

    Attributes:
        predictor: name of the network.
        every: seconds of a stretch of a time line; None: a label for each clip.
        merge: put equal neighbours of a time line together.
        abstain: the probability below which a label is `unknown`; None: there is none.
        decoders: threads that decode.
        probabilities: add a column with the probability of each class.
    """

    predictor: str
    every: float | None
    merge: bool
    abstain: float | None
    decoders: int
    probabilities: bool = False

    def check(self, classes: Sequence[str]) -> None:
        """Check the values.

        Raises:
            InputError: a value out of its range, or a class has the name of the label for none.
        """
        if self.every is not None and not 0.01 <= self.every < 1e6:
            raise InputError(f"every must be a number of seconds from 0.01, found {self.every:g}")
        if self.abstain is not None and not 0 < self.abstain < 1:
            raise InputError(f"abstain must be a probability between 0 and 1, found {self.abstain:g}")
        if self.abstain is not None and UNKNOWN in classes:
            raise InputError(f"abstain: the model has a class {UNKNOWN!r}, which would mean two things")
        # A table is a manifest, too, in which these columns have a meaning.
        reserved = {*COLUMNS, *KNOWN, "split"}
        if self.probabilities and (alike := [name for name in classes if name.lower() in reserved]):
            raise InputError(f"probabilities: a class is called like another column: {some(alike)}")


@dataclass
class Summary:
    """The clips of a call.

    Attributes:
        clips: number of clips given.
        before: those that the table had already.
        unreadable: those of which something cannot be read.
        without: those that have no label at all.
        labels: number of rows with each label, in all of the table.
    """

    clips: int = 0
    before: int = 0
    unreadable: int = 0
    without: int = 0
    labels: Counter[str] = field(default_factory=Counter)


def label(
    model: "Model",
    clips: Sequence[Given],
    asked: Asked,
    table: LabelTable | None,
    each: Callable[[Row], None],
    report: Progress,
) -> Summary:
    """Label clips, and hand over each new row, in the order of the clips.

    Args:
        model: the trained networks.
        clips: the clips, each once.
        asked: the settings.
        table: the table to continue; None: there is none.
        each: called with each new row.
        report: called with the current task, the number of items done and the total.
    """
    summary = Summary(clips=len(clips))
    seconds = _seconds(model, clips, report) if asked.every is not None else []
    reached = continued(table, clips, asked.every, seconds, summary.labels) if table else {}
    left = [n for n in range(len(clips)) if n not in reached or not reached[n].whole]
    summary.before = len(clips) - len(left)
    begins = [reached[n].end if n in reached else None for n in left]
    firsts = [begin or clips[n].start or 0.0 for n, begin in zip(left, begins, strict=True)]
    lengths = [
        max(0.0, min(seconds[n], clips[n].end or math.inf) - first)
        for n, first in zip(left, firsts, strict=True)
        if seconds
    ]
    done, labeled_ones = _Done(len(left), lengths, report), {n for n, place in reached.items() if place.rows}
    for number, row in _rows(model, [clips[n] for n in left], begins, asked):
        if row is None:
            done.end(number)
        elif isinstance(row, float):
            done.until(row - firsts[number])
        else:
            summary.unreadable += row["error"] is not None
            if row["label"] is not None:
                labeled_ones.add(left[number])
                summary.labels[row["label"]] += 1
            if table:
                table.add(row)
            each(row)
    summary.without = len(clips) - len(labeled_ones)
    if table:
        table.finish()
    return summary


def _seconds(model: "Model", clips: Sequence[Given], report: Progress) -> list[float]:
    """Return the duration of each clip's file in seconds; 0: it is not known."""
    looking = functools.partial(report, "looking at videos")
    files = [clip.file for clip in clips]
    return list(durations(files, cache_dir() / "frames", dataset.clock(model.spec).pictures, looking))


def probabilities(
    model: "Model", clips: Sequence[Given], asked: Asked, begins: Sequence[float | None]
) -> Iterator[tuple[int, Labeled | End]]:
    """Yield the number of a clip with the probabilities of its parts, and its end, in the order of clips."""
    spec = model.spec
    network = model.predictors[asked.predictor]
    reader = ClipReader(clips, begins, asked.every, model.assembly.shape_for(asked.predictor), spec)
    decode = reader.whole if asked.every is None else reader.stretches
    at_once = max(1, CLIPS_AT_ONCE // (spec.test_clips * spec.test_crops))

    @torch.no_grad()
    def predict(views: Tensor, number: int) -> np.ndarray:
        clips = views.to(model.device, memory_format=torch.channels_last_3d)
        with autocast(model.inference, model.device):
            logits = network(clips)
        return mean_over_views(asked.predictor, logits, number, model.temperatures.get(asked.predictor))

    with evaluating([network]):
        apart = asked.every is not None
        yield from labeled(decode, len(clips), predict, at_once, spec.test_clips, asked.decoders, apart)


def _rows(
    model: "Model", clips: Sequence[Given], begins: Sequence[float | None], asked: Asked
) -> Iterator[tuple[int, Row | float | None]]:
    """Yield, with the number of its clip, each row; each second that is reached; and None at a clip's end."""
    merged, reached = Merged(), None
    for number, found in probabilities(model, clips, asked, begins):
        clip = clips[number]
        if isinstance(found, End):
            if rest := merged.rest():
                yield number, row_of(clip, rest, model.classes, asked.abstain, asked.probabilities)
            if found.error:
                start = next((s for s in (reached, begins[number]) if s is not None), clip.start)
                yield number, empty(clip) | {"start": start, "error": found.error}
            yield number, None
            reached = None
            continue
        whole: Labeled | None = found
        if asked.every is not None:
            reached = found.end
            yield number, reached
            if asked.merge:
                whole = merged.add(found, choice(found, asked.abstain))
        if whole:
            yield number, row_of(clip, whole, model.classes, asked.abstain, asked.probabilities)


class _Done:
    """Reports how much is labeled: files, and of time lines also seconds of video.

    Args:
        seconds: the length of each clip; None: it does not count.
        report: called with the current task, the number of items done and the total.
    """

    def __init__(self, number: int, seconds: Sequence[float] | None, report: Progress) -> None:
        self._number, self._seconds, self._report = number, seconds, report
        self._ended, self._before = 0, 0.0
        self._total = max(1, round(sum(seconds or ())))

    def until(self, seconds: float) -> None:
        """Report how far the present clip is labeled."""
        if self._seconds:
            reached = min(self._total, round(self._before + seconds))
            self._report("seconds of video", reached, self._total)

    def end(self, clip: int) -> None:
        """Report that a clip has ended."""
        self._ended += 1
        self._report("labeling", self._ended, self._number)
        if self._seconds:
            self._before += self._seconds[clip]
            self.until(0.0)
