"""`ssl-video report`: the page of a results folder."""

from pathlib import Path

import click
from rich.console import Console

from ssl_video.cli import options
from ssl_video.cli.display import preparing
from ssl_video.errors import InputError


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
    from ssl_video.benchmarks.report import page
    from ssl_video.benchmarks.report.material import Material
    from ssl_video.benchmarks.tables import filters, leaderboard

    results = place or results
    with preparing(Console(stderr=True)) as progress:
        frame, problems = leaderboard.read(results)
        for problem in problems:
            click.echo(f"warning: {problem}", err=True)
        if frame.empty:
            raise InputError(f"there is no finished run in {results}; `ssl-video bench` makes some")
        shown = filters.select(frame, options.conditions(algorithm, dataset, protocol, where), keep=baseline)
        page.make_folder(output)
        material = Material(results, shown, problems, baseline, gallery=not no_gallery)
        made = page.page(material, lambda done, total: progress("sections", done, total))
        for sentence in material.damaged:
            click.echo(f"warning: {sentence}", err=True)
        target = page.write(output, made)
    click.echo(f"{target} ({target.stat().st_size / 1e6:.1f} MB): {len(shown)} runs; open it in a browser")
