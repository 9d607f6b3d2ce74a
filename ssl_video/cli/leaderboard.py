"""`ssl-video leaderboard`: tables from the records of finished runs. Never imports torch."""

from dataclasses import replace
from pathlib import Path

import click
import pandas as pd
from rich.console import Console

from ssl_video.benchmarks.tables import exports, filters, layout, leaderboard, published
from ssl_video.benchmarks.tables.compare import comparison
from ssl_video.benchmarks.tables.pivot import pivot
from ssl_video.benchmarks.tables.terminal import to_terminal
from ssl_video.cli import options
from ssl_video.errors import InputError


@click.command()
@options.results_option
@options.runs_options
@click.option("--rows", multiple=True, metavar="KEYS", help="what makes the rows  [algorithm]")
@click.option("--columns", multiple=True, metavar="KEYS", help="what makes the columns  [dataset,protocol]")
@click.option("--mean-gain", "mean_gains", is_flag=True, help="also show mean gains over the columns")
@click.option("--cost", is_flag=True, help="also show operations, training cost and seconds")
@click.option("--published", "beside", is_flag=True, help="also show the literature's numbers, by themselves")
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
    where: tuple[str, ...],
    baseline: str,
    rows: tuple[str, ...],
    columns: tuple[str, ...],
    mean_gains: bool,
    cost: bool,
    beside: bool,
    predictors: bool,
    form: str,
) -> None:
    """Compare all finished runs of a results folder, and rewrite its leaderboard.csv (one row per run)."""
    if mean_gains and form == "csv":
        raise InputError("--format csv has one record a cell and no mean gains: --format json has them")
    conditions = options.conditions(algorithm, dataset, protocol, where)
    methods, datasets = options.split_list(algorithm), options.split_list(dataset)
    frame, problems = pd.DataFrame(columns=list(leaderboard.COLUMNS)), list[str]()
    if results.is_dir() or not beside:
        frame, problems = leaderboard.write(results)
    for problem in problems:
        click.echo(f"warning: {problem}", err=True)
    none = frame[frame["dataset"].isin(datasets)].empty if datasets else frame.empty
    if beside and none:
        grid = replace(layout.plain(comparison(frame[:0])), published=published.alone(datasets, methods))
    else:
        compared = comparison(
            filters.select(frame, conditions, keep=baseline), baseline, predictors=predictors
        )
        grid = layout.plain(compared, costs=cost, mean_gains=mean_gains)
        if rows or columns:
            keys = options.split_list(rows), options.split_list(columns)
            grid = pivot(compared, *keys, costs=cost, mean_gains=mean_gains)
        if beside:
            grid = replace(grid, published=published.beside(compared.columns, methods))
    if form in exports.FORMS:
        click.echo(exports.FORMS[form](grid), nl=False)
    else:
        console = Console()
        console.print(to_terminal(grid, console.width))
        if results.is_dir():
            console.print(f"leaderboard: {results / leaderboard.FILE}", markup=False, soft_wrap=True)
