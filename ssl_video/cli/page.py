"""`ssl-video algorithm page`: the pages of methods."""

from pathlib import Path

import click

import ssl_video as sv


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="page to write, or folder for several")
@click.option(
    "--results", type=click.Path(path_type=Path, file_okay=False), default="results", show_default=True,
    help="results folder",
)  # fmt: skip
def command(names: tuple[str, ...], output: Path | None, results: Path) -> None:
    """Write the pages of algorithms: NAME, FILE.py:NAME, or `all` for every built-in one.

    Source, networks, views, options, cost and results come from the code, published numbers, and the
    leaderboard.csv of the results folder or of every folder in it, if there is one. In an existing page, only
    that part is replaced. A new page has placeholders for the description and the flowchart. Without
    --output, the generated part is printed.
    """
    wanted = list(sv.list_algorithms(builtin=True)) if names == ("all",) else list(names)
    for name in wanted:
        sv.find_algorithm(name)
    if output is None:
        for name in wanted:
            print(sv.describe_algorithm(name, results), end="")
        return
    if len(wanted) > 1 and output.suffix:
        raise sv.InputError(f"{output} is a single file, but there are {len(wanted)} pages: give a folder")
    for name in wanted:
        target, outcome = sv.write_page(name, output, results)
        print(f"{target}: {outcome}", flush=True)
    if names == ("all",):
        target, outcome = sv.write_page_index(output)
        print(f"{target}: {outcome}")
