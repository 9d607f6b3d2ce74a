"""`ssl-video export`: a trained network as a file that other programs run."""

from pathlib import Path

import click

import ssl_video as sv
from ssl_video.cli import options
from ssl_video.cli.text import say_notes


@click.command()
@options.checkpoint_argument
@options.trust_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="an .onnx file, or a .pt2 file for torch.export.load",
)
@options.predictor_option
def command(checkpoint: Path, output: Path, predictor: str | None, trust: bool) -> None:
    """Write the network of a run's folder or checkpoint file as an ONNX or .pt2 file.

    It takes frames (uint8) and returns probabilities. The file is compared with the network before it is
    written.
    """
    model = sv.load_model(checkpoint, "cpu", trust=trust)
    say_notes(model.notes)
    written = model.export(output, predictor)
    about = written.about
    clip = f"{about['frames']} frames of any size, resized to {about['size']} px"
    click.echo(f"{output}: {about['backbone']}, {clip}, {len(about['classes'])} classes")
    if written.difference is None:
        say_notes(["the file was not tried, because onnxruntime is not installed"])
    else:
        click.echo(f"tried on random clips: probabilities differ by up to {written.difference:.0e}")
