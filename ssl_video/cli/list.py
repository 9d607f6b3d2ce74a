"""`ssl-video list`: algorithms, backbones, data sets, protocols, suites and recipes, with one line each."""

from collections.abc import Mapping

import click
from rich.console import Console
from rich.text import Text

import ssl_video as sv
from ssl_video.cli import reference
from ssl_video.cli.text import Table

_KINDS = ("algorithms", "backbones", "datasets", "protocols", "suites", "recipes")
_UNCUT = 10_000


@click.command("list")
@click.argument("kind", metavar="[KIND|FILE.py]", required=False)
def command(kind: str | None) -> None:
    """List algorithms, backbones, data sets, protocols, suites and recipes, with one line each.

    KIND is algorithms, backbones, datasets, protocols, suites or recipes. Algorithms and backbones of
    installed packages are included; FILE.py lists those in a file of your own.
    """
    found = {
        "algorithms": sv.list_algorithms,
        "datasets": sv.list_data,
        "protocols": sv.list_protocols,
        "suites": sv.list_suites,
        "recipes": sv.list_recipes,
    }
    console = Console()
    if not console.is_terminal:
        console.width = _UNCUT
    if kind and kind.endswith(".py"):
        for name, entries in sv.list_file(kind).items():
            if entries:
                _show(console, name, entries)
        return
    if kind and kind not in _KINDS:
        raise sv.InputError.unknown("kind", kind, _KINDS)
    for name in [kind] if kind else _KINDS:
        if name == "backbones":
            reference.show(console)
        else:
            _show(console, name, found[name]())


def _show(console: Console, kind: str, entries: Mapping[str, str]) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_row(Text(kind, style="bold"), "")
    for name, text in entries.items():
        # Not as markup, in which square brackets would be lost.
        table.add_row(Text(f"  {name}"), Text(text))
    console.print(table)
