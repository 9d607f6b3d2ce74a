"""`ssl-video index`: from what a data set comes as to one index file."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssl_video.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ssl_video.data.columns import Category
    from ssl_video.data.importers.make import Request
    from ssl_video.data.index import Index

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("sources", nargs=-1, type=_PATH, metavar="[SOURCE]...")
@click.option("-o", "--output", type=_PATH, required=True, metavar="NAME.arrow", help="the file to write")
@click.option("--videos", type=_PATH, metavar="FOLDER",
              help="folder that the files lie in, at any depth  [the source's own]")  # fmt: skip
@click.option("--train", type=_PATH, multiple=True, metavar="LIST", help="list of training clips")
@click.option("--val", type=_PATH, multiple=True, metavar="LIST", help="list of validation clips")
@click.option("--test", type=_PATH, multiple=True, metavar="LIST", help="list of test clips")
@click.option("--classes", type=_PATH, metavar="FILE", help="class names behind the numbers in such lists")
@click.option("--kind", metavar="KIND", help="kind of source  [recognised]")
@click.option("--skip-missing", is_flag=True, help="leave out clips whose files are missing")
@click.option("--no-check", is_flag=True, help="do not look for the files")
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
    no_check: bool,
) -> None:
    """Write an index file of a data set, which every command takes as --data.

    \b
    SOURCE is one of
      a folder     of class folders, perhaps in train/ and test/
      a manifest   CSV or TSV with columns path, label and perhaps group, split, ...
      ucf101       the folder of UCF-101's official lists (trainlist01.txt, ...)
      hmdb51       the folder of HMDB-51's official lists (CLASS_test_split1.txt, ...);
                   in column split_all, what split 1 leaves out is for training, too
      kinetics     Kinetics' CSV files, or their folder
      something-something   version 2: its JSON files, or their folder

    Lists of other code bases are given as --train and --test, repeated if there are several: lines are
    `path label`, `path frames label`, `path*label` or `path,label`.

    With --videos (and always, except for class folders and manifests) files are found by path, otherwise by
    name whatever the folder above and the extension. What is missing is an error unless --skip-missing.
    """
    from rich.console import Console

    from ssl_video.cli.display import preparing
    from ssl_video.data.importers import absolute, index_file
    from ssl_video.data.importers.make import Request, make

    lists = {"train": train, "val": val, "test": test}
    request = Request(
        sources=[absolute(path) for path in sources],
        lists={part: [absolute(path) for path in files] for part, files in lists.items() if files},
        classes=absolute(classes) if classes else None,
        kind=kind,
        videos=absolute(videos) if videos else None,
        skip_missing=skip_missing,
        check=not no_check,
    )
    output = absolute(output)
    _check(request, output)
    console, aside = Console(), Console(stderr=True)
    request = request.recognised()
    read = ", ".join(map(str, (*sources, *train, *val, *test)))
    aside.print(f"reading {read} as {request.title}", markup=False, highlight=False, soft_wrap=True)
    with preparing(aside) as progress:
        index = make(request, output.stem, progress)
    index_file.write(index, output)
    _show(index, output, request, console)


def _check(request: "Request", output: Path) -> None:
    """Everything that can be wrong before a source is read.

    Raises:
        InputError: all of it.
    """
    from ssl_video.data.importers import index_file, no_such
    from ssl_video.data.importers.kinds import KINDS
    from ssl_video.errors import unknown

    files = [file for of_part in request.lists.values() for file in of_part]
    needed = [*request.sources, *files, *([request.classes] if request.classes else [])]
    needed += [request.videos] if request.videos and request.check else []
    problems = [no_such(path) for path in needed if not path.exists()]
    if request.kind is not None and request.kind not in KINDS:
        problems.append(unknown("kind", request.kind, KINDS))
    if not request.sources and not files:
        problems.append("there is nothing to index: give a SOURCE, or lists as --train LIST --test LIST")
    if request.sources and files:
        problems.append("a SOURCE and lists are given: expected one of them; index them one by one")
    if files and len(request.lists) == 1:
        part = next(iter(request.lists))
        problems.append(f"only --{part} is given: expected lists for train and for test (or val)")
    if request.classes and not files:
        problems.append("--classes is for lists that are given as --train and --test: leave it out")
    if files and request.kind:
        problems.append("--kind is for a SOURCE, not for lists: leave it out")
    if output.suffix != index_file.SUFFIX:
        problems.append(f"{output}: expected a name that ends in {index_file.SUFFIX}")
    if not output.parent.is_dir():
        problems.append(f"{output.parent} is no folder: make it, or write to another one")
    if problems:
        raise InputError(*problems)


def _show(index: "Index", output: Path, request: "Request", console: "Console") -> None:
    """What the file holds, and what to do with it."""

    def line(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    line(f"{index.name}: {len(index):,} clips of {len(index.classes):,} classes, from {request.title}")
    console.print(_parts(index))
    for note in index.notes:
        line(f"  {note}")
    for name, column in _other_splits(index).items():
        sizes = ", ".join(
            f"{len(column.rows(part)):,} {part}" for part in ("train", "val", "test") if part in column.names
        )
        line(f"  --split {name}: {sizes}")
    name = os.path.relpath(output)
    seen = "" if request.check else ", which nobody has looked at"
    line(f"wrote {name} ({_size(output.stat().st_size)}); the videos are those in {index.root}{seen}")
    labels = max(1, min(10, index.counts("train").min() // 2))
    line(f"next:\n  ssl-video bench --data {name} --algo cmpl --protocol per-class:{labels}")


def _parts(index: "Index") -> "Table":
    """A row for each part: clips, classes, clips of the smallest, mean and largest class, source videos."""
    import numpy as np
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("part")
    for title in ("clips", "classes", "clips per class: min", "mean", "max", "source videos"):
        table.add_column(title, justify="right")
    for part, title in (("train", "train"), ("test", "test"), ("", "not used")):
        rows, counts = index.rows(part), index.counts(part)
        if not len(rows) and not part:
            continue
        groups = f"{len(np.unique(index.groups.codes[rows])):,}" if index.groups else "unknown"
        spread = (f"{counts.min():,}", f"{counts.mean():,.1f}", f"{counts.max():,}")
        table.add_row(title, f"{len(rows):,}", f"{(counts > 0).sum():,}", *spread, groups)
    return table


def _other_splits(index: "Index") -> "dict[str, Category]":
    """The columns that are another way to divide the clips, for --split."""
    return {
        name: column
        for name, column in index.columns.items()
        if {"train", "test"} <= set(column.names) <= {"train", "test", "val", ""}
    }


def _size(count: int) -> str:
    """Bytes for people."""
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"
