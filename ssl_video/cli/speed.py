"""`ssl-video speed`: what a training step costs, and where its time goes."""

import tempfile
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from ssl_video.cli import options


@click.command()
@click.option("--algo", "--algorithm", "algorithm", default="cmpl", show_default=True, metavar="NAME")
@click.option(
    "--repeat", type=click.IntRange(1), default=20, show_default=True, help="number of measured steps"
)
@options.spec_options("algorithm", "steps")
@options.set_option
@options.execution_options
def command(algorithm: str, repeat: int, assignments: tuple[str, ...], **flags: Any) -> None:
    """Measure a training step: data, the networks' own passes (run again alone), and everything else."""
    from ssl_video.benchmarks import prepare, speed
    from ssl_video.benchmarks.suite import with_demo_settings
    from ssl_video.cli.display import preparing
    from ssl_video.cli.runs import Settings
    from ssl_video.engine.train import Training
    from ssl_video.spec import build, override

    settings = Settings.of(flags, Path(), jobs=1)
    values = with_demo_settings({**options.given(flags), "algorithm": algorithm})
    spec = build(override(values, assignments) | {"steps": repeat + 2})
    with preparing(Console(stderr=True)) as progress:
        (plan,) = prepare.plans(
            [spec],
            settings.device,
            skip_broken=settings.skip_broken,
            cache_gib=settings.cache_gib,
            progress=progress,
        )
    with tempfile.TemporaryDirectory() as folder:
        run = Training(plan.spec, plan.data, plan.partition, Path(folder), settings.execution)
        cost = speed.measure(run, repeat)
    table = Table(
        title=f"one step of {algorithm}, median of {repeat}", title_justify="left", show_footer=True
    )
    table.add_column("part", footer="whole step")
    table.add_column("ms", justify="right", footer=f"{1000 * cost.total:.1f}")
    table.add_column("share", justify="right", footer="100.0 %")
    for part in ("data", "networks", "rest"):
        seconds = getattr(cost, part)
        table.add_row(part, f"{1000 * seconds:.1f}", f"{100 * seconds / cost.total:.1f} %")
    console = Console()
    console.print(table)
    console.print(
        f"{cost.clips / cost.total:.0f} clips/s; {100 * cost.overhead:.1f} % of the step is not "
        f"the networks' own passes ({settings.execution.threads} threads on {settings.device})",
        highlight=False,
    )
