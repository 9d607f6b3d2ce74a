"""`ssl-video audit`: what the pseudo-labels of finished runs were worth."""

import json
import sys
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ssl_video.benchmarks.analysis import audit, finished
from ssl_video.cli.display import output
from ssl_video.errors import InputError

if TYPE_CHECKING:
    from ssl_video.engine.pseudo_labels import PseudoLabels

_STATES = ("right", "wrong", "not used")
_LEGEND = (
    "coverage: share of the labels that is used; precision: share of the used ones that is right;\n"
    "misled: share of all that is used and wrong; recall: share of the used ones of a class's clips that is "
    "right;\n"
    "given, share: of the used labels that say a class, of the clips that are of it;\n"
    "imbalance: share of the used labels that would have to be of other classes for the two to be the same"
)


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option("--windows", type=click.IntRange(1), default=10, show_default=True, help="rows over time")
@click.option(
    "--clips", type=click.IntRange(0), default=10, show_default=True,
    help="how many clips to name that were labeled wrong most often",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="print JSON instead of tables")
def command(runs: tuple[Path, ...], windows: int, clips: int, as_json: bool) -> int:
    """What the pseudo-labels of finished runs were worth: over time, by class, against each other.

    RUNs are runs' folders. Runs that differ in seed and draw alone are put together: a share is one of all
    their labels. The tables by class and of two networks are of the last window.
    """
    found, problems, without = dict[Path, "PseudoLabels"](), list[str](), list[Path]()
    read, groups = list[finished.Finished](), list[finished.Finished]()
    for folder in runs:
        try:
            read.append(finished.read(folder))
        except InputError as error:
            problems += error.problems
    if not read:
        raise InputError(*problems)
    from ssl_video.engine import pseudo_labels  # imports torch, which takes seconds

    for run in read:
        try:
            if (run.folder / pseudo_labels.PSEUDO_LABELS).exists():
                found[run.folder] = pseudo_labels.read(run.folder)
                groups.append(run)
            else:
                without.append(run.folder)
        except InputError as error:
            problems += error.problems
    if not found:
        none = "its algorithm gives none, or it is of an older version"
        raise InputError(*problems, *(f"{folder} keeps no pseudo-labels: {none}" for folder in without))
    pools = {
        f"{title}, {len(some)} runs" if len(some) > 1 else title: audit.pooled(
            [found[r.folder] for r in some]
        )
        for title, some in finished.grouped(groups).items()
    }
    if as_json:
        print(json.dumps({title: _plain(made, windows, clips) for title, made in pools.items()}, indent=1))
    else:
        _show(pools, windows, clips)
    if without:
        # With RUNS/* the runs of supervised are among them, and nothing is wrong.
        what = "1 run keeps" if len(without) == 1 else f"{len(without)} runs keep"
        print(f"{what} no pseudo-labels and {'is' if len(without) == 1 else 'are'} left out", file=sys.stderr)
    for problem in problems:
        Console(stderr=True).print(f"error: {problem}", markup=False, highlight=False, soft_wrap=True)
    return 1 if problems else 0


def _show(pools: dict[str, "PseudoLabels"], windows: int, clips: int) -> None:
    console = output()
    for title, made in pools.items():
        over_time, by_class = audit.over_time(made, windows), audit.by_class(made, windows)
        for network in made.labels:
            console.print(f"{title}: labels by {network}", markup=False, highlight=False, style="bold")
            for table in (
                _over_time(over_time[network]),
                _by_class(made.classes.tolist(), by_class[network]),
                _mistakes(audit.mistakes(made, network, clips)),
            ):
                if table.row_count:
                    console.print(table)
                    console.print()
        for one, other in combinations(made.labels, 2):
            both = audit.agreement(made, one, other, windows)
            console.print(_agreement(both))
            console.print(_used_or_not(both), style="dim", markup=False, highlight=False)
            console.print()
    console.print(_LEGEND, style="dim", highlight=False)


def _table(*names: str, right: int) -> Table:
    """A plain table whose last `right` columns are numbers."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    for place, name in enumerate(names):
        numbers = place >= len(names) - right
        table.add_column(name, justify="right" if numbers else "left", overflow="fold", no_wrap=numbers)
    return table


def _percent(value: float) -> str:
    return "–" if value != value else f"{100 * value:.1f}"


def _over_time(found: audit.OverTime) -> Table:
    table = _table("from step", "labels", "coverage %", "precision %", "misled %", "imbalance %", right=6)
    for start, seen, *shares in zip(*vars(found).values(), strict=True):
        table.add_row(str(start), str(int(seen)), *map(_percent, shares))
    return table


def _by_class(classes: Sequence[str], found: audit.ByClass) -> Table:
    """The last window, the class with the least precision first."""
    names = ("labels", "coverage %", "recall %", "precision %", "given %", "share %")
    table = _table(f"class, from step {found.starts[-1]}", *names, right=6)
    for number in np.argsort(found.precision[-1], kind="stable").tolist():
        _, seen, *shares = (
            values[-1] if values.ndim == 1 else values[-1, number] for values in vars(found).values()
        )
        table.add_row(Text(classes[number]), str(seen), *map(_percent, shares))
    return table


def _mistakes(found: Sequence[audit.Mistake]) -> Table:
    table = _table("wrong most often", "class", "labeled", "wrong", "labels", right=2)
    for clip, truth, label, wrong, seen in found:
        table.add_row(Text(clip), Text(truth), Text(label), str(wrong), str(seen))
    return table


def _agreement(found: audit.Agreement) -> Table:
    """The last window: of all clips seen, what became of both networks' labels, in percent."""
    counts, same = found.counts[-1], found.same_wrong[-1]
    total = counts.sum()
    heads = [f"{found.other} {state}" for state in _STATES]
    table = _table(f"clips %, from step {found.starts[-1]}", *heads, right=3)
    for one, state in enumerate(_STATES):
        cells = [_percent(count / total) if total else "–" for count in counts[one]]
        if one == audit.WRONG and total:
            cells[audit.WRONG] += f" (same label: {_percent(same / total)})"
        table.add_row(Text(f"{found.one} {state}"), *cells)
    return table


def _used_or_not(found: audit.Agreement) -> str:
    """In the last window: which of two networks has a clip right, whether its label is used or not."""
    (neither, other), (one, both) = (found.right[-1] / max(found.right[-1].sum(), 1)).tolist()
    return (
        f"labels used or not: both right {_percent(both)} %, {found.one} alone {_percent(one)}, "
        f"{found.other} alone {_percent(other)}, neither {_percent(neither)}"
    )


def _plain(made: "PseudoLabels", windows: int, clips: int) -> dict[str, Any]:
    """Everything that the tables show and more, as plain values; null where there is nothing to divide by."""
    over_time, by_class = audit.over_time(made, windows), audit.by_class(made, windows)
    return {
        "classes": made.classes.tolist(),
        "networks": {
            network: {
                "over_time": _arrays(over_time[network]),
                "by_class": _arrays(by_class[network]),
                "mistakes": [mistake._asdict() for mistake in audit.mistakes(made, network, clips)],
            }
            for network in made.labels
        },
        "agreement": [
            _arrays(audit.agreement(made, one, other, windows)) for one, other in combinations(made.labels, 2)
        ],
    }


def _arrays(found: object) -> dict[str, Any]:
    """A dataclass of arrays as lists of numbers."""
    return {
        name: _list(value) if isinstance(value, np.ndarray) else value for name, value in vars(found).items()
    }


def _list(values: np.ndarray) -> list[Any]:
    plain = values.astype(object)
    if values.dtype.kind == "f":
        plain = values.round(6).astype(object)
        plain[np.isnan(values)] = None
    listed: list[Any] = plain.tolist()
    return listed
