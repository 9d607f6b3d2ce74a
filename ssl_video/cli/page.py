"""`ssl-video page`: the pages of methods."""

from pathlib import Path

import click

from ssl_video.errors import InputError
from ssl_video.registry import algorithms


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="page to write, or folder for several")
@click.option(
    "--results", type=click.Path(path_type=Path, file_okay=False), default="results", show_default=True,
    help="folder with leaderboards whose numbers are shown, if it exists",
)  # fmt: skip
def command(names: tuple[str, ...], output: Path | None, results: Path) -> None:
    """Write the pages of algorithms: NAME, FILE.py:NAME, or `all` for every built-in one.

    Source, networks, views, options, cost and results come from the code, the leaderboards and
    published numbers. In a page that exists only that part is replaced; a new one has places for the
    words and the picture that only its author can give. Without --output the generated part is printed.
    """
    wanted = algorithms.builtin() if names == ("all",) else list(names)
    for name in wanted:
        algorithms.check(name)
    from ssl_video.pages import page, write  # imports torch, which takes seconds

    if output is None:
        for name in wanted:
            print(page.generated(name, results), end="")
        return
    if len(wanted) > 1 and output.suffix:
        raise InputError(f"{output} is one file for {len(wanted)} pages: give a folder")
    folder = not output.suffix
    for name in wanted:
        target = output / f"{page.short(name)}.md" if folder else output
        print(f"{target}: {write.page(name, target, results)}", flush=True)
    if names == ("all",):
        target = output / "README.md"
        print(f"{target}: {write.index(target)}")
