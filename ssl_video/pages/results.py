"""A method's measured results, and the results that papers report for it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ssl_video.benchmarks.tables import leaderboard, published, table_notes
from ssl_video.benchmarks.tables.compare import comparison
from ssl_video.benchmarks.tables.comparison import Row
from ssl_video.benchmarks.tables.naming import natural, variants
from ssl_video.benchmarks.tables.statistics import Interval
from ssl_video.pages.markdown import code, linked, table

_HEAD = (
    *("dataset", "protocol", "backbone", "initial weights", "clip", "steps"),
    *("variant", "top-1 %", "runs"),
)
_HASH = "its options equal those of another: this is its `configuration` in leaderboard.csv"


def measured(algorithm: str, results: Path) -> str:
    """Return a table of means from each leaderboard.csv in a folder or one level below; "" if there is none.

    Args:
        algorithm: name of the algorithm in leaderboards.
        results: a folder; it need not exist.
    """
    files = sorted([*results.glob("leaderboard.csv"), *results.glob("*/leaderboard.csv")])
    frames = [leaderboard.read_csv(file) for file in files]
    runs = [frame[frame["algorithm"] == algorithm] for frame in frames]
    if not sum(map(len, runs)):
        return ""
    together = pd.concat(runs)
    compared = comparison(together, algorithm)
    if not compared.columns:  # no run has an accuracy
        return ""
    names, notes = _variants(compared.rows)
    lines, hashes = list[list[str]](), list[str]()
    for place, column in enumerate(compared.columns):
        labels = [column.dataset, ", ".join([column.protocol, *column.marks])]
        found = [
            ([*labels, *_method(row), name], row.configuration, cell.score)
            for row, name in zip(compared.rows, names, strict=True)
            if (cell := row.cells[place])
        ]
        same = Counter(tuple(texts) for texts, _, _ in found)
        for texts, configuration, score in sorted(found, key=_order):
            more = [configuration] if same[tuple(texts)] > 1 else []
            variant = " ".join(filter(None, [texts[-1], *more]))
            lines.append([*texts[:-1], code(variant) if variant else "", *_score(score)])
            hashes += more
    notes += table_notes.untested(together)
    if hashes:
        notes.append(f"where a variant is called {hashes[0]} or the like, {_HASH}")
    beneath = "".join(f"\n{note[0].upper()}{note[1:]}.\n" for note in notes).replace("{}", algorithm)
    return table(_HEAD, lines) + beneath


def _order(found: tuple[list[str], str, Interval]) -> list[object]:
    texts, configuration, _ = found
    return [*map(natural, texts), configuration]


def _score(score: Interval) -> list[str]:
    """Return mean and interval in percent, and the number of runs."""
    spread = f" ± {100 * score.half_width:.1f}" if score.known else ""
    return [f"{100 * score.mean:.1f}{spread}", str(score.n)]


def _method(row: Row) -> list[str]:
    """Return the columns that all methods share: backbone, initial weights, clip, steps."""
    facts = row.facts
    clip = f"{facts['frames']} × {facts['stride']}, {facts['size']} px"
    return [row.backbone, facts["initialisation"], clip, facts["steps"]]


def _variants(rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """Return each row's distinguishing options, and sentences about `{}` on the omitted ones."""
    options = [{key: row.facts[key] for key in row.facts if key.startswith("options.")} for row in rows]
    different = [dict(facts) for facts in dict.fromkeys(tuple(facts.items()) for facts in options)]
    texts, sentences = variants(different)
    return [texts[different.index(facts)] for facts in options], sentences


def reported(method: str) -> str:
    """Return a table of the results that papers report for a method; "" if there are none."""
    frame = published.read()
    frame = frame[frame["method"] == method]
    rows = []
    keys = ["dataset", "backbone", "initialisation", "modality", "source", "certainty", "note"]
    for (dataset, backbone, start, modality, source, certainty, note), group in frame.groupby(
        keys, sort=False
    ):
        numbers = ", ".join(
            f"{value:g}{'' if pd.isna(deviation) else f' ± {deviation:g}'} ({protocol})"
            for value, deviation, protocol in zip(
                group["value"], group["deviation"], group["protocol"], strict=True
            )
        )
        rows.append([dataset, backbone, start, modality, numbers, f"{source} ({certainty})", note])
    head = ["dataset", "backbone", "initial weights", "input", "top-1 % (labeled)", "source", "note"]
    where = [f"- {name}: {linked(published.SOURCES[name])}" for name in sorted(set(frame["source"]))]
    return f"{table(head, rows)}\n{chr(10).join(where)}" if rows else ""
