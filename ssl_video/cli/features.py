"""`ssl-video features`: the pooled features of clips as arrays."""

from pathlib import Path

import click

import ssl_video as sv
from ssl_video.cli import options
from ssl_video.cli.progress import FilesPerSecond
from ssl_video.cli.text import written_out

_REASONS = 5  # unreadable clips that are named


@click.command()
@options.checkpoint_argument
@options.trust_option
@options.videos_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="an .npz file: features, probabilities, paths, starts, ends, labels, classes, errors",
)
@options.predictor_option
@options.device_option
@options.decoders_option
def command(
    checkpoint: Path,
    videos: tuple[Path, ...],
    output: Path,
    predictor: str | None,
    device: str,
    workers: int | None,
    trust: bool,
) -> int:
    """Write the features of clips: the inputs of the classifier of a run's network.

    Videos are given as to `ssl-video predict`.
    """
    model = sv.load_model(checkpoint, device, trust=trust)
    for note in (*model.notes, model.calibration_note(predictor)):
        click.echo(f"note: {written_out(note)}", err=True)
    found = model.features(
        videos, output=output, predictor=predictor, workers=workers, progress=FilesPerSecond(unit="")
    )
    for reason in found.errors[:_REASONS]:
        click.echo(f"error: {written_out(str(reason))}", err=True)
    count, width = found.features.shape
    click.echo(f"{output}: {count:,} clips, {width:,} features each")
    if len(found.errors):
        total = count + len(found.errors)
        click.echo(f"{len(found.errors):,} of {total:,} clips could not be read: see errors", err=True)
    return 0 if count else 1
