"""`ssl-video leaderboard`: tables from the records of finished runs. Never imports torch."""

from pathlib import Path

import click
from rich.console import Console

from ssl_video.benchmarks import exports, leaderboard, tables
from ssl_video.benchmarks.compare import comparison
from ssl_video.cli import options


@click.command()
@options.results_option
@click.option(
    "--algo", "--algorithm", "algorithm", multiple=True, metavar="NAMES", help="only these algorithms"
)
@click.option("--dataset", multiple=True, metavar="NAMES", help="only these datasets")
@click.option("--protocol", multiple=True, metavar="NAMES", help="only these protocols")
@click.option(
    "--baseline", default="supervised", show_default=True, help="algorithm that gains are counted from"
)
@click.option("--predictors", is_flag=True, help="also show networks that are not the headline one")
@click.option(
    "--format",
    "form",
    type=click.Choice(["terminal", *exports.FORMS]),
    default="terminal",
    show_default=True,
)
def command(
    results: Path,
    algorithm: tuple[str, ...],
    dataset: tuple[str, ...],
    protocol: tuple[str, ...],
    baseline: str,
    predictors: bool,
    form: str,
) -> None:
    """Compare all finished runs of a results folder, and rewrite its leaderboard.csv (one row per run)."""
    path = leaderboard.write(results)
    frame, problems = leaderboard.read(results)
    for problem in problems:
        click.echo(f"warning: {problem}", err=True)
    shown = leaderboard.select(
        frame,
        options.split_list(algorithm),
        options.split_list(dataset),
        options.split_list(protocol),
        keep=[baseline],
    )
    compared = comparison(shown, baseline, predictors=predictors)
    if form in exports.FORMS:
        click.echo(exports.FORMS[form](compared), nl=False)
    else:
        console = Console()
        console.print(tables.to_terminal(compared, console.width))
        console.print(f"leaderboard: {path}", markup=False, soft_wrap=True)
