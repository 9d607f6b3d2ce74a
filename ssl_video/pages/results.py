"""A method's measured results, and what papers report of it."""

from pathlib import Path

import pandas as pd

from ssl_video.benchmarks.tables import published
from ssl_video.benchmarks.tables.statistics import interval
from ssl_video.pages.markdown import linked, table

# What has to be equal for runs to be one number, but for the labels that were drawn.
_CELL = ["dataset", "protocol", "backbone", "initialisation", "setting", "configuration"]


def measured(algorithm: str, results: Path) -> str:
    """A table of the means in every leaderboard.csv in a folder or one level below; "" where there is none.

    Args:
        algorithm: name of the algorithm, as leaderboards have it.
        results: a folder; it need not exist.
    """
    files = sorted([*results.glob("leaderboard.csv"), *results.glob("*/leaderboard.csv")])
    frames = [pd.read_csv(file, keep_default_na=False) for file in files]
    runs = [frame[frame["algorithm"] == algorithm] for frame in frames]
    if not sum(map(len, runs)):
        return ""
    rows = []
    for cell, group in pd.concat(runs).groupby(_CELL, sort=True):
        mean = interval(group["top1"].to_numpy(dtype=float) * 100)
        first = group.iloc[0]
        spread = f" ± {mean.half_width:.1f}" if mean.n > 1 else ""
        clip = f"{first['frames']} × {first['stride']}, {first['size']} px"
        rows.append([*cell[:4], clip, str(first["steps"]), f"{mean.mean:.1f}{spread}", str(mean.n)])
    head = ["dataset", "protocol", "backbone", "initial weights", "clip", "steps", "top-1 %", "runs"]
    return table(head, rows)


def reported(method: str) -> str:
    """A table of what papers report of a method; "" where none does."""
    frame = published.read()
    frame = frame[frame["method"] == method]
    rows = []
    keys = ["dataset", "backbone", "initialisation", "modality", "source", "certainty", "note"]
    for (dataset, backbone, start, modality, source, certainty, note), group in frame.groupby(
        keys, sort=False
    ):
        numbers = ", ".join(
            f"{value:g}{'' if pd.isna(deviation) else f' ± {deviation:g}'} ({share})"
            for value, deviation, share in zip(
                group["value"], group["deviation"], group["protocol"], strict=True
            )
        )
        rows.append([dataset, backbone, start, modality, numbers, f"{source} ({certainty})", note])
    head = ["dataset", "backbone", "initial weights", "input", "top-1 % (labeled)", "source", "note"]
    where = [f"- {name}: {linked(published.SOURCES[name])}" for name in sorted(set(frame["source"]))]
    return f"{table(head, rows)}\n{chr(10).join(where)}" if rows else ""
