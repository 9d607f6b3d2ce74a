"""`ssl-video views`: what an algorithm is fed, as a picture."""

from pathlib import Path
from typing import Any

import click

from ssl_video.benchmarks.running.given import check_names
from ssl_video.benchmarks.running.suite import with_demo_settings
from ssl_video.cli import options
from ssl_video.errors import InputError
from ssl_video.spec import build, override

_NOT_HERE = (
    *("data", "root", "split", "protocol", "draw", "labeled_in_unlabeled", "validation", "lists", "weights"),
    *("steps", "labeled_batch", "unlabeled_batch", "optimizer", "learning_rate", "weight_decay", "momentum"),
    *("warmup", "clip_norm", "accumulate", "batch_norm", "ema", "precision", "test_clips", "test_crops"),
)


@click.command()
@click.argument("clip", metavar="CLIP")
@click.option("--algo", "--algorithm", "algorithm", default="fixmatch", show_default=True, metavar="NAME")
@options.spec_options("algorithm", *_NOT_HERE)
@options.set_option
@click.option("--draws", type=click.IntRange(1), default=3, show_default=True, help="number of draws")
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), default="views.png", show_default=True,
    help="the picture to write",
)  # fmt: skip
def command(
    clip: str, algorithm: str, assignments: tuple[str, ...], draws: int, output: Path, **flags: Any
) -> None:
    """Draw what every view of an algorithm sees of CLIP, a video file or `demo`: one row a view.

    The clips are made by the code that feeds training, with the same random numbers.
    """
    if clip != "demo" and not Path(clip).is_file():
        raise InputError(f"there is no file {clip}: give a video file, or `demo`")
    values = {**options.given(flags), "algorithm": algorithm}
    if clip == "demo":
        values = with_demo_settings(values)
    spec = build(override(values, assignments))
    check_names([spec])
    from rich.console import Console

    from ssl_video.cli.display import preparing
    from ssl_video.data import demo
    from ssl_video.data.views import sheet
    from ssl_video.engine import assemble, views

    if clip == "demo":
        with preparing(Console(stderr=True)) as progress:
            manifest = demo.prepare(progress=lambda done, total: progress("rendering", done, total))
        video = min(manifest.parent.rglob("*.mp4"))
    else:
        video = Path(clip)
    spec = assemble.resolve(spec, assemble.choose_device("cpu"))
    groups = [(f"draw {n}", strips) for n, strips in enumerate(views.strips(spec, video, draws), 1)]
    heading = f"{spec.algorithm} on {video.name}: {spec.size} x {spec.size} pixels, seed {spec.seed}"
    picture = sheet.draw(heading, groups)
    try:
        picture.save(output, format="PNG", optimize=True)
    except OSError as error:
        raise InputError(f"cannot write {output}: {error.strerror or error}") from None
    print(f"{output}: {len(groups[0][1])} views, {draws} draws, {picture.width} x {picture.height} pixels")
