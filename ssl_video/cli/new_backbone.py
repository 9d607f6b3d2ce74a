"""`ssl-video backbone new`: a starting file for a backbone."""

from pathlib import Path

import click

import ssl_video as sv
from ssl_video.cli.new import file_argument, name_option, say_next

_NEXT = (
    "ssl-video analyze speed step --backbone {name}",
    "ssl-video bench --algo fixmatch --backbone {name}",
)


@click.command()
@file_argument
@name_option
def command(file: Path, name: str | None) -> None:
    """Write a commented starting file for a backbone of your own.

    It works unchanged; no other file has to be edited.
    """
    say_next(f"{file}: backbone", sv.new_backbone(file, name), _NEXT)
