"""`ssl-video algorithm new`: a starting file for an algorithm."""

import shlex
from pathlib import Path

import click

import ssl_video as sv

_NEXT = (
    "ssl-video algorithm check {name}",
    "ssl-video data views demo --algo {name}",
    "ssl-video bench --algo {name},fixmatch",
)

file_argument = click.argument("file", metavar="FILE.py", type=click.Path(path_type=Path))
name_option = click.option("--name", help="its name  [from the file name: my-method for my_method.py]")


@click.command()
@file_argument
@name_option
def command(file: Path, name: str | None) -> None:
    """Write a commented starting file for an algorithm of your own.

    It works unchanged; no other file has to be edited.
    """
    say_next(f"{file}: algorithm", sv.new_algorithm(file, name), _NEXT)


def say_next(kind: str, name: str, lines: tuple[str, ...]) -> None:
    """Print a new name, and the commands that it can be given to."""
    print(f"{kind} {name.rpartition(':')[2]}, which works as it is. Next:")
    for line in lines:
        print(f"  {line.format(name=shlex.quote(name))}")
