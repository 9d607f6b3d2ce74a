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
    help="folder of the page, made if needed",
)  # fmt: skip
@options.runs_options
@click.option("--no-gallery", is_flag=True, help="without clips, which are most of its size")
def command(
    place: Path | None,
    results: Path,
    output: Path,
    algorithm: tuple[str, ...],
    dataset: tuple[str, ...],
    protocol: tuple[str, ...],
    where: tuple[str, ...],
    baseline: str,
    no_gallery: bool,
) -> None:
    """Write one HTML page of all finished runs of a results folder.

    A browser opens it from disk and without a network, and it prints. It is made of the runs' records; the
    clips in it are taken from the data sets that are at hand. RESULTS is the same as --results RESULTS.
    """
    runs = sv.read_results(place or results)
    shown = options.selected(runs, baseline, algorithm, dataset, protocol, where) if len(runs) else runs
    target = sv.write_report(
        shown, output, baseline=shown.configuration(baseline), gallery=not no_gallery,
        progress=sv.ConsoleObserver(),
    )  # fmt: skip
    size = target.stat().st_size / 1e6
    click.echo(f"{target} ({size:.1f} MB): {len(shown)} runs; open it in a browser")
