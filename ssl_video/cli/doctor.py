"""`ssl-video data doctor`: decode every file of a data set, and quarantine those that cannot be used."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

import ssl_video as sv
from ssl_video.cli import options
from ssl_video.cli.progress import FilesPerSecond
from ssl_video.cli.show import plainly
from ssl_video.cli.text import Table, printable

_SHOWN = 10


@click.command()
@click.argument("data")
@options.spec_option("root", metavar="TEXT")
@options.spec_option("split", "split", metavar="TEXT")
@click.option("--decoders", type=click.IntRange(1), help="videos decoded at a time  [one per core]")
@click.option(
    "--timeout",
    type=click.FloatRange(1),
    default=120.0,
    show_default=True,
    help="time limit per file, in seconds",
)
@options.again_option
@click.option("--all-classes", is_flag=True, help="show every class, not only those that lose most")
@click.option(
    "--report", type=click.Path(path_type=Path), metavar="FILE",
    help="file to write all findings to, .csv or .json",
)  # fmt: skip
def command(
    data: str,
    root: str | None,
    split: str | None,
    decoders: int | None,
    timeout: float,
    again: bool,
    all_classes: bool,
    report: Path | None,
) -> int:
    """Decode every file of DATA once, and quarantine those that cannot be used.

    DATA is given as for bench --data. The quarantine list lies beside it, and all runs leave out its clips.
    Findings are stored: a second call decodes only the files that have changed.
    """
    found = sv.data.doctor(
        data,
        root,
        split,
        decoders=decoders,
        timeout=timeout,
        again=again,
        report=report,
        progress=FilesPerSecond(),
    )
    number, console = len(found.facts), Console()
    plainly(
        console,
        f"{found.index.name}: {found.looked:,} of {number:,} files decoded in {found.seconds:.1f} s "
        f"({found.looked / found.seconds:.1f} per second)"
        + (", the others are unchanged since last time" if found.looked < number else ""),
    )
    _videos(console, found)
    for text, names in found.remarks.items():
        more = ", ..." if len(names) > 3 else ""
        plainly(console, f"{text}: {len(names):,} ({', '.join(names[:3])}{more})")
    _classes(console, found.classes, all_classes)
    if report:
        plainly(console, f"wrote {report}")
    reasons = found.reasons
    if not reasons:
        plainly(console, "all files are usable")
        return 0
    for name, reason in list(reasons.items())[:_SHOWN]:
        plainly(console, f"  {name}: {reason}")
    if len(reasons) > _SHOWN:
        plainly(console, f"  and {len(reasons) - _SHOWN:,} more")
    plainly(
        console,
        f"quarantined: {len(reasons):,} of {number:,} clips, which all runs leave out; "
        f"the list: {found.quarantine}",
    )
    return 1


def _videos(console: Console, found: "sv.data.Diagnosis") -> None:
    """Print a line for each property of the usable files: its values by how often they occur."""
    usable = found.usable
    if not usable:
        return
    table = Table.grid(padding=(0, 2))
    for title, values in {
        "codec": [f"{facts.codec} in {facts.container.split(',')[0]}" for facts in usable],
        "size": [f"{facts.width}x{facts.height}" for facts in usable],
        "frames/s": [f"{facts.rate:.4g}" if facts.rate else "unknown" for facts in usable],
    }.items():
        common = Counter(values).most_common()
        shown = ", ".join(f"{value} ({count:,})" for value, count in common[:5])
        table.add_row(title, shown + (f" and {len(common) - 5} others" if len(common) > 5 else ""))
    frames, seconds = [float(facts.frames) for facts in usable], [facts.seconds for facts in usable]
    for title, numbers in (("frames", frames), ("seconds", seconds)):
        ordered = sorted(numbers)
        low, middle, high = (f"{ordered[place]:,.4g}" for place in (0, len(ordered) // 2, -1))
        table.add_row(title, f"{low} to {high}, median {middle}")
    console.print(table, highlight=False)


def _classes(console: Console, classes: "Sequence[sv.data.ClassLoss]", every: bool) -> None:
    """Print clips and quarantined clips of the classes that lost most, or of all."""
    chosen = classes if every else [found for found in classes if found.quarantined][:_SHOWN]
    if not chosen:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    for title in ("clips", "quarantined", "%"):
        table.add_column(title, justify="right")
    for label, clips, quarantined in chosen:
        table.add_row(printable(label), f"{clips:,}", f"{quarantined:,}", f"{100 * quarantined / clips:.1f}")
    console.print(table, highlight=False)
