"""Rows of tables of labels: how they are made, and the clips that the rows of a table belong to."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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


def row_of(clip: Given, found: Labeled, classes: Sequence[str], abstain: float | None) -> Row:
    """Return the row of a clip or a stretch."""
    row = empty(clip) | {"start": found.start, "end": found.end, "windows": found.windows}
    row |= two_likeliest(found.probabilities, classes)
    if choice(found, abstain) < 0:
        # The label for none takes the first place, and the network's own moves to the second.
        row |= {"label": UNKNOWN, "second_label": row["label"], "second_probability": row["probability"]}
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
    """What a table has of a clip.

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

    Args:
        table: the table.
        clips: the clips, each once.
        every: seconds of a stretch of a time line; None: a row is a clip.
        seconds: the duration of each clip's file, 0 where it is not known; used for time lines.
        labels: the labels of the rows are added.
    """
    of_path = defaultdict[str, list[int]](list)
    for number, clip in enumerate(clips):
        of_path[clip.path].append(number)
    reached = dict[int, Reached]()
    last: int | None = None
    for row in table.kept():
        labels.update([row["label"]] if row["label"] is not None else [])
        last = _number(row, clips, of_path.get(row["path"], []), every, last)
        if last is None:
            continue
        place = reached.setdefault(last, Reached())
        if row["error"] is not None:
            place.whole = False
        else:
            place.rows, place.end = place.rows + 1, row["end"]
    if every is not None:
        for number, place in reached.items():
            end = min(clips[number].end or math.inf, seconds[number] or math.inf)
            short = end < math.inf and (place.end or 0.0) < end - every - _SHORT
            place.whole = place.whole and number != last and not short
    table.begin(row for row in table.kept() if row["error"] is None or row["path"] not in of_path)
    return reached


def _number(
    row: Row, clips: Sequence[Given], numbers: Sequence[int], every: float | None, last: int | None
) -> int | None:
    """Return which of the clips with a row's path it belongs to; None: to none of them."""
    if every is None:
        return next(
            (n for n in numbers if (clips[n].start, clips[n].end) == (row["start"], row["end"])), None
        )
    second = row["start"] or 0.0
    fits = [n for n in numbers if (clips[n].start or 0.0) <= second < (clips[n].end or math.inf)]
    return last if last in fits else next(iter(fits), None)
