"""Compare methods on protocols: mean accuracies and paired gains, before rendering.

A row is a method: an algorithm in one configuration, named by its differences from the others. A column is
one set of labels for all rows: a protocol of one data set, with the same labeled clips for the same draw. The
baseline comes first and the other methods in alphabetical order: an order by accuracy would claim a ranking
that the intervals seldom support. Nothing is bold for the same reason.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ssl_video.benchmarks.tables import table_notes
from ssl_video.benchmarks.tables.comparison import (
    COLUMN_KEYS,
    COSTS,
    METHOD_KEYS,
    SIZES,
    Cell,
    Column,
    Comparison,
    Cost,
    Row,
    label_marks,
)
from ssl_video.benchmarks.tables.naming import labels, method_facts, natural, prefixes
from ssl_video.benchmarks.tables.statistics import Interval, Paired, holm, intervals, paired_groups
from ssl_video.errors import InputError, counted


def comparison(
    frame: pd.DataFrame, baseline: str = "supervised", *, predictors: bool = False, confidence: float = 0.95
) -> Comparison:
    """Compare methods on protocols: mean top-1, and the gain over the baseline on the same labels and seed.

    Args:
        frame: finished runs, as from `leaderboard.read` or from its CSV. Those without an accuracy are left
            out, and a note counts them.
        baseline: an algorithm, or one configuration if an algorithm has several.
        predictors: whether a method's further networks get rows, too; needs a frame from `leaderboard.read`.
        confidence: of the intervals.

    Raises:
        InputError: a confidence outside (0, 1), or further networks are requested and not in the frame.
    """
    untested = table_notes.untested(frame)
    frame = frame[frame["top1"].notna()]
    if frame.empty:
        return Comparison(baseline, confidence, (), (), tuple(untested))
    # Only the first finished repetition counts, so that repeating a run for a better result has no effect.
    runs = frame.sort_values(["finished", "run"], ignore_index=True).assign(network="")
    # A CSV of an older version lacks these columns, and the operations of the smallest runs round to 0.
    runs[COSTS] = runs.reindex(columns=COSTS).replace(0, math.nan)
    runs[["validation"]] = runs.reindex(columns=["validation"]).fillna(0.0)
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
    columns = _columns(first, runs)
    methods = runs.drop_duplicates(METHOD_KEYS)
    names, notes = labels(methods)
    runs = runs.merge(methods[METHOD_KEYS].assign(label=names), on=METHOD_KEYS, how="left")
    runs["row"], first = _numbered(runs, [*METHOD_KEYS, "network"], _row_order)
    rows = _rows(runs, first, columns, confidence)
    baseline = next(
        (row.label for row in rows if row.is_baseline and row.configuration == baseline), baseline
    )
    notes = [
        *table_notes.clips(columns),
        *table_notes.labels(columns, runs),
        *table_notes.environments(columns, runs),
        *table_notes.headlines(runs),
        *notes,
        *table_notes.gaps(rows, baseline),
        *table_notes.pseudo_labels(runs),
        *untested,
    ]
    if repetitions:
        left_out = counted(repetitions, "repetition")
        notes.append(f"{left_out} (same method, labels and seed) left out: the first counts")
    return Comparison(baseline, confidence, columns, rows, tuple(notes))


def _further_networks(runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each network that was evaluated in addition to the headline."""
    found = [
        (position, network, top1)
        for position, (headline, scores) in enumerate(zip(runs["predictor"], runs["predictors"], strict=True))
        for network, top1 in scores.items()
        if network != headline
    ]
    further: pd.DataFrame = runs.iloc[[position for position, _, _ in found]].copy()
    further["network"] = [network for _, network, _ in found]
    further["top1"] = [top1 for _, _, top1 in found]
    further["gflops"] = math.nan  # the record has only the headline's
    return further


def _partition(runs: pd.DataFrame) -> "pd.Series[str]":
    """Split columns in which runs of the same draw have different labels; return each run's part or "".

    Columns are split by the numbers of clips first, and then, if labels still differ, by exactly equal
    labels. A part is named by the fingerprint of its first draw.
    """
    runs = runs.sort_values(["draw", "fingerprint"]).assign(partition="")
    for finer in (SIZES, ["fingerprint"]):
        column = [*COLUMN_KEYS, "partition"]
        differs = runs.groupby([*column, "draw"], dropna=False)["fingerprint"].transform("nunique") > 1
        torn = runs.assign(differs=differs).groupby(column, dropna=False)["differs"].transform("any")
        first = runs.groupby([*column, *finer], dropna=False)["fingerprint"].transform("first")
        runs["partition"] = runs["partition"].where(~torn, first)
    return runs["partition"]


def _numbered(
    runs: pd.DataFrame, keys: list[str], order: Callable[[dict[str, Any]], Any]
) -> tuple[NDArray[np.int64], list[dict[str, Any]]]:
    """Return each run's group by `keys`, numbered in the given order, and the first run of each group."""
    first: list[dict[str, Any]] = runs.drop_duplicates(keys).to_dict("records")
    sequence = sorted(range(len(first)), key=lambda group: order(first[group]))
    rank = np.empty(len(first), np.int64)
    rank[sequence] = np.arange(len(first))
    appearance = runs.groupby(keys, sort=False, dropna=False).ngroup()
    return rank[appearance.to_numpy()], [first[group] for group in sequence]


def _column_order(run: dict[str, Any]) -> Any:
    keys = ("labeled_in_unlabeled", "validation", "dataset_fingerprint", "partition")
    further = [run[key] for key in keys]
    return natural(run["dataset"]), natural(run["protocol"]), further


def _row_order(run: dict[str, Any]) -> Any:
    return not run["reference"], natural(run["label"]), run["network"]


def _columns(first: list[dict[str, Any]], runs: pd.DataFrame) -> tuple[Column, ...]:
    """Return columns with distinguishing marks, from the first run of each and all runs."""
    ends = runs.groupby("column")[SIZES].agg(["min", "max"]).to_numpy().reshape(len(first), -1, 2).tolist()
    versions = Counter(name for name, _ in {(run["dataset"], run["dataset_fingerprint"]) for run in first})
    short = prefixes({run[key] for run in first for key in ("dataset_fingerprint", "partition")})
    columns = []
    for run, own in zip(first, ends, strict=True):
        marks = label_marks(run)
        if versions[run["dataset"]] > 1:
            marks.append(f"data {short[run['dataset_fingerprint']]}")
        if run["partition"]:
            marks.append(f"labels {short[run['partition']]}")
        sizes = {name: (least, most) for name, (least, most) in zip(SIZES, own, strict=True)}
        columns.append(Column(**{key: run[key] for key in COLUMN_KEYS}, marks=tuple(marks), sizes=sizes))
    return tuple(columns)


def _rows(
    runs: pd.DataFrame, first: list[dict[str, Any]], columns: Sequence[Column], confidence: float
) -> tuple[Row, ...]:
    """Return rows with their cells, from the first run of each and all runs."""
    scores, (gains, multiples) = _scores(runs, confidence), _gains(runs, confidence)
    corrected = dict(zip(gains, holm([gain.p for gain in gains.values()]), strict=True))

    def cell(place: tuple[int, int]) -> Cell | None:
        if place not in scores:
            return None
        score, draws, (seconds, gflops, training) = scores[place]
        cost = Cost(seconds, gflops, training, multiples.get(place, math.nan))
        data = columns[place[1]].data
        return Cell(data, score, draws, gains.get(place), corrected.get(place, math.nan), cost)

    return tuple(
        Row(
            label=f"{run['label']}: {run['network']}" if run["network"] else run["label"],
            is_baseline=run["reference"] and not run["network"],
            cells=tuple(cell((row, column)) for column in range(len(columns))),
            facts=method_facts(run) | {"initialisation": run["initialisation"]},
            **{key: run[key] for key in (*METHOD_KEYS, "network")},
        )
        for row, run in enumerate(first)
    )


def _scores(
    runs: pd.DataFrame, confidence: float
) -> dict[tuple[int, int], tuple[Interval, int, list[float]]]:
    """Return mean top-1, number of label draws and mean COSTS by (row, column)."""
    place, group = _places(runs)
    scores = intervals(runs["top1"].to_numpy(float), group, len(place), confidence)
    grouped = runs.groupby(group)
    draws, costs = grouped["fingerprint"].nunique().tolist(), grouped[COSTS].mean().to_numpy().tolist()
    return dict(zip(place, zip(scores, draws, costs, strict=True), strict=True))


def _gains(
    runs: pd.DataFrame, confidence: float
) -> tuple[dict[tuple[int, int], Paired], dict[tuple[int, int], float]]:
    """Return gain over the baseline and multiple of its training cost by (row, column), if pairs exist.

    Further networks have no gain, because they differ from the baseline's network. There is also no gain if
    several configurations of the baseline have the same setting, because the choice would be arbitrary.
    """
    same = ["column", "setting", "fingerprint", "seed"]
    runs = runs[runs["network"] == ""]
    reference = runs[runs["reference"]]
    alone = reference.groupby(["column", "setting"])["row"].transform("nunique") == 1
    pairs = runs[~runs["reference"]].merge(
        reference.loc[alone, [*same, "top1", "training_gflops"]],
        on=same,
        suffixes=("", "_baseline"),
        validate="many_to_one",
    )
    place, group = _places(pairs)
    ours, theirs = pairs["top1"].to_numpy(float), pairs["top1_baseline"].to_numpy(float)
    gains = paired_groups(ours, theirs, group, len(place), confidence)
    multiples = (pairs["training_gflops"] / pairs["training_gflops_baseline"]).groupby(group).mean()
    costs = dict(zip(place, multiples.tolist(), strict=True))
    known = reference[alone & reference["training_gflops"].notna()]
    return dict(zip(place, gains, strict=True)), costs | dict.fromkeys(_places(known)[0], 1.0)


def _places(runs: pd.DataFrame) -> tuple[list[tuple[int, int]], NDArray[np.int64]]:
    """Return the occurring (row, column) places in order, and the index of each run's place."""
    both = runs[["row", "column"]].to_numpy(np.int64)
    places, group = np.unique(both, axis=0, return_inverse=True)
    return [(row, column) for row, column in places.tolist()], group.ravel()
