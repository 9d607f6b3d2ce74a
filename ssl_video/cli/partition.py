"""`ssl-video data partition`: make, show and compare partitions. Never imports torch."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

import ssl_video as sv
from ssl_video.cli import options
from ssl_video.cli.show import plainly
from ssl_video.cli.text import Table, printable

_INDEX = ("root", "split", "unlabeled", "labels", "segment", "keep_classes")
_DRAW = ("draw", "labeled_in_unlabeled", "validation", "lists")
_SHOWN = 10


def _keys(*names: str) -> Callable[[Any], Any]:
    """Return a decorator that adds flags for these keys of a specification."""
    return options.spec_options(*(name for name in sv.Spec.model_fields if name not in names))


@click.group()
def command() -> None:
    """Decide which training clips are labeled: make, show and compare partitions."""


@command.command()
@click.argument("data")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="file to write")
@_keys("protocol", *_INDEX, *_DRAW)
def make(data: str, output: Path, **flags: Any) -> None:
    """Draw the labeled clips of DATA and write them to a file.

    The file is itself a protocol: use it as --protocol FILE, and publish it with your results.

    \b
      ssl-video data partition make ucf101.arrow --protocol percent:10 --draw 0 -o ten-percent.txt
    """
    made = sv.data.make_partition(data, output, **options.given(flags), progress=sv.ConsoleObserver())
    console = Console()
    _show(made, console)
    plainly(console, f"wrote {output}")


@command.command()
@click.argument("what", metavar="FILE|DATA")
@_keys("protocol", *_INDEX, *_DRAW)
def show(what: str, **flags: Any) -> None:
    """Show the contents of a FILE (a partition or a list), or the partition of DATA by a protocol.

    \b
    ssl-video data partition show train_10_percent.lst
    ssl-video data partition show ucf101.arrow --protocol train_10_percent.lst
    """
    given, console = options.given(flags), Console()
    if "protocol" in given:
        _show(sv.data.make_partition(what, **given, progress=sv.ConsoleObserver()), console)
        return
    if given.keys() - {"lists"}:
        raise sv.InputError(
            f"{what} is shown as it is: leave out the other flags, or give a data set and --protocol"
        )
    found = sv.data.read_partition(what, **given)
    plainly(console, what)
    for name, value in found.facts.items():
        plainly(console, f"{name}: {value}")
    console.print(_parts(found.parts))


@command.command()
@click.argument("first")
@click.argument("second")
@options.spec_option("data", "none, as files need none", metavar="TEXT")
@click.option("--all", "every", is_flag=True, help="show all classes, not only those that differ most")
@_keys(*_INDEX, *_DRAW)
def compare(first: str, second: str, data: str | None, every: bool, **flags: Any) -> None:
    """Compare two files, published protocols, or (with --data) any protocols by their labeled clips.

    \b
    ssl-video data partition compare list_ucf_1/train.csv list_ucf_10/train.csv
    ssl-video data partition compare percent:10 percent:10+groups --data ucf101.arrow
    """
    given, console = options.given(flags), Console()
    found = sv.data.compare_partitions(first, second, data, **given, progress=sv.ConsoleObserver())
    for name, what in (("A", first), ("B", second)):
        plainly(console, f"{name}: {what}")
    console.print(_parts({"A": found.first, "B": found.second}))
    console.print(_overlaps(found.overlap))
    console.print(_by_class(found.overlap, every))


@command.command("list")
@click.argument("name", required=False)
def list_(name: str | None) -> None:
    """List the published protocols, or show everything known about one of them."""
    console = Console()
    if name is not None:
        for key, value in vars(sv.data.find_published(name)).items():
            if value not in (None, ()):
                plainly(console, f"{key}: {' or '.join(value) if key == 'lists' else value}")
        return
    families: dict[tuple[str, str], list[sv.data.PublishedProtocol]] = {}
    for known in sv.data.list_published().values():
        families.setdefault((known.about, known.source), []).append(known)
    for (about, source), members in families.items():
        console.print(f"[bold]{about}[/bold]\n[dim]{source}[/dim]", highlight=False, soft_wrap=True)
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        for known in members:
            least, most = known.per_class or (0, 0)
            spread = f"{least}" if least == most else f"{least} to {most}"
            counts = (f"{known.labeled:,}", f"{spread} per class") if known.labeled else ("", "no list")
            table.add_row(f"  {known.name}", *counts, known.rule)
        console.print(table)
    console.print(
        "\nTo use one: --protocol NAME --lists FOLDER; FOLDER or a folder in it holds the published lists."
    )
    console.print(
        "Details: ssl-video data partition list NAME. The protocol in the last column draws other clips by "
        "the same rule."
    )


def _show(made: "sv.data.DataPartition", console: Console) -> None:
    """Print a partition: the numbers of each part, and notes."""
    drawn = made.partition
    plainly(
        console,
        f"{made.index.name}: {drawn.protocol}, draw {drawn.draw}, fingerprint {drawn.fingerprint}",
    )
    console.print(_parts(made.parts))
    for note in made.notes:
        plainly(console, note)


def _parts(parts: "Mapping[str, sv.data.Clips]") -> Table:
    """Return a table with a row for each set of clips."""
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("")
    for title in ("clips", "classes", "clips per class", "sources per class"):
        table.add_column(title, justify="right")
    for name, clips in parts.items():
        found = clips.summary
        groups = _text(found.groups) if found.groups else "not known"
        by_class = (f"{found.classes:,}", _text(found.per_class), groups) if found.classes else ("none",)
        table.add_row(name, f"{found.clips:,}", *by_class)
    return table


def _text(spread: "sv.data.Spread") -> str:
    if spread.least == spread.most:
        return f"{spread.least}"
    return f"{spread.least} to {spread.most}, mean {spread.mean:.1f}"


def _overlaps(found: "sv.data.ClipComparison") -> Table:
    """Return a table of the clips in both and in only one."""
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("")
    for title in ("in both", "only A", "only B", "of A", "of B"):
        table.add_column(title, justify="right")
    for name, overlap in (("clips", found.clips), ("source videos", found.groups)):
        if overlap:
            first, second, both = (int(part.sum()) for part in (overlap.first, overlap.second, overlap.both))
            percents = [f"{100 * both / number:.1f} %" for number in (first, second)]
            table.add_row(name, f"{both:,}", f"{first - both:,}", f"{second - both:,}", *percents)
    return table


def _by_class(found: "sv.data.ClipComparison", every: bool) -> Table:
    """Return a table of classes, the one with the most clips in only one of both first."""
    clips, groups = found.clips, found.groups
    apart = clips.first + clips.second - 2 * clips.both
    order = sorted(range(len(found.classes)), key=lambda k: (-int(apart[k]), found.classes[k]))
    shown = order if every else [number for number in order[:_SHOWN] if apart[number]]
    left = "" if len(shown) == len(order) else f" ({len(order) - len(shown)} more: --all)"
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column(f"class{left}")
    for kind in ("clips", "source videos") if groups else ("clips",):
        for side in ("A", "B", "both"):
            table.add_column(f"{kind} {side}" if side == "A" else side, justify="right")
    for number in shown:
        values = [clips.first, clips.second, clips.both]
        values += [groups.first, groups.second, groups.both] if groups else []
        table.add_row(printable(found.classes[number]), *(str(value[number]) for value in values))
    return table
