"""`ssl-video new`: a starting file for an algorithm or a backbone."""

import shlex
from pathlib import Path

import click

from ssl_video import templates

_NEXT = {
    "algorithm": (
        "ssl-video check {name}",
        "ssl-video views demo --algo {name}",
        "ssl-video bench --algo {name},fixmatch",
    ),
    "backbone": (
        "ssl-video speed step --backbone {name}",
        "ssl-video bench --algo fixmatch --backbone {name}",
    ),
}


@click.command()
@click.argument("kind", type=click.Choice(templates.KINDS))
@click.argument("file", metavar="FILE.py", type=click.Path(path_type=Path))
@click.option("--name", help="its name  [made from the file's: my_method.py has my-method]")
def command(kind: str, file: Path, name: str | None) -> None:
    """Write a commented starting file for an algorithm or a backbone of your own.

    It works as it is; no other file has to be touched.
    """
    name = templates.write(kind, file, name)
    print(f"{file}: {kind} {name}, which works as it is. Next:")
    full = shlex.quote(f"{file}:{name}")
    for line in _NEXT[kind]:
        print(f"  {line.format(name=full)}")
