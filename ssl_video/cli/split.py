"""`ssl-video split`: make, show and compare partitions. Never imports torch."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from ssl_video.cli import options
from ssl_video.errors import InputError, unknown
from ssl_video.spec import Spec, build

if TYPE_CHECKING:
    from ssl_video.data.index import Index
    from ssl_video.data.partitions.partition import Partition
    from ssl_video.data.partitions.summary import Clips, Comparison, Spread

_INDEX = ("root", "split")
_DRAW = ("draw", "labeled_in_unlabeled", "validation", "lists")
_SHOWN = 10


def _keys(*names: str) -> Callable[[Any], Any]:
    """Flags for these keys of a specification."""
    return options.spec_options(*(name for name in Spec.model_fields if name not in names))


@click.group()
def command() -> None:
    """Decide which training clips are labeled: make, show and compare partitions."""


@command.command()
@click.argument("data")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="file to write")
@_keys("protocol", *_INDEX, *_DRAW)
def make(data: str, output: Path, **flags: Any) -> None:
    """Draw the labeled clips of DATA and write them to a file.

    The file is a protocol itself: use it with --protocol FILE, publish it with your results.

    \b
      ssl-video split make ucf101.arrow --protocol percent:10 --draw 0 -o ten-percent.txt
    """
    from ssl_video.data.partitions import partition_file

    index, made = _make(data, options.given(flags))
    partition_file.write(made, index, output)
    console = Console()
    _show(index, made, console)
    console.print(f"written: {output}", markup=False, soft_wrap=True)


@command.command()
@click.argument("what", metavar="FILE|DATA")
@_keys("protocol", *_INDEX, *_DRAW)
def show(what: str, **flags: Any) -> None:
    """Show what a FILE (a partition, a list) holds, or what a protocol makes of DATA.

    \b
    ssl-video split show train_10_percent.lst
    ssl-video split show ucf101.arrow --protocol train_10_percent.lst
    """
    from ssl_video.data.partitions import partition_file
    from ssl_video.data.partitions.summary import of_file

    given, console = options.given(flags), Console()
    if "protocol" in given:
        _show(*_make(what, given), console)
        return
    if given.keys() - {"lists"}:
        raise InputError(f"{what} is shown as it is: with a data set, give --protocol, too")
    path = _file(what, given.get("lists"))
    console.print(what, markup=False, highlight=False, soft_wrap=True)
    for name, value in partition_file.read(path).shown if partition_file.is_one(path) else ():
        console.print(f"{name}: {value}", markup=False, highlight=False, soft_wrap=True)
    console.print(_parts(of_file(path)))


@command.command()
@click.argument("first")
@click.argument("second")
@click.option("--data", help="dataset that both are protocols of; not needed for files")
@click.option("--all", "every", is_flag=True, help="show all classes, not only those that differ most")
@_keys(*_INDEX, *_DRAW)
def compare(first: str, second: str, data: str | None, every: bool, **flags: Any) -> None:
    """Compare two files, published protocols, or (with --data) any protocols by their labeled clips.

    \b
    ssl-video split compare list_ucf_1/train.csv list_ucf_10/train.csv
    ssl-video split compare percent:10 percent:10+groups --data ucf101.arrow
    """
    from ssl_video.data.partitions import summary

    given, console = options.given(flags), Console()
    sides = [("A", first), ("B", second)]
    if data is None:
        if given.keys() - {"lists"}:
            raise InputError("files are compared as they are: to draw, give the data set with --data")
        clips = [summary.of_file(_file(what, given.get("lists")))["labeled"] for _, what in sides]
    else:
        made = [_make(data, {**given, "protocol": what}) for _, what in sides]
        clips = [summary.of_rows(index, part.labeled) for index, part in made]
    for name, what in sides:
        console.print(f"{name}: {what}", markup=False, highlight=False, soft_wrap=True)
    console.print(_parts({"A": clips[0], "B": clips[1]}))
    found = summary.compare(clips[0], clips[1])
    console.print(_overlaps(found))
    console.print(_by_class(found, every))


@command.command("list")
@click.argument("name", required=False)
def list_(name: str | None) -> None:
    """List the published protocols, or all that is known about one of them."""
    from ssl_video.data.partitions import published

    console = Console()
    if name is not None:
        if name not in published.names():
            raise InputError(unknown("published protocol", name, published.names()))
        for key, value in vars(published.load(name)).items():
            if value not in (None, ()):
                text = " or ".join(value) if key == "lists" else str(value)
                console.print(f"{key}: {text}", markup=False, highlight=False, soft_wrap=True)
        return
    families: dict[tuple[str, str], list[published.Published]] = {}
    for known in map(published.load, published.names()):
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
        "\n--protocol NAME --lists FOLDER, where FOLDER or a folder in it holds the published lists"
    )
    console.print("ssl-video split list NAME tells more; the rule draws other clips in the same way")


def _make(data: str, given: dict[str, Any]) -> "tuple[Index, Partition]":
    """A data set's index and its partition."""
    from ssl_video.cli.display import preparing
    from ssl_video.data.dataset import draw, read_index

    spec = build({"data": data, **given})
    with preparing(Console(stderr=True)) as progress:
        index = read_index(spec, progress)
    return index, draw(spec, index)


def _file(what: str, lists: str | None) -> Path:
    """The file that a list's or a published protocol's name means."""
    from ssl_video.data.partitions.protocols import Listed, parse

    rule = parse(what, Path(lists) if lists else None)
    if not isinstance(rule, Listed):
        raise InputError(f"{what} is a rule: to draw clips, give a data set (with --protocol {what})")
    return rule.path


def _show(index: "Index", made: "Partition", console: Console) -> None:
    from ssl_video.data.partitions.summary import of_rows

    title = f"{index.name}: {made.protocol}, draw {made.draw}, fingerprint p{made.fingerprint}"
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    parts = {"training": index.rows("train"), "labeled": made.labeled, "validation": made.validation}
    parts |= {"unlabeled": made.unlabeled, "test": made.test}
    console.print(_parts({name: of_rows(index, rows) for name, rows in parts.items() if len(rows)}))
    for note in (*index.notes, *made.notes):
        console.print(note, markup=False, highlight=False, soft_wrap=True)


def _parts(parts: "dict[str, Clips]") -> Table:
    """A row for each set of clips."""
    from ssl_video.data.partitions.summary import summarize

    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("")
    for title in ("clips", "classes", "clips per class", "sources per class"):
        table.add_column(title, justify="right")
    for name, clips in parts.items():
        found = summarize(clips)
        classes = len(clips.label.names) - len(found.missing)
        groups = _text(found.groups) if found.groups else "not known"
        table.add_row(name, f"{found.clips:,}", f"{classes:,}", _text(found.per_class), groups)
    return table


def _text(spread: "Spread") -> str:
    if spread.least == spread.most:
        return f"{spread.least}"
    return f"{spread.least} to {spread.most}, mean {spread.mean:.1f}"


def _overlaps(found: "Comparison") -> Table:
    """What is in both and in one only."""
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("")
    for title in ("in both", "only A", "only B", "of A", "of B"):
        table.add_column(title, justify="right")
    for name, overlap in (("clips", found.clips), ("source videos", found.groups)):
        if overlap:
            first, second, both = (int(part.sum()) for part in (overlap.first, overlap.second, overlap.both))
            shares = [f"{100 * both / number:.1f} %" for number in (first, second)]
            table.add_row(name, f"{both:,}", f"{first - both:,}", f"{second - both:,}", *shares)
    return table


def _by_class(found: "Comparison", every: bool) -> Table:
    """Classes, those with the most clips in one only first."""
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
        table.add_row(found.classes[number], *(str(value[number]) for value in values))
    return table
