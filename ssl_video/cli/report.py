"""`ssl-video report`: the page of a results folder."""

from pathlib import Path

import click

import ssl_video as sv
from ssl_video.cli import options


@click.command()
@click.argument("place", metavar="[RESULTS]", type=click.Path(path_type=Path), required=False)
@options.results_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default="report", show_default=True,
    help="folder of the page, created if needed",
)  # fmt: skip
@options.runs_options
@click.option(
    "--figures", type=click.Path(path_type=Path), metavar="FOLDER",
    help="also write the charts as .svg and .pdf files, for papers, into this folder",
)  # fmt: skip
@click.option("--no-gallery", is_flag=True, help="leave out the clips, which are most of the page's size")
def command(
    place: Path | None,
    results: Path,
    output: Path,
    algorithm: tuple[str, ...],
    dataset: tuple[str, ...],
    protocol: tuple[str, ...],
    where: tuple[str, ...],
    baseline: str,
    figures: Path | None,
    no_gallery: bool,
) -> None:
    """Write one HTML page of all finished runs of a results folder.

    It opens in a browser, offline, and can be printed. It is made from the runs' records; its clips come
    from the data sets that are available. RESULTS is the same as --results RESULTS.
    """
    runs = sv.read_results(place or results)
    shown = options.selected(runs, baseline, algorithm, dataset, protocol, where) if len(runs) else runs
    target = sv.write_report(
        shown, output, baseline=shown.configuration(baseline), gallery=not no_gallery,
        figures=figures, progress=sv.ConsoleObserver(),
    )  # fmt: skip
    size = target.stat().st_size / 1e6
    click.echo(f"{target} ({size:.1f} MB, runs: {len(shown)}): open it in a browser")
    if figures:
        click.echo(f"{figures / 'index.csv'}: the list of its charts, which are files beside it")
