"""`ssl-video features`: the pooled features of clips as arrays."""

from pathlib import Path

import click

import ssl_video as sv
from ssl_video.cli import options
from ssl_video.cli.progress import FilesPerSecond
from ssl_video.cli.text import clips, say_notes, say_unreadable


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
    decoders: int | None,
    trust: bool,
) -> int:
    """Write the features of clips: the inputs of the classifier of a run's network.

    Videos are given as to `ssl-video predict`.
    """
    model = sv.load_model(checkpoint, device, trust=trust)
    say_notes([*model.notes, model.calibration_note(predictor)])
    found = model.features(
        videos, output=output, predictor=predictor, decoders=decoders, progress=FilesPerSecond(unit="")
    )
    count, width = found.features.shape
    click.echo(f"{output}: {clips(count)}, {width:,} features each")
    say_unreadable([*map(str, found.errors)], len(found.errors), f"see errors in {output}")
    return 0 if count else 1
