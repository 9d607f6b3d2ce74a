"""Runs of one method on one protocol, which the sections on single runs put together."""

from collections.abc import Callable
from itertools import groupby
from typing import NamedTuple

from ssl_video.benchmarks.report.drawing import escape
from ssl_video.benchmarks.report.material import Material
from ssl_video.benchmarks.tables.cells import COLUMN_KEYS, METHOD_KEYS

MOST = 48


class Group(NamedTuple):
    """Runs that differ in their seed and draw of labels alone.

    Attributes:
        method: the leaderboard's name of it.
        labels: its data set and protocol.
        runs: their names, by draw and seed.
    """

    method: str
    labels: str
    runs: tuple[str, ...]


def groups(material: Material) -> list[Group]:
    """All groups, protocol by protocol, in the leaderboard's order; of repetitions the first counts."""
    columns, rows = material.comparison.columns, material.comparison.rows
    titles: dict[tuple[str, ...], str] = {}
    for column in columns:
        # Columns that differ in their labels alone are one here: classes and clips are the same.
        marks = [mark for mark in column.marks if not mark.startswith("labels ")]
        title = ", ".join([f"{column.dataset} {column.protocol}", *marks])
        titles.setdefault(tuple(getattr(column, key) for key in COLUMN_KEYS), title)
    column_places = {key: place for place, key in enumerate(titles)}
    row_places = {row.label: place for place, row in enumerate(rows)}
    kept = material.frame.sort_values(["finished", "run"]).drop_duplicates(
        [*METHOD_KEYS, *COLUMN_KEYS, "fingerprint", "seed"]
    )
    kept = kept.sort_values(["draw", "seed", "run"])
    found: dict[tuple[int, int], list[str]] = {}
    keys = kept[COLUMN_KEYS].itertuples(index=False, name=None)
    for run, key in zip(kept["run"], keys, strict=True):
        found.setdefault((column_places[key], row_places[material.labels[run]]), []).append(run)
    names = list(titles.values())
    return [Group(rows[row].label, names[column], tuple(found[column, row])) for column, row in sorted(found)]


def drawn(material: Material, draw: Callable[[Group], str], grid: bool = True, most: int = MOST) -> str:
    """What is drawn of every group, in parts that open, one a protocol; "" where nothing is.

    Args:
        material: what the report is about.
        draw: HTML for a group; "" where it has no material.
        grid: whether what is drawn stands side by side.
        most: number of groups after which no more are drawn, so that the page stays of a size to open.
    """
    parts, shown, left = list[str](), 0, 0
    for labels, members in groupby(groups(material), key=lambda group: group.labels):
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
            f"<p class='soft'>{left} more methods and protocols are not shown: choose among them.</p>"
        )
    return "".join(parts)
