"""`ssl-video data labels`: convert labels between tables and annotation tools."""

from pathlib import Path

import click

import ssl_video as sv
from ssl_video.cli import options

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("source", type=_PATH, metavar="FILE")
@click.option("-o", "--output", type=_PATH, required=True, metavar="FILE", help="the file to write")
@click.option(
    "--to",
    type=click.Choice(["csv", "label-studio", "fiftyone", "via"]),
    default="csv",
    show_default=True,
    help="format to write",
)
@options.overwrite_option
def command(source: Path, output: Path, to: str, overwrite: bool) -> None:
    """Convert the labels in FILE to another tool's format.

    FILE is a table with columns path and label, such as those of predict and suggest; a JSON export of Label
    Studio; a labels.json of FiftyOne; or a CSV file of the VGG Image Annotator (VIA). All of them can be
    given as --labels without a conversion.

    \b
      ssl-video data labels todo/clips.csv -o tasks.json --to label-studio
      ssl-video train --data lab --labels export.json
    """
    made = sv.data.convert_labels(source, output, to=to, overwrite=overwrite)
    kinds = ((made.labeled, "labeled"), (made.predicted, "with a predicted label"))
    words = ", ".join(f"{number:,} {kind}" for number, kind in kinds if number)
    print(f"{made.path}: clips: {made.clips:,}{' (' + words + ')' if words else ''}")
