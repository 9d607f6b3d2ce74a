"""`ssl-video data index`: write one index file for any form of a data set."""

import os
from pathlib import Path

import click
from rich import box
from rich.console import Console

import ssl_video as sv
from ssl_video.cli.show import plainly
from ssl_video.cli.text import Table

_PATH = click.Path(path_type=Path)
_KEYS = sv.Spec.model_fields


@click.command()
@click.argument("sources", nargs=-1, type=_PATH, metavar="[SOURCE]...")
@click.option("-o", "--output", type=_PATH, required=True, metavar="NAME.arrow", help="the file to write")
@click.option("--videos", type=_PATH, metavar="FOLDER",
              help="folder that contains the files, at any depth  [the source's own]")  # fmt: skip
@click.option("--train", type=_PATH, multiple=True, metavar="LIST", help="list of training clips")
@click.option("--val", type=_PATH, multiple=True, metavar="LIST", help="list of validation clips")
@click.option("--test", type=_PATH, multiple=True, metavar="LIST", help="list of test clips")
@click.option(
    "--classes", type=_PATH, metavar="FILE", help="file of the class names for the numbers in these lists"
)
@click.option("--kind", metavar="KIND", help="kind of source  [recognised]")
@click.option("--skip-missing", is_flag=True, help="leave out clips whose files are missing")
@click.option(
    "--unlabeled",
    type=_PATH,
    multiple=True,
    metavar="SOURCE",
    help=sv.Spec.model_fields["unlabeled"].description,
)
@click.option(
    "--labels", type=_PATH, multiple=True, metavar="FILE", help=sv.Spec.model_fields["labels"].description
)
@click.option(
    "--keep-classes", multiple=True, metavar="TEXT", help=sv.Spec.model_fields["keep_classes"].description
)
@click.option("--no-check", is_flag=True, help="do not check that the files exist")
def command(
    sources: tuple[Path, ...],
    output: Path,
    videos: Path | None,
    train: tuple[Path, ...],
    val: tuple[Path, ...],
    test: tuple[Path, ...],
    classes: Path | None,
    kind: str | None,
    skip_missing: bool,
    unlabeled: tuple[Path, ...],
    labels: tuple[Path, ...],
    keep_classes: tuple[str, ...],
    no_check: bool,
) -> None:
    """Write an index file of a data set, which every command takes as --data.

    \b
    SOURCE is one of
      a folder     of class folders, perhaps in train/ and test/
      a manifest   CSV or TSV with columns path, label and perhaps group, split, ...
      ucf101       the folder of UCF-101's official lists (trainlist01.txt, ...)
      hmdb51       the folder of HMDB-51's official lists (CLASS_test_split1.txt, ...);
                   column split_all also trains on the clips that split 1 leaves out
      kinetics     Kinetics' CSV files, or their folder
      something-something   version 2: its JSON files, or their folder

    Lists of other code bases are given as --train and --test, repeated if there are several: lines are
    `path label`, `path frames label`, `path*label` or `path,label`.

    With --videos (and always, except for class folders and manifests) files are found by path, otherwise by
    name, in any folder and with any extension. A missing file is an error unless --skip-missing.
    """
    made = sv.data.make_index(
        *sources, output=output, videos=videos, train=train, val=val, test=test, classes=classes, kind=kind,
        skip_missing=skip_missing, check=not no_check, unlabeled=unlabeled, labels=labels,
        keep_classes=keep_classes, progress=sv.ConsoleObserver(),
    )  # fmt: skip
    _show(made, Console())


def _show(made: "sv.data.IndexFile", console: Console) -> None:
    """Print the contents of the file, and the command that uses it."""
    index = made.index
    plainly(
        console,
        f"{index.name}: {len(index):,} clips of {len(index.classes):,} classes, from {made.title}",
    )
    console.print(_parts(made))
    for note in index.notes:
        plainly(console, f"  {note}")
    for name, parts in made.splits.items():
        sizes = ", ".join(f"{clips:,} {part}" for part, clips in parts.items())
        plainly(console, f"  --split {name}: {sizes}")
    name, seen = os.path.relpath(made.path), "" if made.checked else " (not checked)"
    size = _size(made.path.stat().st_size)
    plainly(console, f"wrote {name} ({size}); the videos are those in {index.root}{seen}")
    command = f"ssl-video bench --data {name} --algo cmpl"
    if not made.parts["test"].clips:
        command += " --folds 5"
    if "unlabeled" not in made.parts:
        command += f" --protocol per-class:{max(1, min(10, made.parts['train'].least // 2))}"
    plainly(console, f"next:\n  {command}")


def _parts(made: "sv.data.IndexFile") -> Table:
    """Return a row for each part: clips, classes, clips of the smallest, mean and largest class, sources."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("part")
    for title in ("clips", "classes", "clips per class: min", "mean", "max", "source videos"):
        table.add_column(title, justify="right")
    for part, size in made.parts.items():
        groups = "unknown" if size.groups is None else f"{size.groups:,}"
        spread = (f"{size.classes:,}", f"{size.least:,}", f"{size.mean:,.1f}", f"{size.most:,}")
        table.add_row(part or "not used", f"{size.clips:,}", *(spread if size.classes else [""] * 4), groups)
    return table


def _size(count: int) -> str:
    """Return a number of bytes in words."""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"
