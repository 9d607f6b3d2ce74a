"""`ssl-video doctor`: look at every file of a dataset, and quarantine those that cannot be used."""

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ssl_video.spec import Spec, build

if TYPE_CHECKING:
    from ssl_video.data.index import Index
    from ssl_video.data.video.doctor import Progress as Done
    from ssl_video.data.video.doctor import Report

_SHOWN = 10


@click.command()
@click.argument("data")
@click.option("--root", metavar="TEXT", help=Spec.model_fields["root"].description)
@click.option("--split", metavar="TEXT", help=f"{Spec.model_fields['split'].description}  [split]")
@click.option("--jobs", type=click.IntRange(1), help="files at a time  [number of cores]")
@click.option(
    "--timeout", type=click.FloatRange(1), default=120.0, show_default=True, help="seconds for one file"
)
@click.option("--again", is_flag=True, help="forget what was found before")
@click.option("--all-classes", is_flag=True, help="show every class, not only the worst")
@click.option(
    "--report", type=click.Path(path_type=Path), metavar="FILE",
    help="write everything that was found, as .csv or .json",
)  # fmt: skip
def command(
    data: str,
    root: str | None,
    split: str | None,
    jobs: int | None,
    timeout: float,
    again: bool,
    all_classes: bool,
    report: Path | None,
) -> int:
    """Decode every file of DATA once, and quarantine those that cannot be used.

    DATA is what bench takes as --data. The quarantine list lies beside it, and all runs leave out what it
    names. What was found is kept: a second look costs only the files that have changed.
    """
    from ssl_video.data.dataset import check_present, read_all, source
    from ssl_video.data.video import doctor, quarantine

    given = {"data": data, "root": root, "split": split}
    spec = build({name: value for name, value in given.items() if value is not None})
    index, place, began = read_all(spec), source(spec), time.monotonic()
    check_present(index)  # or all of a disk that is not mounted would be quarantined
    try:
        with _progress() as progress:
            found = doctor.look(
                place, index, jobs or os.cpu_count() or 1, timeout, again=again, progress=progress
            )
    except KeyboardInterrupt:
        _say("what was found so far is kept: the same command goes on", Console(stderr=True))
        raise
    seconds = time.monotonic() - began
    _say(
        f"{index.name}: {len(index):,} files; {found.looked:,} decoded in {seconds:.1f} s "
        f"({found.looked / seconds:.1f} a second), {len(index) - found.looked:,} known from before"
    )
    _videos(found)
    _remarks(index, found)
    reasons = found.reasons(index)
    _classes(index, found, all_classes)
    if report:
        doctor.write_report(report, index, found)
        _say(f"wrote {report}")
    listed = quarantine.write(place, reasons)
    if not reasons:
        _say("all files can be used")
        return 0
    for name, reason in list(reasons.items())[:_SHOWN]:
        _say(f"  {name}: {reason}")
    if len(reasons) > _SHOWN:
        _say(f"  and {len(reasons) - _SHOWN:,} more")
    _say(f"{len(reasons):,} of {len(index):,} clips are quarantined, so all runs leave them out: {listed}")
    return 1


def _videos(found: "Report") -> None:
    """What the usable files are: a line for each property, its values by how often they occur."""
    usable = [facts for facts in found.facts if not facts.reason]
    if not usable:
        return
    table = Table.grid(padding=(0, 2))
    for title, values in {
        "codec": [f"{facts.codec} in {facts.container.split(',')[0]}" for facts in usable],
        "size": [f"{facts.width}x{facts.height}" for facts in usable],
        "frames/s": [f"{facts.rate:.4g}" for facts in usable],
    }.items():
        common = Counter(values).most_common()
        shown = ", ".join(f"{value} ({count:,})" for value, count in common[:5])
        table.add_row(title, shown + (f" and {len(common) - 5} others" if len(common) > 5 else ""))
    frames, seconds = [float(facts.frames) for facts in usable], [facts.seconds for facts in usable]
    for title, numbers in (("frames", frames), ("seconds", seconds)):
        ordered = sorted(numbers)
        low, middle, high = (f"{ordered[place]:,.4g}" for place in (0, len(ordered) // 2, -1))
        table.add_row(title, f"{low} to {high}, median {middle}")
    Console().print(table, highlight=False)


def _remarks(index: "Index", found: "Report") -> None:
    """What may surprise about files that can be used."""
    usable = [(index.ids[row], facts) for row, facts in enumerate(found.facts) if not facts.reason]
    for text, names in {
        "variable frame rate": [name for name, facts in usable if facts.variable],
        "stored turned, shown upright": [name for name, facts in usable if facts.rotation],
        "pixels that are not square, left so": [n for n, facts in usable if abs(facts.aspect - 1) > 0.02],
        "of another format than the name says": [name for name, facts in usable if facts.misnamed],
        "a single frame": [name for name, facts in usable if facts.frames == 1],
    }.items():
        _remark(text, names)
    copies = found.copies()
    parts = [{index.splits[row] for row in rows} for rows in copies]
    leaks = [rows for rows, part in zip(copies, parts, strict=True) if {"train", "test"} <= part]
    clashes = [rows for rows in copies if len({int(index.labels[row]) for row in rows}) > 1]
    for text, groups in {
        "the same video more than once": copies,
        "the same video in train and in test, which makes test results too good": leaks,
        "the same video in several classes": clashes,
    }.items():
        _remark(text, [" = ".join(index.ids[row] for row in rows[:3]) for rows in groups])


def _remark(text: str, names: Sequence[str]) -> None:
    if names:
        _say(f"{text}: {len(names):,} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})")


def _classes(index: "Index", found: "Report", every: bool) -> None:
    """Clips and quarantined clips of the classes that lost most, or of all."""
    total, lost = Counter(index.labels.tolist()), Counter[int]()
    lost.update(int(index.labels[row]) for row, facts in enumerate(found.facts) if facts.reason)
    chosen = sorted(total, key=lambda label: (-lost[label] / total[label], label))
    if not every:
        chosen = [label for label in chosen if lost[label]][:_SHOWN]
    if not chosen:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    for title in ("clips", "quarantined", "%"):
        table.add_column(title, justify="right")
    for label in chosen:
        share = f"{100 * lost[label] / total[label]:.1f}"
        table.add_row(index.classes[label], f"{total[label]:,}", f"{lost[label]:,}", share)
    Console().print(table, highlight=False)


@contextmanager
def _progress() -> "Iterator[Done]":
    """A callback (done, total) that shows how far the doctor is."""
    console, began = Console(stderr=True), time.monotonic()
    columns = (
        TextColumn("looking at files"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:,}/{task.total:,}  {task.fields[speed]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None, visible=False, speed="")

        def show(done: int, total: int) -> None:
            speed = f"{done / max(time.monotonic() - began, 1e-9):.1f} files/s"
            progress.update(task, completed=done, total=total, visible=True, speed=speed)

        yield show


def _say(text: str, console: Console | None = None) -> None:
    (console or Console()).print(text, markup=False, highlight=False, soft_wrap=True)
