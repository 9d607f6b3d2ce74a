"""`ssl-video analyze audit`: the quality of the pseudo-labels of finished runs."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich import box
from rich.console import Console

import ssl_video as sv
from ssl_video.cli import options
from ssl_video.cli.show import output, plainly
from ssl_video.cli.text import Table, printable

_STATES = ("right", "wrong", "not used")
_LEGEND = (
    "coverage: fraction of the labels that are used; precision: fraction of the used labels that are right;\n"
    "misled: fraction of all labels that are used and wrong;\n"
    "recall: fraction of the used labels of a class's clips that are right;\n"
    "of labels: fraction of the used labels that name the class; of clips: fraction of the clips of it;\n"
    "imbalance: fraction of the used labels that would have to change class to make both equal"
)


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option(
    "--windows", type=click.IntRange(1), default=10, show_default=True, help="number of rows over time"
)
@options.clips_option
@options.json_option
def command(runs: tuple[Path, ...], windows: int, clips: int, as_json: bool) -> int:
    """Show the quality of the pseudo-labels of finished runs: over time, by class, between networks.

    RUNs are the folders of runs. Runs that differ only in seed and draw are pooled. The tables by class and
    of two networks cover the last window. The clips that are mislabeled most often are listed.
    """
    found = sv.analysis.audit(runs, windows=windows)
    if as_json:
        print(json.dumps({made.title: made.to_dict(clips) for made in found}, indent=1))
    else:
        _show(found, clips)
    if found.without:
        # With RUNS/* these include the runs of supervised, which is not an error.
        one = len(found.without) == 1
        what = "1 run stores" if one else f"{len(found.without)} runs store"
        print(
            f"{what} no pseudo-labels that can be checked and {'is' if one else 'are'} left out",
            file=sys.stderr,
        )
    for problem in found.problems:
        plainly(Console(stderr=True), f"error: {problem}")
    return 1 if found.problems else 0


def _show(found: "sv.analysis.Audits", clips: int) -> None:
    console = output()
    for made in found:
        if made.left_out:
            plainly(console, f"{made.title}: unlabeled clips without a class, left out: {made.left_out:,}")
        for network in made.networks:
            console.print(printable(f"{made.title}: labels by {network}"), style="bold")
            for table in (
                _over_time(made.over_time[network]),
                _by_class(made.classes, made.by_class[network]),
                _mistakes(made.mistakes(network, clips)),
            ):
                if table.row_count:
                    console.print(table)
                    console.print()
        for both in made.agreements:
            console.print(_agreement(both))
            console.print(_used_or_not(both), style="dim", markup=False, highlight=False)
            console.print()
    console.print(_LEGEND, style="dim", highlight=False)


def _table(*names: str, right: int) -> Table:
    """Return a plain table whose last `right` columns are numbers."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    for place, name in enumerate(names):
        numbers = place >= len(names) - right
        table.add_column(name, justify="right" if numbers else "left", overflow="fold", no_wrap=numbers)
    return table


def _percent(value: float) -> str:
    return "–" if value != value else f"{100 * value:.1f}"


def _over_time(found: "sv.analysis.OverTime") -> Table:
    table = _table("from step", "labels", "coverage %", "precision %", "misled %", "imbalance %", right=6)
    for start, seen, *fractions in zip(*vars(found).values(), strict=True):
        table.add_row(str(start), str(int(seen)), *map(_percent, fractions))
    return table


def _by_class(classes: Sequence[str], found: "sv.analysis.ByClass") -> Table:
    """Return the table of the last window, the class with the lowest precision first."""
    names = ("labels", "coverage %", "recall %", "precision %", "of labels %", "of clips %")
    table = _table(f"class, from step {found.starts[-1]}", *names, right=6)
    for number in found.precision[-1].argsort(kind="stable").tolist():
        _, seen, *fractions = (
            values[-1] if values.ndim == 1 else values[-1, number] for values in vars(found).values()
        )
        table.add_row(printable(classes[number]), str(seen), *map(_percent, fractions))
    return table


def _mistakes(found: "Sequence[sv.analysis.Mistake]") -> Table:
    table = _table("wrong most often", "class", "labeled", "wrong", "labels", right=2)
    for clip, truth, label, wrong, seen in found:
        table.add_row(printable(clip), printable(truth), printable(label), str(wrong), str(seen))
    return table


def _agreement(found: "sv.analysis.Agreement") -> Table:
    """Return the table of both networks' labels in the last window, in percent of all clips seen."""
    counts, same = found.counts[-1], found.same_wrong[-1]
    total = counts.sum()
    heads = [f"{found.other} {state}" for state in _STATES]
    table = _table(f"clips %, from step {found.starts[-1]}", *heads, right=3)
    for one, state in enumerate(_STATES):
        cells = [_percent(count / total) if total else "–" for count in counts[one]]
        if one == _STATES.index("wrong") and total:
            cells[_STATES.index("wrong")] += f" (same label: {_percent(same / total)})"
        table.add_row(printable(f"{found.one} {state}"), *cells)
    return table


def _used_or_not(found: "sv.analysis.Agreement") -> str:
    """Return, for the last window, the fractions of clips that each of two networks labels right."""
    (neither, other), (one, both) = (found.right[-1] / max(found.right[-1].sum(), 1)).tolist()
    return (
        f"labels used or not: both right {_percent(both)} %, {found.one} alone {_percent(one)}, "
        f"{found.other} alone {_percent(other)}, neither {_percent(neither)}"
    )
