"""`ssl-video analyze compare`: two finished runs side by side. Never imports torch."""

from itertools import islice
from pathlib import Path

import click
from rich import box
from rich.text import Text

import ssl_video as sv
from ssl_video.cli import options
from ssl_video.cli.show import output
from ssl_video.cli.text import Table, printable, written_out

_CHANCE = (
    "a disagreement at least this uneven has probability {:.2g} between equally good networks (McNemar's "
    "test); this concerns these two trained networks, not their methods"
)


@click.command()
@click.argument("a", metavar="RUN_A", type=click.Path(path_type=Path))
@click.argument("b", metavar="RUN_B", type=click.Path(path_type=Path))
@click.option("--predictor-a", metavar="NAME", help="network of A  [the headline]")
@click.option("--predictor-b", metavar="NAME", help="network of B  [the headline]")
@options.clips_option
def command(a: Path, b: Path, predictor_a: str | None, predictor_b: str | None, clips: int) -> None:
    """Show the differences between two finished runs: settings, clips, classes, curves.

    RUN_A and RUN_B are the folders of runs, or runs of an archive: runs.zip/RUN. For one run, --predictor-a
    and --predictor-b compare its networks. Clips that only one of them predicts correctly are listed.
    """
    found = sv.analysis.compare(a, b, predictor_a=predictor_a, predictor_b=predictor_b)
    console = output()
    same = found.a.labels == found.b.labels
    disagree = sum(found.counts()[1:3])
    parts = (
        (_heads(found), ""),
        (_differences(found), f"the same labels ({found.a.labels})" if same else "different labels"),
        (_counts(found), _CHANCE.format(found.chance())),
        (_classes(found), ""),
        (_metrics(found), ""),
        (
            _clips(found, clips),
            f"{min(clips, disagree)} of the {disagree} clips that only one predicts correctly",
        ),
    )
    for table, sentence in parts:
        if table.row_count:
            console.print(table)
        if sentence:
            console.print(sentence, style="dim", markup=False, highlight=False)
        console.print()


def _table(*names: str, right: int = 0) -> Table:
    """Return a plain table whose last `right` columns are numbers."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="", padding=(0, 2, 0, 0))
    for place, name in enumerate(names):
        numbers = place >= len(names) - right
        table.add_column(name, justify="right" if numbers else "left", overflow="fold", no_wrap=numbers)
    return table


def _heads(found: "sv.analysis.Pair") -> Table:
    table = _table("", "run", "network", "top-1 %", right=1)
    for name, side in (("A", found.a), ("B", found.b)):
        table.add_row(name, printable(side.name), printable(side.network), f"{100 * side.right.mean():.1f}")
    return table


def _differences(found: "sv.analysis.Pair") -> Table:
    table = _table("setting", "A", "B")
    for row in found.differences():
        table.add_row(*map(printable, row))
    return table


def _counts(found: "sv.analysis.Pair") -> Table:
    both, only_a, only_b, neither = found.counts()
    table = _table("test clips", "A right", "A wrong", right=2)
    table.add_row("B right", str(both), str(only_b))
    table.add_row("B wrong", str(only_a), str(neither))
    return table


def _classes(found: "sv.analysis.Pair") -> Table:
    table = _table("class", "clips", "A %", "B %", "A - B", right=4)
    for name, clips, a, b in found.classes():
        table.add_row(
            printable(name), str(clips), f"{100 * a:.1f}", f"{100 * b:.1f}", f"{100 * (a - b):+.1f}"
        )
    return table


def _metrics(found: "sv.analysis.Pair") -> Table:
    table = _table("mean over the last tenth of the steps", "A", "B", right=2)
    for name, *values in found.metrics():
        table.add_row(printable(name), *("–" if value != value else f"{value:.4g}" for value in values))
    return table


def _clips(found: "sv.analysis.Pair", most: int) -> Table:
    table = _table("clip", "class", "A's guess", "B's guess")
    for clip, label, *guesses in islice(found.disagreements(), most):
        cells = [
            Text(written_out(f"{name} {confidence:.2f}"), "green" if name == label else "")
            for name, confidence in guesses
        ]
        table.add_row(printable(clip), printable(label), *cells)
    return table
