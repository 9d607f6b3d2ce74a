"""Layout of a comparison's cells in a table: methods as rows and labels as columns.

Every cell belongs to one method in one configuration and to one set of labels. A layout moves cells and never
averages them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from ssl_video.benchmarks.tables import mean_gain
from ssl_video.benchmarks.tables.comparison import Cell, Comparison
from ssl_video.benchmarks.tables.formatting import NO_RUN
from ssl_video.benchmarks.tables.published import PublishedNumbers

COST_NOTE = (
    "GFLOPs: 10^9 multiply-adds of the tested network for one test clip and crop; training: multiply-adds of "
    "the whole training, as a multiple of those of {}; gain/cost: gain per such multiple; seconds: of "
    "training and evaluation, which depend on the machine and its load"
)


@dataclass(frozen=True)
class Scores:
    """A column of accuracies.

    Attributes:
        group: heading above it and its neighbours: a data set.
        lines: its own name: a protocol, and marks.
        cells: one per row; None: no run.
    """

    group: str
    lines: tuple[str, ...]
    cells: tuple[Cell | None, ...]

    @property
    def title(self) -> str:
        """Group and lines in one."""
        return ", ".join([f"{self.group} {self.lines[0]}", *self.lines[1:]])


@dataclass(frozen=True)
class Costs:
    """A column of costs of the runs in its `group`: `texts`, one per row."""

    group: str
    name: str
    texts: tuple[str, ...]

    @property
    def title(self) -> str:
        """Group and name in one."""
        return f"{self.group} {self.name}"


@dataclass(frozen=True)
class Gains:
    """A column of mean gains over the columns of its `group`, one per row; None: no gain."""

    group: str
    gains: tuple[mean_gain.MeanGain | None, ...]
    name: str = mean_gain.NAME

    @property
    def title(self) -> str:
        """Group and name in one."""
        return f"{self.group} {self.name}"


@dataclass(frozen=True)
class TableContent:
    """A table before it is rendered in one of its forms.

    Attributes:
        comparison: the source of the cells.
        labels: one per row.
        further: for each row, whether it is a further network of the row above.
        columns: the columns, adjacent within a group.
        notes: caveats for the reader.
        costs: whether costs are shown.
        published: published numbers, shown in a separate block.
    """

    comparison: Comparison
    labels: tuple[str, ...]
    further: tuple[bool, ...]
    columns: tuple[Scores | Gains | Costs, ...]
    notes: tuple[str, ...]
    costs: bool
    published: PublishedNumbers | None = None


def lay_out(comparison: Comparison, *, costs: bool = False, mean_gains: bool = False) -> TableContent:
    """Lay out a comparison: methods as rows, sets of labels as columns.

    Args:
        comparison: the cells.
        costs: whether to also show costs.
        mean_gains: whether to also show mean gains over the columns of each data set, after them.

    Raises:
        InputError: mean gains over several versions of one data set.
    """
    columns = [
        Scores(
            column.dataset,
            (column.protocol, *column.marks),
            tuple(row.cells[place] for row in comparison.rows),
        )
        for place, column in enumerate(comparison.columns)
    ]
    shown, extra = list[Scores | Gains | Costs](), list[str]()
    for group, members in groupby(columns, key=lambda column: column.group):
        own = list(members)
        shown += own
        if mean_gains and len(own) > 1:
            rows = zip(*(column.cells for column in own), strict=True)
            shown.append(Gains(group, mean_gain.over_columns(list(rows), comparison.confidence)))
        if costs:
            shown += _costs(group, own)
    if any(isinstance(column, Gains) for column in shown):
        extra.append(mean_gain.NOTE)
    elif mean_gains:
        extra.append(mean_gain.NONE)
    if costs and columns:
        extra.append(COST_NOTE.format(comparison.baseline))
    labels = tuple(row.label for row in comparison.rows)
    further = tuple(bool(row.network) for row in comparison.rows)
    notes = (*comparison.notes, *extra)
    return TableContent(comparison, labels, further, tuple(shown), notes, costs)


def _costs(group: str, columns: Sequence[Scores]) -> list[Costs]:
    """Return columns of the costs of a group's cells, row by row."""
    rows = [[cell.cost for cell in cells if cell] for cells in zip(*(c.cells for c in columns), strict=True)]
    return [
        Costs(group, name, tuple(_span([getattr(cost, key) for cost in row], write) for row in rows))
        for name, key, write in (
            ("GFLOPs", "gflops", _digits),
            ("training", "multiple", lambda value: f"{_digits(value)}×"),
            ("seconds", "seconds", _digits),
        )
    ]


def _span(values: Sequence[float], write: Callable[[float], str]) -> str:
    """Format values as one number if all are formatted alike, otherwise as smallest and largest."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return NO_RUN
    ends = [write(end) for end in (min(known), max(known))]
    return "–".join(dict.fromkeys(ends))


def _digits(value: float) -> str:
    """Format with three digits: 0.0122, 3.31, 41.2, 3,120."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
