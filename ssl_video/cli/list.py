"""`ssl-video list`: what there is, with one line each."""

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ssl_video.benchmarks.running import suite
from ssl_video.cli import reference
from ssl_video.data.partitions import protocols
from ssl_video.errors import InputError, unknown
from ssl_video.registry import algorithms, backbones

_DATASETS = {
    "demo": "800 clips of moving shapes in ten classes, rendered at first use",
    "FOLDER": "a folder of class folders; with train/ and test/ folders above them, if there are any",
    "MANIFEST.csv": "columns path,label and, where known, group and split (train or test)",
    "NAME.arrow": "what ssl-video index makes of folders, manifests and published lists",
}
_KINDS = ("algorithms", "backbones", "datasets", "protocols", "suites")
_UNCUT = 10_000


@click.command("list")
@click.argument("kind", metavar="[KIND|FILE.py]", required=False)
def command(kind: str | None) -> None:
    """List algorithms, backbones, datasets, protocols and suites, with one line each.

    KIND is one of these words. Algorithms and backbones of installed packages are among them; those in a
    file of your own are listed by its name.
    """
    found = {
        "algorithms": algorithms.describe,
        "datasets": lambda: _DATASETS,
        "protocols": protocols.describe,
        "suites": suite.describe,
    }
    console = Console()
    if not console.is_terminal:
        console.width = _UNCUT
    if kind and kind.endswith(".py"):
        inside = {"algorithms": algorithms.in_file(kind), "backbones": backbones.in_file(kind)}
        for name, entries in inside.items():
            if entries:
                _show(console, name, entries)
        return
    if kind and kind not in _KINDS:
        raise InputError(unknown("kind", kind, _KINDS))
    for name in [kind] if kind else _KINDS:
        if name == "backbones":
            reference.show(console)
        else:
            _show(console, name, found[name]())


def _show(console: Console, kind: str, entries: dict[str, str]) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_row(f"[bold]{kind}[/bold]", "")
    for name, text in entries.items():
        # Not as markup, in which square brackets would be lost.
        table.add_row(Text(f"  {name}"), Text(text))
    console.print(table)
