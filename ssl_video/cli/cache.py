"""`ssl-video cache`: decode a data set ahead, see what is stored, and remove it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ssl_video.data.dataset import read_index, short_side
from ssl_video.data.frames import cache, known, store
from ssl_video.data.frames.formats import FORMATS
from ssl_video.data.frames.store import GIB, FrameStore
from ssl_video.data.index import Index
from ssl_video.data.paths import cache_dir
from ssl_video.errors import InputError
from ssl_video.spec import Spec, build

_GIB = 20.0  # the default of runs
_SHOWN = 10


@click.command()
@click.argument("data", required=False)
@click.option("--root", metavar="TEXT", help=Spec.model_fields["root"].description)
@click.option("--split", metavar="TEXT", help=f"{Spec.model_fields['split'].description}  [split]")
@click.option(
    "--size", type=click.IntRange(8), default=Spec.model_fields["size"].default, show_default=True,
    help="side of the crop of the runs to come",
)  # fmt: skip
@click.option(
    "--frame-format", type=click.Choice(list(FORMATS)), default="raw", show_default=True,
    help="raw: exact; jpeg: a tenth of the size, not exact, read ten times slower",
)  # fmt: skip
@click.option(
    "--cache-gib", type=click.FloatRange(0), default=_GIB, show_default=True, help="bound of the whole cache"
)
@click.option("--jobs", type=click.IntRange(1), help="videos decoded side by side  [number of cores]")
@click.option("--status", is_flag=True, help="show what is stored, of DATA or of everything")
@click.option("--clear", is_flag=True, help="remove what is stored, of DATA or of everything")
@click.option("--yes", is_flag=True, help="do not ask before removing")
def command(
    data: str | None,
    root: str | None,
    split: str | None,
    size: int,
    frame_format: str,
    cache_gib: float,
    jobs: int | None,
    status: bool,
    clear: bool,
    yes: bool,
) -> int:
    """Decode every clip of DATA into the frame cache, so that the first run need not."""
    if status and clear:
        raise InputError("give either --status or --clear")
    folder = cache_dir() / "frames"
    index = _index(data, root, split) if data else None
    if status:
        _status(folder, index)
    elif clear:
        _clear(folder, index, yes)
    elif index is None:
        raise InputError("which data set? ssl-video cache DATA, or ssl-video cache --status")
    else:
        frames = FrameStore(index.paths, short_side(size), int(cache_gib * GIB), folder, frame_format)
        broken, stored = _fill(frames, index, jobs)
        if stored:
            flags = f"--size {size} --cache-gib {cache_gib:g} --frame-format {frame_format}"
            _say(f"Runs find them with {flags}.")
        return 1 if broken or (cache_gib and not stored) else 0
    return 0


def _index(data: str, root: str | None, split: str | None) -> Index:
    given = {"data": data, "root": root, "split": split}
    return read_index(build({name: value for name, value in given.items() if value is not None}))


def _fill(frames: FrameStore, index: Index, jobs: int | None) -> tuple[int, int]:
    """Fill the cache, and say what it took; the numbers of clips that are broken and that are stored."""
    rows = index.rows("train", "test").tolist()
    with _progress(frames.folder) as progress:
        broken = frames.fill(rows, progress, jobs)
    for row, reason in list(broken.items())[:_SHOWN]:
        _say(f"cannot be decoded: {index.ids[row]}: {reason}")
    if len(broken) > _SHOWN:
        _say(f"cannot be decoded: {len(broken) - _SHOWN} more")
    contents = known.contents(frames.folder, (frames.paths[row] for row in rows))
    stored = {e.path.name: e.size for e in cache.entries(frames.folder) if e.setting == frames.setting}
    # Equal files are stored once.
    sizes = [stored[content] for content in set(contents) if content in stored]
    clips = sum(content in stored for content in contents)
    _say(
        f"{clips:,} of {len(rows):,} clips stored: "
        f"{_gib(sum(sizes))}, {frames.frame_format}, short side {frames.short_side}, in {frames.folder}"
    )
    if sizes and len(sizes) < len(set(contents)):
        whole = _gib(sum(sizes) / len(sizes) * len(set(contents)))
        _say(f"There is no room for the others, which runs decode as needed. All would take {whole}.")
    return len(broken), clips


def _status(folder: Path, index: Index | None) -> None:
    """A table of what is stored, by setting."""
    table = Table(title=f"frame cache {folder}", title_justify="left", box=None, title_style="")
    table.add_column("frames, short side, decoder")
    for heading in ("clips", "size", "last used"):
        table.add_column(heading, justify="right")
    for setting, summary in cache.survey(_found(folder, index)).items():
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(summary.used))
        table.add_row(setting.replace("-", ", "), f"{summary.clips:,}", _gib(summary.size), day)
    Console().print(
        table if table.rows else f"nothing is stored in {folder}", highlight=False, soft_wrap=True
    )


def _clear(folder: Path, index: Index | None, yes: bool) -> None:
    found = _found(folder, index)
    if not found:
        _say(f"nothing is stored in {folder}")
        return
    what = f"{len(found):,} clips, {_gib(sum(entry.size for entry in found))}, from {folder}"
    if not yes and not click.confirm(f"remove {what}?"):
        return
    cache.clear(folder, {entry.path.name for entry in found} if index else None)
    _say(f"removed {what}")


def _found(folder: Path, index: Index | None) -> list[cache.Entry]:
    """What is stored of a data set, or of all."""
    found = list(cache.entries(folder))
    if index is None:
        return found
    contents = set(known.contents(folder, index.paths))
    return [entry for entry in found if entry.path.name in contents]


@contextmanager
def _progress(folder: Path) -> Iterator[store.Progress]:
    """A callback (done, total) that shows how far the cache is filled."""
    console, began = Console(stderr=True), time.monotonic()
    columns = (
        TextColumn("decoding"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:,}/{task.total:,}"),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None, visible=False, note="")

        def show(done: int, total: int) -> None:
            speed = done / max(time.monotonic() - began, 1e-9)
            note = f"{speed:.1f} files/s  cache {_gib(cache.used(folder))}"
            progress.update(task, completed=done, total=total, visible=True, note=note)

        yield show


def _say(text: str) -> None:
    Console().print(text, markup=False, highlight=False, soft_wrap=True)


def _gib(size: float) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB / 10 else f"{size / 2**20:.1f} MiB"
