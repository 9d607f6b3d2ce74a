"""`ssl-video features`: the pooled features of clips as arrays."""

from pathlib import Path

import click

import ssl_video as sv
from ssl_video.cli import options
from ssl_video.cli.progress import FilesPerSecond

_REASONS = 5  # unreadable clips that are named


@click.command()
@options.checkpoint_argument
@click.argument(
    "videos", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="VIDEO|FOLDER|LIST..."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="an .npz file: features, probabilities, paths, starts, ends, labels, classes, errors",
)
@click.option("--predictor", metavar="NAME", help="network to use  [the headline]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, …")
@click.option(
    "--workers", type=click.IntRange(0), metavar="N", help="threads that decode  [one per core, up to 8]"
)
def command(
    checkpoint: Path,
    videos: tuple[Path, ...],
    output: Path,
    predictor: str | None,
    device: str,
    workers: int | None,
) -> int:
    """Write the features of clips: the inputs of the classifier of a run's network.

    Videos are given as to `ssl-video predict`.
    """
    model = sv.load_model(checkpoint, device)
    for note in model.notes:
        click.echo(f"note: {note}", err=True)
    found = model.features(
        videos, output=output, predictor=predictor, workers=workers, progress=FilesPerSecond(unit="")
    )
    for reason in found.errors[:_REASONS]:
        click.echo(f"error: {ascii(str(reason))[1:-1]}", err=True)
    count, width = found.features.shape
    click.echo(f"{output}: {count:,} clips, {width:,} features each")
    if len(found.errors):
        total = count + len(found.errors)
        click.echo(f"{len(found.errors):,} of {total:,} clips could not be read: see errors", err=True)
    return 0 if count else 1
