"""`ssl-video doctor`: check the files of runs and of the caches."""

from pathlib import Path

import click

import ssl_video as sv
from ssl_video.cli import options
from ssl_video.cli.text import written_out


@click.command()
@click.argument("place", metavar="[RESULTS]", type=click.Path(path_type=Path), required=False)
@click.option("--results", type=click.Path(path_type=Path), help=f"results folder  [{options.RESULTS}]")
@click.option(
    "--cache", type=click.Path(path_type=Path), metavar="FOLDER",
    help="folder of the caches of frames and features  [SSL_VIDEO_CACHE, or the user's]",
)  # fmt: skip
def command(place: Path | None, results: Path | None, cache: Path | None) -> int:
    """Check every file of the runs of a results folder, and of the caches of frames and features.

    Each is read and compared with its checksum. Damaged files are named with the consequence: the run is left
    out of tables, resumes from another checkpoint, or the file is rebuilt. Nothing is changed. RESULTS is
    the same as --results RESULTS. Status 1: something is damaged.
    """
    if place is not None and results is not None:
        raise sv.InputError(f"{place} and --results {results}: give one of them")
    chosen = place or results or (None if cache and not Path(options.RESULTS).exists() else options.RESULTS)
    found = sv.check_storage(chosen, cache, progress=sv.ConsoleObserver())
    for finding in found.findings:
        click.echo(written_out(str(finding)))
    number = len(found.findings)
    state = f"{number:,} damaged" if number else "all are whole"
    click.echo(f"run folders: {found.runs:,}, files of the caches: {found.cached:,}; {state}")
    return 1 if number else 0
