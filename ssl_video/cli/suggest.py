"""`ssl-video suggest`: clips to label next, and labels that look wrong."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

import ssl_video as sv
from ssl_video.cli import options
from ssl_video.cli.progress import FilesPerSecond
from ssl_video.cli.text import Table, clips, printable, say_notes, say_unreadable

if TYPE_CHECKING:
    import pandas as pd


@click.command()
@options.checkpoint_argument
@options.trust_option
@click.argument("data", type=click.Path(path_type=Path), nargs=-1, metavar="[VIDEO|FOLDER|LIST]...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="write the clips to FOLDER/clips.csv, with a page to label them",
)
@options.overwrite_option
@click.option("--number", type=click.IntRange(1), default=20, show_default=True, help="the most clips")
@click.option(
    "--rule",
    metavar="NAME",
    help="choice of the clips to label next: badge, margin, typiclust, random  [badge]",
)
@click.option(
    "--check-labels", is_flag=True, help="suggest labeled clips whose labels look wrong, the worst first"
)
@options.spec_option("root", type=click.Path(path_type=Path), metavar="TEXT")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="seed of random choices")
@options.predictor_option
@options.device_option
@options.decoders_option
def command(checkpoint: Path, data: tuple[Path, ...], device: str, trust: bool, **asked: Any) -> int:
    """Suggest which clips to label next, or which labels look wrong.

    Videos are given as to `ssl-video predict`; without any, they are the run's unlabeled clips. With
    --check-labels, the data are folders of class folders, manifests with labels (see --root) or index files;
    without any, they are the clips that the run was trained on with their labels.
    """
    model = sv.load_model(checkpoint, device, trust=trust)
    say_notes(model.notes)
    found = sv.suggest(model, data or None, progress=FilesPerSecond(unit=""), **asked)
    say_notes(found.attrs["notes"])
    errors = found.attrs["errors"]
    say_unreadable(errors, len(errors), "all others were used")
    if asked["output"] is None:
        _show(found)
    else:
        click.echo(f"{asked['output'] / 'clips.csv'}: {clips(len(found))}")
        if len(found):
            _next_steps(asked["output"])
    return 0


def _next_steps(folder: Path) -> None:
    """Print the steps that come after a suggestion."""
    page, table = (shlex.quote(str(folder / name)) for name in ("index.html", "clips.csv"))
    click.echo(
        f"next:\n  open {page} in a browser, and save the labels as {table}\n"
        f"  ssl-video train ... --labels {table}    with the settings of before"
    )


def _show(found: "pd.DataFrame") -> None:
    """Print the clips as a table."""
    if not len(found):
        return
    checked = "quality" in found
    columns = ["path", *(["start", "end"] if found["start"].notna().any() else [])]
    columns += [*(["label", "quality"] if checked else []), "predicted_label", "probability", "second_label"]
    made = Table()
    for name in columns:
        texts = found[name].dtype == object
        made.add_column(name.replace("_", " "), justify="left" if texts else "right", overflow="fold")
    for row in found[columns].itertuples(index=False):
        made.add_row(*(printable(x) if isinstance(x, str) else "" if x != x else f"{x:.6g}" for x in row))
    Console().print(made)
