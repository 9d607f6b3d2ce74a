"""Caveats of a comparison for its reader, as sentences."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from ssl_video.benchmarks.tables.comparison import SIZES, Column, Row
from ssl_video.errors import counted

# Below it, a method has trained almost as if there were no unlabeled clips.
FEW = 0.1


def untested(frame: pd.DataFrame) -> list[str]:
    """Return a sentence on the runs without an accuracy, if there are any; tables leave them out."""
    number = int(frame["top1"].isna().sum())
    return [f"{counted(number, 'run', 'have')} no test clips: left out"] if number else []


def clips(columns: Sequence[Column]) -> list[str]:
    """Return a sentence on the clips of each column."""
    notes = []
    for column in columns:
        ends = (column.sizes[name] for name in SIZES)
        labeled, unlabeled, test, classes = (f"{a}" if a == b else f"{a}-{b}" for a, b in ends)
        labeled_too = "included" if column.labeled_in_unlabeled else "excluded"
        notes.append(
            f"{column.title}: {labeled} labeled, {unlabeled} unlabeled (labeled ones {labeled_too}), "
            f"{test} test clips, {classes} {'class' if classes == '1' else 'classes'}"
        )
    return notes


def labels(columns: Sequence[Column], runs: pd.DataFrame) -> list[str]:
    """Return sentences on the labels behind intervals and columns."""
    cells = runs.groupby(["column", "row"])["fingerprint"].agg(["nunique", "size"])
    shared = (cells["size"] > cells["nunique"]).groupby("column").any()
    single = (cells["nunique"] == 1).groupby("column").all()
    split = runs.groupby("column")["partition"].first() != ""
    sentences = {
        "one draw of labels, so the intervals do not include the variation between draws": shared & single,
        "some runs share a draw of labels, so the intervals are somewhat too narrow": shared & ~single,
        "runs with different labels for the same draw are in separate columns": split,
    }
    notes = []
    for sentence, where in sentences.items():
        titles = [column.title for column, true in zip(columns, where, strict=True) if true]
        if titles:
            notes.append(f"{'all columns' if len(titles) == len(columns) else '; '.join(titles)}: {sentence}")
    return notes


def environments(columns: Sequence[Column], runs: pd.DataFrame) -> list[str]:
    """Return a sentence on each column whose runs were computed differently.

    Other devices, threads and versions round sums in another order. Training amplifies the difference, so
    one seed then gives another number.
    """
    notes = []
    for column, (_, members) in zip(columns, runs.groupby("column"), strict=True):
        different = [
            f"{name} {', '.join(map(str, sorted(values)))}"
            for name in ("device", "threads", "processes", "torch")
            if name in members and len(values := set(members[name].dropna())) > 1
        ]
        if different:
            notes.append(f"{column.title}: runs differ in {'; '.join(different)}, which changes numbers")
    return notes


def headlines(runs: pd.DataFrame) -> list[str]:
    """Return a sentence on each method of which some runs tested another network, as older versions did."""
    own = runs[runs["network"] == ""]
    names = own.groupby(["row", "label"])["predictor"].unique()
    return [
        f"{label}: some runs are of the network {', others of '.join(sorted(several))}"
        for (_, label), several in names.items()
        if len(several) > 1
    ]


def gaps(rows: Sequence[Row], baseline: str) -> list[str]:
    """Return sentences on missing gains."""
    references = [row for row in rows if row.is_baseline]
    if not references:
        return [f"no gains: no finished run of {baseline} is among these"]
    notes = []
    settings = Counter(row.setting for row in references)
    for setting in sorted(s for s, count in settings.items() if count > 1):
        several = ", ".join(f"{r.label} ({r.configuration})" for r in references if r.setting == setting)
        notes.append(
            f"no gains where several rows could be the baseline, {several}: give the configuration of one"
        )
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


def pseudo_labels(runs: pd.DataFrame) -> list[str]:
    """Return a sentence on each method and network of whose pseudo-labels few were used.

    Args:
        runs: finished runs with `label`, and `pseudo_labels_used` where their records are at hand.
    """
    used = dict[tuple[str, str], list[float]]()
    if "pseudo_labels_used" in runs:
        # A network of a method that is shown in a row of its own has the record of the whole run.
        of_methods = runs[runs["network"] == ""]
        for label, fractions in zip(of_methods["label"], of_methods["pseudo_labels_used"], strict=True):
            for network, fraction in fractions.items():
                used.setdefault((label, network), []).append(fraction)
    means = {key: sum(values) / len(values) for key, values in used.items()}
    return [
        f"{label} used {f'{mean:.1%}' if mean else 'none'} of the pseudo-labels of its network {network!r}"
        + ("" if mean else ": is its threshold too high?")
        for (label, network), mean in means.items()
        if mean < FEW
    ]
