"""`ssl-video list`: what there is, with one line each."""

import click
from rich.console import Console
from rich.table import Table

from ssl_video.benchmarks import suite
from ssl_video.data.partitions import protocols
from ssl_video.registry import algorithms, backbones

_DATASETS = {
    "demo": "800 clips of moving shapes in ten classes, rendered at first use",
    "FOLDER": "a folder of class folders; with train/ and test/ folders above them, if there are any",
    "MANIFEST.csv": "columns path,label and, where known, group and split (train or test)",
    "NAME.arrow": "what ssl-video index makes of folders, manifests and published lists",
}
_KINDS = ("algorithms", "backbones", "datasets", "protocols", "suites")


@click.command("list")
@click.argument("kind", type=click.Choice(_KINDS), required=False)
def command(kind: str | None) -> None:
    """List algorithms, backbones, datasets, protocols and suites, with one line each."""
    found = {
        "algorithms": algorithms.describe,
        "backbones": backbones.describe,
        "datasets": lambda: _DATASETS,
        "protocols": protocols.describe,
        "suites": lambda: dict.fromkeys(suite.names(), "ssl-video bench --suite NAME"),
    }
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    for name in [kind] if kind else _KINDS:
        table.add_row(f"[bold]{name}[/bold]", "")
        for entry, text in found[name]().items():
            table.add_row(f"  {entry}", text)
    Console().print(table)
