"""`ssl-video algorithm new`: a starting file for an algorithm or a backbone."""

import shlex
from pathlib import Path

import click

import ssl_video as sv

_NEXT = {
    "algorithm": (
        "ssl-video algorithm check {name}",
        "ssl-video data views demo --algo {name}",
        "ssl-video bench --algo {name},fixmatch",
    ),
    "backbone": (
        "ssl-video analyze speed step --backbone {name}",
        "ssl-video bench --algo fixmatch --backbone {name}",
    ),
}


@click.command()
@click.argument("file", metavar="FILE.py", type=click.Path(path_type=Path))
@click.option("--backbone", is_flag=True, help="write a backbone instead of an algorithm")
@click.option("--name", help="its name  [from the file name: my-method for my_method.py]")
def command(file: Path, backbone: bool, name: str | None) -> None:
    """Write a commented starting file for an algorithm or a backbone of your own.

    It works unchanged; no other file has to be edited.
    """
    kind, write = ("backbone", sv.new_backbone) if backbone else ("algorithm", sv.new_algorithm)
    full = write(file, name)
    print(f"{file}: {kind} {full.rpartition(':')[2]}, which works as it is. Next:")
    for line in _NEXT[kind]:
        print(f"  {line.format(name=shlex.quote(full))}")
