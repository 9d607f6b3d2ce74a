"""Published numbers of the literature, `published.csv`: shown beside measured ones, never ranked with them.

Rows with the same method, data set and fraction of labels may still differ in the labeled clips, initial
weights, modality, training length and test views (docs/data.md). If sources disagree, each has its own row.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

import pandas as pd

from ssl_video.benchmarks.tables.comparison import Column

COLUMNS = {
    "method": "name of the algorithm here, or the paper's own name if it is not included",
    "backbone": "network, in the source's words",
    "initialisation": "scratch (or just not ImageNet), ImageNet, ImageNet teacher, VLM teacher, not stated",
    "modality": "RGB, RGB+gradient, RGB+flow+gradient, or not stated",
    "dataset": "a key of CLASSES (mini-ssv2 is the 87 classes that TCL uses), or finediving",
    "protocol": "labeled fraction of the training clips, as the paper states it",
    "value": "top-1 accuracy in percent",
    "deviation": "standard deviation of the value over draws of labels, where one is given",
    "source": "where the number is printed, a key of SOURCES",
    "certainty": "stated: by its authors or those who ran it; quoted: from another paper, not read there",
    "note": "remarks",
}
# Complete data sets only: a subset under the same name is another data set. FineDiving is not here: its
# sources do not say which of its levels are the classes.
CLASSES = {
    "ucf101": 101,
    "hmdb51": 51,
    "kinetics400": 400,
    "mini-ssv2": 87,
    "jester": 27,
    "diving48": 48,
    "finegym99": 99,
    "finegym288": 288,
}
CAVEAT = (
    "published numbers are in no mean, gain or test: their labeled clips, initial weights, input, training "
    "and test views may all differ, and mostly are not stated; quoted: not read in the paper itself"
)
# Papers call one clip per class of UCF-101 1 %, although it is 1.06 %.
_NEAR = 0.1
_SEFAR = "arXiv:2501.01245, as copied in github.com/deep-diver/ai-paper-reviewer"
SOURCES = {
    "ActNetFormer, Table 1": "arXiv:2404.06243; github.com/rana2149/ActNetFormer, assets/results.png",
    "CMPL, abstract": "arXiv:2112.09690",
    "FinePseudo, coarse-grained table": "arXiv:2409.01448; github.com/DAVEISHAN/finepsuedo-webpage",
    "FinePseudo, fine-grained table": "arXiv:2409.01448; github.com/DAVEISHAN/finepsuedo-webpage",
    "LEViL, Table I": "arXiv:2606.21358",
    "SVFormer, README": "github.com/ChenHsing/SVFormer",
    "SeFAR, Table 1": _SEFAR,
    "SeFAR, Table 2": _SEFAR,
    "TCL, poster": "github.com/CVIR/TCL, docs/resources; TSM-R18's initial weights: FinePseudo's table",
}


def read() -> pd.DataFrame:
    """Read all published numbers, COLUMNS; missing deviations are NaN, missing notes are empty."""
    with (resources.files("ssl_video.benchmarks") / "published.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, usecols=list(COLUMNS), keep_default_na=False, na_values={"deviation": [""]})


class PublishedNumbers(NamedTuple):
    """Published numbers to show.

    Attributes:
        frame: COLUMNS of those numbers.
        notes: caveats for the reader.
    """

    frame: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def records(self) -> list[dict[str, Any]]:
        """COLUMNS of each number; a missing deviation is None."""
        columns = {key: self.frame[key].tolist() for key in COLUMNS}
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        return [
            row | {"deviation": None if math.isnan(row["deviation"]) else row["deviation"]} for row in rows
        ]

    @property
    def blocks(self) -> list["Block"]:
        """The numbers as tables, one per data set."""
        remarks, parts = _remarks(self.frame), dict[str, list[dict[str, Any]]]()
        for number in self.records:
            parts.setdefault(number["dataset"], []).append(number)
        return [_block(dataset, numbers, remarks) for dataset, numbers in sorted(parts.items())]


class Block(NamedTuple):
    """A table of published numbers of one data set, column by column, headers first.

    Attributes:
        dataset: its name.
        words: method (with the number of a note), backbone, initial weights, input, source.
        numbers: top-1 in percent, one column per fraction of labels.
    """

    dataset: str
    words: list[list[str]]
    numbers: list[list[str]]


def beside(columns: Sequence[Column], methods: Collection[str] = ()) -> PublishedNumbers:
    """Return the numbers published for columns' data sets and approximate fractions of labels.

    Args:
        columns: columns of a comparison.
        methods: only these; empty: any.
    """
    frame = _of(read(), methods=methods)
    shown, notes = pd.Series(False, frame.index), list[str]()
    for column in columns:
        here = frame[frame["dataset"] == column.dataset]
        if column.sizes["classes"][0] != CLASSES.get(column.dataset):
            continue
        labeled, train = _labeled(column)
        for fraction in here["protocol"].unique():
            percent = 100 * labeled / train
            if abs(percent / float(fraction.rstrip("%")) - 1) <= _NEAR:
                shown |= (frame["dataset"] == column.dataset) & (frame["protocol"] == fraction)
                notes.append(
                    f"published for {fraction} of {column.dataset}; here {column.title} has {labeled:,} of "
                    f"{train:,} training clips labeled ({percent:.1f} %)"
                )
    if not notes:
        return PublishedNumbers(
            frame[shown], ("nothing is published here for these data sets and fractions of labels",)
        )
    return _with_notes(frame[shown], notes)


def alone(datasets: Collection[str] = (), methods: Collection[str] = ()) -> PublishedNumbers:
    """Return the numbers published for data sets and methods; empty: any."""
    return _with_notes(_of(read(), datasets, methods), [])


def _of(frame: pd.DataFrame, datasets: Collection[str] = (), methods: Collection[str] = ()) -> pd.DataFrame:
    for column, names in (("dataset", datasets), ("method", methods)):
        if names:
            frame = frame[frame[column].isin(list(names))]
    return frame


def _labeled(column: Column) -> tuple[int, int]:
    """Return the numbers of labeled and of all training clips."""
    labeled, unlabeled = column.sizes["labeled"][1], column.sizes["unlabeled"][1]
    return labeled, unlabeled if column.labeled_in_unlabeled else labeled + unlabeled


def _with_notes(frame: pd.DataFrame, notes: Sequence[str]) -> PublishedNumbers:
    """Return numbers with the caveat and the file's notes on single numbers."""
    if frame.empty:
        return PublishedNumbers(
            frame, ("nothing is published here for these data sets, methods and fractions of labels",)
        )
    remarks = [f"[{number}] {note}" for note, number in _remarks(frame).items()]
    return PublishedNumbers(frame, (CAVEAT, *notes, *remarks))


def _remarks(frame: pd.DataFrame) -> dict[str, int]:
    """Return the file's notes on single numbers, with their indices in the tables."""
    return {note: number for number, note in enumerate(filter(None, frame["note"].unique()), 1)}


def _block(dataset: str, found: Sequence[dict[str, Any]], remarks: Mapping[str, int]) -> Block:
    keys = ("method", "backbone", "initialisation", "modality", "source", "certainty", "note")
    fractions = sorted(
        {number["protocol"] for number in found}, key=lambda fraction: float(fraction.rstrip("%"))
    )
    rows = dict[tuple[str, ...], dict[str, str]]()
    for number in found:
        spread = "" if number["deviation"] is None else f" ± {number['deviation']:g}"
        row = rows.setdefault(tuple(number[key] for key in keys), {})
        row[number["protocol"]] = f"{number['value']:g}{spread}"
    words, numbers = [["method", "backbone", "weights", "input", "source"]], [fractions]
    for key in sorted(rows, key=lambda key: (key[0].lower(), *key[1:])):
        method, backbone, weights, modality, source, certainty, note = key
        marked = f"{method} [{remarks[note]}]" if note else method
        words.append([marked, backbone, weights, modality, f"{source}, {certainty}"])
        numbers.append([rows[key].get(fraction, "") for fraction in fractions])
    turned = [[list(column) for column in zip(*lines, strict=True)] for lines in (words, numbers)]
    return Block(dataset, *turned)
