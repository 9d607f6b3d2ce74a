"""Runs of one method on one protocol, which sections about single runs show together."""

from collections.abc import Callable
from itertools import groupby
from typing import NamedTuple

from ssl_video.benchmarks.report.data import ReportData
from ssl_video.benchmarks.tables.comparison import COLUMN_KEYS, METHOD_KEYS
from ssl_video.figures.drawing import escape

MOST = 48


class Group(NamedTuple):
    """Runs that differ only in their seed and draw of labels.

    Attributes:
        method: its name in the leaderboard.
        labels: its data set and protocol.
        runs: their names, ordered by draw and seed.
    """

    method: str
    labels: str
    runs: tuple[str, ...]


def groups(report: ReportData) -> list[Group]:
    """Return all groups, protocol by protocol, in the leaderboard's order; only first runs of repetitions."""
    columns, rows = report.comparison.columns, report.comparison.rows
    titles: dict[tuple[str, ...], str] = {}
    for column in columns:
        # Columns that differ only in their labels are one here: classes and clips are the same.
        marks = [mark for mark in column.marks if not mark.startswith("labels ")]
        title = ", ".join([f"{column.dataset} {column.protocol}", *marks])
        titles.setdefault(tuple(getattr(column, key) for key in COLUMN_KEYS), title)
    column_places = {key: place for place, key in enumerate(titles)}
    row_places = {row.label: place for place, row in enumerate(rows)}
    kept = report.frame.sort_values(["finished", "run"]).drop_duplicates(
        [*METHOD_KEYS, *COLUMN_KEYS, "fingerprint", "seed"]
    )
    kept = kept.sort_values(["draw", "seed", "run"])
    found: dict[tuple[int, int], list[str]] = {}
    keys = kept[COLUMN_KEYS].itertuples(index=False, name=None)
    for run, key in zip(kept["run"], keys, strict=True):
        found.setdefault((column_places[key], row_places[report.labels[run]]), []).append(run)
    names = list(titles.values())
    return [Group(rows[row].label, names[column], tuple(found[column, row])) for column, row in sorted(found)]


def render_groups(
    report: ReportData, draw: Callable[[Group], str], grid: bool = True, most: int = MOST
) -> str:
    """Draw every group, in one collapsible part per protocol; "" if nothing is drawn.

    Args:
        report: the data of the report.
        draw: function that returns HTML for a group; "" if it has no data.
        grid: put the drawings side by side.
        most: maximum number of groups drawn, so that the page stays small enough to open.
    """
    parts, shown, left = list[str](), 0, 0
    for labels, members in groupby(groups(report), key=lambda group: group.labels):
        under = []
        for group in members:
            left += shown >= most
            html = draw(group) if shown < most else ""
            shown += bool(html)
            under.append(html)
        if any(under):
            opened, kind = "" if parts else " open", "charts" if grid else "stack"
            inside = f"<div class='{kind}'>{''.join(under)}</div>"
            parts.append(f"<details{opened}><summary><h3>{escape(labels)}</h3></summary>{inside}</details>")
    if left and parts:
        parts.append(
            f"<p class='soft'>Not shown: {left} more, each a method on a protocol. Select runs to see.</p>"
        )
    return "".join(parts)
