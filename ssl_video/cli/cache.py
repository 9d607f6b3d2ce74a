"""`ssl-video data cache`: decode a data set ahead, show and remove the stored clips."""

import time
from typing import get_args

import click
from rich.console import Console

import ssl_video as sv
from ssl_video.cli import options
from ssl_video.cli.progress import FilesPerSecond
from ssl_video.cli.show import plainly
from ssl_video.cli.text import Table, printable

_SHOWN = 10
_FORMATS = get_args(sv.Spec.model_fields["frame_format"].annotation)


@click.command()
@click.argument("data", required=False)
@options.spec_option("root", metavar="TEXT")
@options.spec_option("split", "split", metavar="TEXT")
@options.spec_option(
    "size", type=click.IntRange(8), default=sv.Spec.model_fields["size"].default, show_default=True
)
@options.spec_option("frame_format", type=click.Choice(_FORMATS), default="raw", show_default=True)
@options.cache_gib_option
@options.long_video_option
@click.option("--decoders", type=click.IntRange(1), help="videos decoded at a time  [one per core]")
@click.option("--status", is_flag=True, help="show the stored clips of DATA, or of all, with the features")
@click.option("--clear", is_flag=True, help="remove the stored clips of DATA, or of all, with the features")
@click.option("--yes", is_flag=True, help="remove without asking")
def command(
    data: str | None,
    root: str | None,
    split: str | None,
    size: int,
    frame_format: str,
    cache_gib: float,
    long_video: float,
    decoders: int | None,
    status: bool,
    clear: bool,
    yes: bool,
) -> int:
    """Decode every clip of DATA into the frame cache ahead of the first run, with the settings of the runs.

    JPEG frames are ten times slower to read than raw ones.
    """
    if status and clear:
        raise sv.InputError("give either --status or --clear")
    if status:
        _status(sv.data.cache_contents(data, root, split))
        if data is None:
            _features(sv.data.feature_sets())
    elif clear:
        _clear(data, root, split, yes)
    elif data is None:
        raise sv.InputError("give a data set (ssl-video data cache DATA), --status or --clear")
    else:
        progress = FilesPerSecond(lambda: f"cache {_gib(sv.data.cache_size())}")
        filled = sv.data.fill_cache(
            data, root, split, size=size, frame_format=frame_format, cache_gib=cache_gib,
            long_video=long_video, decoders=decoders, progress=progress,
        )  # fmt: skip
        _filled(filled)
        if filled.stored:
            flags = f"--size {size} --cache-gib {cache_gib:g} --frame-format {frame_format}"
            plainly(Console(), f"Runs with these flags use them: {flags}")
        return 1 if filled.broken or (cache_gib and not (filled.stored or filled.long)) else 0
    return 0


def _filled(filled: "sv.data.Filled") -> None:
    """Print which clips are stored, and their size."""
    console = Console()
    for clip, reason in list(filled.broken.items())[:_SHOWN]:
        plainly(console, f"cannot be decoded: {clip}: {reason}")
    if len(filled.broken) > _SHOWN:
        plainly(console, f"cannot be decoded: {len(filled.broken) - _SHOWN} more")
    plainly(
        console,
        f"{filled.stored:,} of {filled.clips:,} clips stored: "
        f"{_gib(filled.bytes)}, {filled.frame_format}, short side {filled.short_side}, in {filled.folder}",
    )
    if filled.long:
        plainly(console, f"Clips of long videos: {filled.long:,}; their frames are stored when first used.")
    if filled.stored and not filled.complete:
        whole = _gib(filled.bytes_of_all)
        plainly(
            console,
            f"There is no room for the others; runs decode them as needed. All clips would take {whole}.",
        )


def _status(found: "sv.data.CacheContents") -> None:
    """Print a table of the stored clips, by setting."""
    table = Table(title=f"frame cache {found.folder}", title_justify="left", box=None, title_style="")
    table.add_column("frames, short side, decoder")
    for heading in ("clips", "size", "last used"):
        table.add_column(heading, justify="right")
    for stored in found.settings:
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(stored.used))
        table.add_row(stored.setting.replace("-", ", "), f"{stored.clips:,}", _gib(stored.bytes), day)
    nothing = f"nothing is stored in {found.folder}"
    Console().print(table if table.rows else nothing, highlight=False, soft_wrap=True)


def _features(found: "list[sv.data.StoredFeatures]") -> None:
    """Print a table of the stored features of frozen networks, if there are any."""
    if not found:
        return
    table = Table(title=f"features {found[0].folder.parent}", title_justify="left", box=None, title_style="")
    for heading in ("network", "features", "clips of"):
        table.add_column(heading)
    for heading in ("clips", "size", "last used"):
        table.add_column(heading, justify="right")
    for stored in found:
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(stored.used))
        view = f"{stored.view}, {stored.frames} x {stored.size}"
        table.add_row(
            printable(stored.network), stored.features, view, f"{stored.clips:,}", _gib(stored.bytes), day
        )
    Console().print(table, highlight=False, soft_wrap=True)


def _clear(data: str | None, root: str | None, split: str | None, yes: bool) -> None:
    console = Console()
    found = sv.data.cache_contents(data, root, split)
    features = [] if data else sv.data.feature_sets()
    if not found.clips and not features:
        plainly(console, f"nothing is stored in {found.folder}")
        return
    if not yes and not click.confirm(f"remove {_described(found)}{_and(features)}?"):
        return
    removed = sv.data.clear_cache(data, root, split)
    gone = [] if data else sv.data.clear_features()
    plainly(console, f"removed {_described(removed)}{_and(gone)}")


def _and(features: "list[sv.data.StoredFeatures]") -> str:
    clips, size = sum(found.clips for found in features), sum(found.bytes for found in features)
    return f", and features of {clips:,} clips, {_gib(size)}" if features else ""


def _described(found: "sv.data.CacheContents") -> str:
    return f"{found.clips:,} clips, {_gib(found.bytes)}, from {found.folder}"


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 / 10 else f"{size / 2**20:.1f} MiB"
