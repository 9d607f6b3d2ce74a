"""`ssl-video data views`: a picture of the clips that an algorithm reads."""

import inspect
from pathlib import Path
from typing import Any

import click

import ssl_video as sv
from ssl_video.cli import options

_TAKEN = inspect.signature(sv.draw_views).parameters
_NOT_HERE = [key for key in sv.Spec.model_fields if key not in _TAKEN]


@click.command()
@click.argument("clip", metavar="CLIP")
@options.algorithm_option("fixmatch")
@options.spec_options("algorithm", *_NOT_HERE)
@options.set_option
@click.option(
    "--variants", type=click.IntRange(1), default=3, show_default=True, help="number of clips of each view"
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), default="views.png", show_default=True,
    help="the picture to write",
)  # fmt: skip
def command(
    clip: str, algorithm: str, assignments: tuple[str, ...], variants: int, output: Path, **flags: Any
) -> None:
    """Draw every view that an algorithm reads of CLIP, a video file or `demo`: one row per view.

    The clips are made by the code that feeds training, with the same random numbers.
    """
    drawn = sv.draw_views(
        clip, algorithm, variants=variants, output=output, overrides=options.parsed(assignments),
        progress=sv.ConsoleObserver(), **options.given(flags),
    )  # fmt: skip
    size = f"{drawn.image.width} x {drawn.image.height} pixels"
    print(f"{output}: {len(drawn.views)} x {variants} clips, {size}")
