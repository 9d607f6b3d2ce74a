"""`ssl-video leaderboard`: tables from the results of finished runs."""

from pathlib import Path

import click
from rich.console import Console

import ssl_video as sv
from ssl_video.cli import options
from ssl_video.cli.show import plainly
from ssl_video.cli.text import written_out

_FORMS = ("terminal", "markdown", "latex", "csv", "json")


@click.command()
@click.argument("place", metavar="[RESULTS]", type=click.Path(path_type=Path), required=False)
@options.results_option
@options.runs_options
@click.option("--mean-gain", is_flag=True, help="also show mean gains over the columns")
@click.option("--cost", is_flag=True, help="also show operations, training cost and seconds")
@click.option("--published", is_flag=True, help="also show published numbers, in tables of their own")
@click.option("--predictors", is_flag=True, help="also show networks other than the headline")
@click.option(
    "--archive", type=click.Path(path_type=Path), metavar="FILE",
    help="also write the results, partitions and predictions of these runs as one zip file, which can be "
    "published: leaderboard and report read it as RESULTS, analyze compare reads FILE/RUN",
)  # fmt: skip
@click.option(
    "--format", "form", type=click.Choice(_FORMS), default="terminal", show_default=True,
    help="form of the table",
)  # fmt: skip
def command(
    place: Path | None,
    results: Path,
    algorithm: tuple[str, ...],
    dataset: tuple[str, ...],
    protocol: tuple[str, ...],
    where: tuple[str, ...],
    baseline: str,
    mean_gain: bool,
    cost: bool,
    published: bool,
    predictors: bool,
    archive: Path | None,
    form: str,
) -> None:
    """Compare all finished runs of a results folder, and write its leaderboard.csv (one row per run).

    A published leaderboard.csv, whose runs are not in the folder, is read and left as it is, with the records
    in runs.zip beside it (see --archive). RESULTS is the same as --results RESULTS.
    """
    results = place or results
    if mean_gain and form == "csv":
        raise sv.InputError("--format csv has one record per cell and no mean gains: use --format json")
    names = {"dataset": options.split_list(dataset), "algorithm": options.split_list(algorithm)}
    runs = sv.read_results(results) if results.exists() or not published else None
    if published and not _any(runs, names["dataset"]):
        if archive:
            these = f" on {', '.join(names['dataset'])}" if names["dataset"] else ""
            raise sv.InputError(f"--archive {archive} has nothing to hold: {results} has no runs{these}")
        _print(sv.published_results(**names), form)
        return
    assert runs is not None
    for problem in runs.problems:
        click.echo(f"warning: {written_out(problem)}", err=True)
    shown = options.selected(runs, baseline, algorithm, dataset, protocol, where)
    table = shown.compare(
        baseline,
        predictors=predictors,
        cost=cost,
        mean_gain=mean_gain,
        published=(names["algorithm"] or True) if published else False,
    )
    if not runs.is_published:
        runs.write()
    if archive:
        shown.write_archive(archive)
    _print(table, form)
    if form == "terminal":
        if results.is_dir():
            plainly(Console(), f"leaderboard: {results / 'leaderboard.csv'}")
        if archive:
            size = archive.stat().st_size / 1e6
            plainly(Console(), f"archive: {archive} ({size:.2f} MB, runs: {len(shown)})")


def _any(runs: "sv.Results | None", datasets: list[str]) -> bool:
    """Return whether there are runs on some data sets."""
    if runs is None:
        return False
    return bool(runs.frame["dataset"].isin(datasets).any()) if datasets else len(runs) > 0


def _print(table: "sv.ResultTable", form: str) -> None:
    if form == "terminal":
        Console().print(table)
    else:
        click.echo(getattr(table, f"to_{form}")(), nl=False)
