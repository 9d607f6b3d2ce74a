"""`ssl-video evaluate`: a checkpoint on a dataset's test clips."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from ssl_video.cli import options


@click.command()
@options.checkpoint_argument
@click.option("--data", metavar="TEXT", help="dataset; default: the one it was trained on")
@click.option("--root", metavar="TEXT", help="folder that the manifest's paths start from")
@click.option("--split", metavar="TEXT", help="manifest column that says train or test")
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
    """Test a run's folder or checkpoint file on a dataset's test clips."""
    from ssl_video.cli.display import preparing
    from ssl_video.data.dataset import load, read_index
    from ssl_video.engine import trained
    from ssl_video.engine.assemble import choose_device

    model = trained.load(checkpoint, choose_device(device))
    changes = {"data": data, "root": root if data else root or model.spec.root, "split": split}
    spec = model.spec.model_copy(update={key: value for key, value in changes.items() if value is not None})
    if data and not root:
        spec = spec.model_copy(update={"root": None})
    with preparing(Console(stderr=True)) as progress:
        index = read_index(spec, progress, skip_broken=skip_broken)
        trained.check_classes(model, index)
        opened = load(spec, index, skip_broken=skip_broken, cache_gib=cache_gib, progress=progress)
    scores = trained.evaluate(model, opened)
    if as_json:
        print(json.dumps({"dataset": opened.index.name, "predictors": scores}, indent=1))
        return
    tested = len(opened.index.rows("test"))
    table = Table(title=f"{opened.index.name}: {tested} test clips", title_justify="left")
    table.add_column("predictor")
    for name in ("top-1 %", "top-5 %", "mean class %"):
        table.add_column(name, justify="right")
    for name, score in scores.items():
        table.add_row(name, *(f"{100 * score[key]:.1f}" for key in ("top1", "top5", "mean_class")))
    Console().print(table)
