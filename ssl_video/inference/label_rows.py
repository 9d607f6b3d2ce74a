"""Rows of tables of labels: how they are made, and the clips that the rows of a table belong to."""

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ssl_video.data.frames.extent import MICROSECOND
from ssl_video.data.importers.to_label import Given
from ssl_video.inference.label_table import COLUMNS, LabelTable, Row
from ssl_video.inference.stretches import Labeled

UNKNOWN = "unknown"  # the label below a probability
_SHORT = 1.0  # seconds by which a stated duration may be off


def choice(found: Labeled, abstain: float | None) -> int:
    """Return the number of the likeliest class; -1: none is likely enough."""
    best = int(found.probabilities.argmax())
    return -1 if abstain is not None and found.probabilities[best] < abstain else best


def empty(clip: Given) -> Row:
    """Return a row of a clip without a label."""
    return dict.fromkeys(COLUMNS) | {"path": clip.path, "start": clip.start, "end": clip.end, "windows": 0}


def row_of(
    clip: Given, found: Labeled, classes: Sequence[str], abstain: float | None, probabilities: bool = False
) -> Row:
    """Return the row of a clip or a stretch, perhaps with the probability of each class."""
    row = empty(clip) | {"start": found.start, "end": found.end, "windows": found.windows}
    row |= two_likeliest(found.probabilities, classes)
    if choice(found, abstain) < 0:
        # The label for none takes the first place, and the network's own moves to the second.
        row |= {"label": UNKNOWN, "second_label": row["label"], "second_probability": row["probability"]}
    if probabilities:
        # By digits, not decimals: small probabilities count where a temperature softens them.
        row |= {name: float(f"{one:.6g}") for name, one in zip(classes, found.probabilities, strict=True)}
    return row


def two_likeliest(scores: np.ndarray, classes: Sequence[str]) -> Row:
    """Return the two likeliest classes of probabilities (classes,) by column."""
    first, second = np.argsort(-scores, kind="stable")[:2].tolist()
    return {
        "label": classes[first],
        "probability": _rounded(scores[first]),
        "second_label": classes[second],
        "second_probability": _rounded(scores[second]),
        "margin": _rounded(scores[first] - scores[second]),
    }


def _rounded(number: float) -> float:
    """Return a number as the tables have it."""
    return round(float(number), 6)


@dataclass
class Reached:
    """The part of a clip that a table has.

    Attributes:
        rows: number of rows with a label.
        end: the second at which the last of them ends.
        whole: there are no more to come.
    """

    rows: int = 0
    end: float | None = None
    whole: bool = True


def continued(
    table: LabelTable,
    clips: Sequence[Given],
    every: float | None,
    seconds: Sequence[float],
    labels: Counter[str],
) -> dict[int, Reached]:
    """Begin to write a table, after those of its rows that have a label; return what it has of the clips.

    Clips that could not be read are tried again. The last recording of a time line may have been cut off.
    Clips whose rows look alike are told apart by their order, so after one that is not complete the others'
    rows are made again.

    Args:
        table: the table.
        clips: the clips, each once.
        every: seconds of a stretch of a time line; None: a row is a clip.
        seconds: the duration of each clip's file, 0 where it is not known; used for time lines.
        labels: the labels of the rows are added.
    """
    alike = defaultdict[_Key, list[int]](list)
    for number, clip in enumerate(clips):
        alike[_key(clip.path, clip.start, clip.end, every)].append(number)
    groups = {key: _Group(numbers, clips, every) for key, numbers in alike.items()}
    owners, reached = list[int | None](), dict[int, Reached]()
    for row in table.kept():
        group = groups.get(_key(row["path"], row["start"], row["end"], every))
        owner = group.owner(row) if group else None
        owners.append(owner)
        if owner is None:
            continue
        place = reached.setdefault(owner, Reached())
        if row["error"] is not None:
            place.whole = False
        else:
            place.rows, place.end = place.rows + 1, row["end"]
    if every is not None:
        last = next((owner for owner in reversed(owners) if owner is not None), None)
        for number, place in reached.items():
            end = min(clips[number].end or math.inf, seconds[number] or math.inf)
            short = end < math.inf and (place.end or 0.0) < end - every - _SHORT
            place.whole = place.whole and number != last and not short
    again = {number for group in groups.values() for number in group.out_of_order(reached)}
    reached = {number: place for number, place in reached.items() if number not in again}
    table.begin(_kept(table, owners, again, labels))
    return reached


def _kept(
    table: LabelTable, owners: Sequence[int | None], again: Container[int], labels: Counter[str]
) -> Iterator[Row]:
    """Yield the rows of a table that stay, and count their labels."""
    for row, owner in zip(table.kept(), owners, strict=True):
        if owner is None or (row["error"] is None and owner not in again):
            labels.update([row["label"]] if row["label"] is not None else [])
            yield row


_Key = tuple[str, float | None, float | None]


def _key(path: str, start: float | None, end: float | None, every: float | None) -> _Key:
    """Return the columns that name the clip of a row: of a time line the path, otherwise also the part."""
    return (path, start, end) if every is None else (path, None, None)


class _Group:
    """Clips that their rows cannot tell apart at once, in their order.

    They are parts of one recording, or clips with the same path in lists of different folders.
    """

    def __init__(self, numbers: Sequence[int], clips: Sequence[Given], every: float | None) -> None:
        self._numbers, self._every = numbers, every
        self._spans = [(clips[n].start or 0.0, clips[n].end or math.inf) for n in numbers]
        ordered = sorted(self._spans)
        # Parts that do not overlap are told apart by their seconds, in any order.
        self._overlap = any(one[1] > other[0] for one, other in itertools.pairwise(ordered))
        self._now, self._end, self._closed = 0, -math.inf, False

    def owner(self, row: Row) -> int | None:
        """Return the clip of the group's next row; None: it is of none of these clips."""
        second = row["start"] or 0.0
        if not self._overlap:
            fits = (n for n, span in zip(self._numbers, self._spans, strict=True) if _inside(second, span))
            return next(fits, None)
        after = self._every is not None and not self._closed and second >= self._end - MICROSECOND
        if not (after and _inside(second, self._spans[self._now])):
            first = 0 if self._end == -math.inf else self._now + 1
            later = range(first, len(self._numbers))
            found = next((n for n in later if _inside(second, self._spans[n])), None)
            if found is None:
                return None
            self._now = found
        self._closed, self._end = row["error"] is not None, row["end"] or 0.0
        return self._numbers[self._now]

    def out_of_order(self, reached: Mapping[int, Reached]) -> Sequence[int]:
        """Return the clips whose rows would stand before those of an earlier clip, which come now."""
        if not self._overlap:
            return ()
        whole = [number in reached and reached[number].whole for number in self._numbers]
        return self._numbers[whole.index(False) + 1 :] if False in whole else ()


def _inside(second: float, span: tuple[float, float]) -> bool:
    return span[0] <= second < span[1]
