"""Draw the views of an algorithm: the call behind `ssl-video data views`.

Torch is imported after the arguments are checked.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_video.benchmarks.running import arguments, recipe
from ssl_video.benchmarks.running.arguments import SPEC_KEYS, Method
from ssl_video.benchmarks.running.specify import check_names
from ssl_video.benchmarks.running.suite import merge
from ssl_video.errors import InputError
from ssl_video.observer import Observer, observer

if TYPE_CHECKING:
    from PIL.Image import Image

# Keys of a specification that do not change the views of a clip.
_WITHOUT_EFFECT = (
    *("data", "root", "split", "protocol", "draw", "labeled_in_unlabeled", "validation", "lists", "weights"),
    *("steps", "labeled_batch", "unlabeled_batch", "optimizer", "learning_rate", "weight_decay", "momentum"),
    *("warmup", "clip_norm", "accumulate", "batch_norm", "ema", "precision", "test_clips", "test_crops"),
    *("weights_prefix", "partial_weights", "probe", "input", "feature_copies", "balance", "segment"),
    *("label_smoothing", "dropout", "backbone_learning_rate", "layer_decay", "freeze_norm", "head_steps"),
    "head_start",
)
_KEYS = [key for key in SPEC_KEYS if key not in _WITHOUT_EFFECT]


@dataclass(frozen=True)
class DrawnViews:
    """A picture of the views of a video: a row per view, for each draw. A notebook shows it.

    Attributes:
        image: the picture.
        views: the names of the views, labeled ones first.
        variants: number of clips of each view, each drawn anew.
    """

    image: "Image"
    views: tuple[str, ...]
    variants: int

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.image.save(file, format="PNG")
        return file.getvalue()

    def save(self, path: str | PathLike[str]) -> None:
        """Write the picture as PNG.

        Raises:
            InputError: the file cannot be written.
        """
        try:
            self.image.save(Path(path), format="PNG", optimize=True)
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror or error}") from None


@arguments.takes(*_KEYS)
def draw_views(
    clip: str | PathLike[str],
    algorithm: Method = "fixmatch",
    *,
    variants: int = 3,
    output: str | PathLike[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    progress: bool | Observer | None = None,
    **keywords: Any,
) -> DrawnViews:
    """Draw every view that an algorithm has of a video, by the code and random numbers of training.

    Keywords are the keys of a specification that decide views: frames, stride, size, seed, options, ...

    Args:
        clip: a video file, or "demo".
        algorithm: a name, "path/to/file.py:name", or a class.
        variants: number of clips of each view, each drawn anew.
        output: a file to write the picture to, as PNG; None: none.
        overrides: values by dotted key, which override all others.
        progress: True, False, or an observer; None: shown in a terminal or a notebook.
        keywords: see above.

    Raises:
        InputError: there is no such file or algorithm, the video cannot be decoded, or the picture cannot be
            written.
    """
    name = str(clip)
    if name != "demo" and not Path(name).is_file():
        raise InputError(f"there is no file {name}: give a video file, or `demo`")
    given = arguments.split(keywords, without=(*_WITHOUT_EFFECT, *arguments.EXECUTION))[0]
    values = merge(arguments.entry(algorithm), given) | {"data": name}
    # No weights are read, so none need be installed.
    spec = arguments.single(values, given, overrides, recipe=None if name == "demo" else recipe.DEFAULT)
    check_names([spec])
    from ssl_video.data import demo
    from ssl_video.data.views import contact_sheet
    from ssl_video.networks import assemble, devices  # imports torch, which takes seconds
    from ssl_video.training import view_strips

    video = Path(name)
    if name == "demo":
        with observer(progress).preparing() as report:
            manifest = demo.prepare(progress=lambda done, total: report("rendering", done, total))
        video = min(manifest.parent.rglob("*.mp4"))
    spec = assemble.resolve(spec, devices.choose_device("cpu"))
    groups = [
        (f"variant {n}", strips) for n, strips in enumerate(view_strips.strips(spec, video, variants), 1)
    ]
    heading = f"{spec.algorithm} on {video.name}: {spec.size} x {spec.size} pixels, seed {spec.seed}"
    drawn = DrawnViews(
        contact_sheet.draw(heading, groups), tuple(strip.title for strip in groups[0][1]), variants
    )
    if output is not None:
        drawn.save(output)
    return drawn
