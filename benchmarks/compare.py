"""Methods against protocols: mean accuracies and paired gains, before anything is shown.

A row is a method: an algorithm in one configuration, named by what tells it from the others. A column is one
set of labels for all rows: a protocol of one data set, with the same labeled clips for the same draw. The
baseline comes first and the rest in alphabetical order: an order by accuracy would claim a ranking that the
intervals seldom support. Nothing is bold for the same reason.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_video.benchmarks.naming import labels, natural, prefixes
from ssl_video.benchmarks.statistics import Interval, Paired, holm, intervals, paired_groups
from ssl_video.errors import InputError

METHOD_KEYS = ["algorithm", "backbone", "setting", "configuration"]
COLUMN_KEYS = ["dataset", "protocol", "dataset_fingerprint", "labeled_in_unlabeled"]
_SIZES = ["labeled", "unlabeled", "test", "classes"]


@dataclass(frozen=True)
class Column:
    """Runs on the same labels.

    Attributes:
        dataset, protocol, dataset_fingerprint, labeled_in_unlabeled: as in the leaderboard.
        marks: what tells the column from others of its data set and protocol; mostly empty.
    """

    dataset: str
    protocol: str
    dataset_fingerprint: str
    labeled_in_unlabeled: bool
    marks: tuple[str, ...]

    @property
    def title(self) -> str:
        """Data set, protocol and marks in one line."""
        return ", ".join([f"{self.dataset} {self.protocol}", *self.marks])


@dataclass(frozen=True)
class Cell:
    """Top-1 of one row in one column, in [0, 1].

    Attributes:
        score: over its runs.
        draws: number of different sets of labeled clips among its runs.
        gain: over the runs that have a partner of the baseline: the same setting, labels and seed.
        corrected_p: the gain's p-value after Holm's correction for all gains of the table; nan: not tested.
    """

    score: Interval
    draws: int
    gain: Paired | None
    corrected_p: float = math.nan


@dataclass(frozen=True)
class Row:
    """One method, or a further network of one.

    Attributes:
        label: what tells it from the other rows.
        algorithm, backbone, setting, configuration: as in the leaderboard.
        network: the further network that the accuracies are of; "": the headline.
        is_baseline: whether gains are measured against it.
        cells: one a column; None: no run.
    """

    label: str
    algorithm: str
    backbone: str
    setting: str
    configuration: str
    network: str
    is_baseline: bool
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True)
class Comparison:
    """A table before it is shown; `notes` are sentences that its reader has to know."""

    baseline: str
    confidence: float
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def usual_n(self) -> int:
        """The most frequent number of runs behind a mean; other numbers are marked in the table."""
        counts = Counter(cell.score.n for row in self.rows for cell in row.cells if cell)
        return max(counts, key=lambda n: (counts[n], n), default=0)

    @property
    def caption(self) -> str:
        """What the numbers are."""
        n = f"n = {self.usual_n}" if self.usual_n > 1 else "n"
        text = (
            f"top-1 % on the test clips, mean ± {100 * self.confidence:g} % t-interval "
            f"over {n} runs (seeds and label draws)"
        )
        if any(cell and cell.gain for row in self.rows for cell in row.cells):
            text += f"; gain = paired difference to {self.baseline} on the same labels and seed"
        return text

    @property
    def tests(self) -> int:
        """How many gains could be tested for being 0."""
        return sum(cell.corrected_p == cell.corrected_p for row in self.rows for cell in row.cells if cell)

    def differs(self, cell: Cell) -> bool:
        """Whether a gain is not 0, at the table's confidence for all of its gains together."""
        return cell.corrected_p < 1 - self.confidence


def comparison(
    frame: pd.DataFrame, baseline: str = "supervised", *, predictors: bool = False, confidence: float = 0.95
) -> Comparison:
    """Methods against protocols: mean top-1, and the gain over the baseline on the same labels and seed.

    Args:
        frame: finished runs, as from `leaderboard.read` or from its CSV.
        baseline: an algorithm; or one configuration, where an algorithm has several that could be meant.
        predictors: whether a method's further networks get rows, too; needs a frame from `leaderboard.read`.
        confidence: of the intervals.

    Raises:
        InputError: a confidence outside (0, 1), or a frame without further networks where they are wanted.
    """
    if frame.empty:
        return Comparison(baseline, confidence, (), (), ())
    # The first to finish counts, so that repeating a run until it pleases changes nothing.
    runs = frame.sort_values(["finished", "run"], ignore_index=True).assign(network="")
    runs["partition"] = _partition(runs)
    runs["reference"] = (runs["algorithm"] == baseline) | (runs["configuration"] == baseline)
    if predictors and "predictors" not in runs:
        raise InputError("further networks are in the runs' records only, not in leaderboard.csv")
    if predictors:
        runs = pd.concat([runs, _further_networks(runs)], ignore_index=True)
    repeated = runs.duplicated([*METHOD_KEYS, "network", *COLUMN_KEYS, "fingerprint", "seed"])
    repetitions = int((repeated & (runs["network"] == "")).sum())
    runs = runs[~repeated].reset_index(drop=True)

    runs["column"], first = _numbered(runs, [*COLUMN_KEYS, "partition"], _column_order)
    columns = _columns(first)
    methods = runs.drop_duplicates(METHOD_KEYS)
    names, notes = labels(methods)
    runs = runs.merge(methods[METHOD_KEYS].assign(label=names), on=METHOD_KEYS, how="left")
    runs["row"], first = _numbered(runs, [*METHOD_KEYS, "network"], _row_order)
    rows = _rows(runs, first, len(columns), confidence)
    baseline = next(
        (row.label for row in rows if row.is_baseline and row.configuration == baseline), baseline
    )
    notes = [*_clips(columns, runs), *_caveats(columns, runs), *notes, *_gaps(rows, baseline)]
    if repetitions:
        notes.append(f"{repetitions} repetitions (same method, labels and seed) left out: the first counts")
    return Comparison(baseline, confidence, columns, rows, tuple(notes))


def _further_networks(runs: pd.DataFrame) -> pd.DataFrame:
    """A row for each network that was evaluated beside the headline."""
    found = [
        (position, network, top1)
        for position, (headline, scores) in enumerate(zip(runs["predictor"], runs["predictors"], strict=True))
        for network, top1 in scores.items()
        if network != headline
    ]
    further: pd.DataFrame = runs.iloc[[position for position, _, _ in found]].copy()
    further["network"] = [network for _, network, _ in found]
    further["top1"] = [top1 for _, _, top1 in found]
    return further


def _partition(runs: pd.DataFrame) -> "pd.Series[str]":
    """Splits columns in which runs of the same draw have different labels; "" where they agree.

    First by the numbers of clips; runs that still disagree stand alone with those of exactly their labels.
    A part is named by the fingerprint of its first draw.
    """
    runs = runs.sort_values(["draw", "fingerprint"]).assign(partition="")
    for finer in (_SIZES, ["fingerprint"]):
        column = [*COLUMN_KEYS, "partition"]
        differs = runs.groupby([*column, "draw"], dropna=False)["fingerprint"].transform("nunique") > 1
        torn = runs.assign(differs=differs).groupby(column, dropna=False)["differs"].transform("any")
        first = runs.groupby([*column, *finer], dropna=False)["fingerprint"].transform("first")
        runs["partition"] = runs["partition"].where(~torn, first)
    return runs["partition"]


def _numbered(
    runs: pd.DataFrame, keys: list[str], order: Callable[[dict[str, Any]], Any]
) -> tuple[NDArray[np.int64], list[dict[str, Any]]]:
    """Each run's group by `keys`, numbered in the given order, and the first run of each group."""
    first: list[dict[str, Any]] = runs.drop_duplicates(keys).to_dict("records")
    sequence = sorted(range(len(first)), key=lambda group: order(first[group]))
    rank = np.empty(len(first), np.int64)
    rank[sequence] = np.arange(len(first))
    appearance = runs.groupby(keys, sort=False, dropna=False).ngroup()
    return rank[appearance.to_numpy()], [first[group] for group in sequence]


def _column_order(run: dict[str, Any]) -> Any:
    further = [run[key] for key in ("labeled_in_unlabeled", "dataset_fingerprint", "partition")]
    return natural(run["dataset"]), natural(run["protocol"]), further


def _row_order(run: dict[str, Any]) -> Any:
    return not run["reference"], natural(run["label"]), run["network"]


def _columns(first: list[dict[str, Any]]) -> tuple[Column, ...]:
    """Columns from one run of each, with the marks that they need to be told apart."""
    versions = Counter(name for name, _ in {(run["dataset"], run["dataset_fingerprint"]) for run in first})
    short = prefixes({run[key] for run in first for key in ("dataset_fingerprint", "partition")})
    columns = []
    for run in first:
        marks = ["labeled in unlabeled"] if run["labeled_in_unlabeled"] else []
        if versions[run["dataset"]] > 1:
            marks.append(f"data {short[run['dataset_fingerprint']]}")
        if run["partition"]:
            marks.append(f"labels {short[run['partition']]}")
        columns.append(Column(**{key: run[key] for key in COLUMN_KEYS}, marks=tuple(marks)))
    return tuple(columns)


def _rows(
    runs: pd.DataFrame, first: list[dict[str, Any]], columns: int, confidence: float
) -> tuple[Row, ...]:
    """Rows with their cells, from the first run of each and all runs."""
    scores, gains = _scores(runs, confidence), _gains(runs, confidence)
    corrected = dict(zip(gains, holm([gain.p for gain in gains.values()]), strict=True))

    def cell(place: tuple[int, int]) -> Cell | None:
        if place not in scores:
            return None
        return Cell(*scores[place], gains.get(place), corrected.get(place, math.nan))

    return tuple(
        Row(
            label=f"{run['label']}: {run['network']}" if run["network"] else run["label"],
            is_baseline=run["reference"] and not run["network"],
            cells=tuple(cell((row, column)) for column in range(columns)),
            **{key: run[key] for key in (*METHOD_KEYS, "network")},
        )
        for row, run in enumerate(first)
    )


def _scores(runs: pd.DataFrame, confidence: float) -> dict[tuple[int, int], tuple[Interval, int]]:
    """Mean top-1 and number of label draws by (row, column)."""
    place, group = _places(runs)
    scores = intervals(runs["top1"].to_numpy(float), group, len(place), confidence)
    draws = runs.groupby(group)["fingerprint"].nunique().tolist()
    return dict(zip(place, zip(scores, draws, strict=True), strict=True))


def _gains(runs: pd.DataFrame, confidence: float) -> dict[tuple[int, int], Paired]:
    """Gain over the baseline by (row, column), where there are pairs.

    Further networks have none, they differ from the baseline's. Neither is there one where several
    configurations of the baseline have the same setting: none of them is more right.
    """
    same = ["column", "setting", "fingerprint", "seed"]
    runs = runs[runs["network"] == ""]
    reference = runs[runs["reference"]]
    alone = reference.groupby(["column", "setting"])["row"].transform("nunique") == 1
    pairs = runs[~runs["reference"]].merge(
        reference.loc[alone, [*same, "top1"]], on=same, suffixes=("", "_baseline"), validate="many_to_one"
    )
    place, group = _places(pairs)
    ours, theirs = pairs["top1"].to_numpy(float), pairs["top1_baseline"].to_numpy(float)
    return dict(zip(place, paired_groups(ours, theirs, group, len(place), confidence), strict=True))


def _places(runs: pd.DataFrame) -> tuple[list[tuple[int, int]], NDArray[np.int64]]:
    """The (row, column) places that occur, in order, and the number of each run's place."""
    both = runs[["row", "column"]].to_numpy(np.int64)
    places, group = np.unique(both, axis=0, return_inverse=True)
    return [(row, column) for row, column in places.tolist()], group.ravel()


def _clips(columns: Sequence[Column], runs: pd.DataFrame) -> list[str]:
    """For each column a sentence on the clips behind it."""
    ends = runs.groupby("column")[_SIZES].agg(["min", "max"])
    notes = []
    for column, sizes in zip(columns, ends.to_numpy().reshape(len(ends), -1, 2).tolist(), strict=True):
        labeled, unlabeled, test, classes = (f"{a}" if a == b else f"{a}-{b}" for a, b in sizes)
        labeled_too = "included" if column.labeled_in_unlabeled else "excluded"
        notes.append(
            f"{column.title}: {labeled} labeled, {unlabeled} unlabeled (labeled ones {labeled_too}), "
            f"{test} test clips, {classes} classes"
        )
    return notes


def _caveats(columns: Sequence[Column], runs: pd.DataFrame) -> list[str]:
    """What the reader should know of the labels behind intervals and columns."""
    cells = runs.groupby(["column", "row"])["fingerprint"].agg(["nunique", "size"])
    shared = (cells["size"] > cells["nunique"]).groupby("column").any()
    single = (cells["nunique"] == 1).groupby("column").all()
    split = runs.groupby("column")["partition"].first() != ""
    sentences = {
        "one draw of labels, so the intervals leave out what the choice of labels adds": shared & single,
        "some runs share a draw of labels, so the intervals are somewhat too narrow": shared & ~single,
        "runs with other labels for the same draw are in columns of their own": split,
    }
    notes = []
    for sentence, where in sentences.items():
        titles = [column.title for column, true in zip(columns, where, strict=True) if true]
        if titles:
            notes.append(f"{'all columns' if len(titles) == len(columns) else '; '.join(titles)}: {sentence}")
    return notes


def _gaps(rows: Sequence[Row], baseline: str) -> list[str]:
    """Sentences on gains that are missing."""
    references = [row for row in rows if row.is_baseline]
    if not references:
        return [f"no gains: no finished run of {baseline} is among these"]
    notes = []
    settings = Counter(row.setting for row in references)
    for setting in sorted(s for s, count in settings.items() if count > 1):
        several = ", ".join(f"{r.label} ({r.configuration})" for r in references if r.setting == setting)
        notes.append(f"no gains where the baseline could be any of {several}; give one's configuration")
    lonely = [
        row.label
        for row in rows
        if not (row.is_baseline or row.network or settings[row.setting] > 1)
        and not any(cell and cell.gain for cell in row.cells)
    ]
    if lonely:
        notes.append(
            f"no gains for {', '.join(lonely)}: no run of {baseline} has the same setting, labels and seed"
        )
    return notes
