"""`ssl-video evaluate`: test a checkpoint on a data set's test clips."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

import ssl_video as sv
from ssl_video.cli import options


@click.command()
@options.checkpoint_argument
@click.option("--data", metavar="TEXT", help="data set  [the one that the run was trained on]")
@click.option("--root", metavar="TEXT", help="folder that the manifest's paths start from")
@click.option("--split", metavar="TEXT", help="manifest column that holds train or test")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, …")
@click.option("--json", "as_json", is_flag=True, help="print JSON instead of a table")
@options.data_options
def command(
    checkpoint: Path,
    data: str | None,
    root: str | None,
    split: str | None,
    device: str,
    as_json: bool,
    skip_broken: bool,
    cache_gib: float,
) -> None:
    """Test a run's folder or checkpoint file on a data set's test clips."""
    model = sv.load_model(checkpoint, device)
    opened = model.open_data(
        data, root, split, skip_broken=skip_broken, cache_gib=cache_gib, progress=sv.ConsoleObserver()
    )
    for note in (*model.notes, *opened.index.notes):
        click.echo(f"note: {note}", err=True)
    scores, tested = model.evaluate(opened), len(opened.index.rows("test"))
    if as_json:
        print(json.dumps({"dataset": opened.index.name, "test": tested, "predictors": scores}, indent=1))
        return
    table = Table(title=f"{opened.index.name}, test clips: {tested:,}", title_justify="left")
    table.add_column("predictor")
    for name in ("top-1 %", "top-5 %", "mean class %"):
        table.add_column(name, justify="right")
    for name, score in scores.items():
        shares = [score[key] for key in ("top1", "top5", "mean_class")]
        table.add_row(name, *("–" if share is None else f"{100 * share:.1f}" for share in shares))
    Console().print(table)
