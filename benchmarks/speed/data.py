"""The cost of a training step's data: decoding -> weak + strong view, compared with other implementations.

All contestants make the same number of views, frames and pixels of the same videos, one after the other in
each round, on one thread. Time is the CPU time of this process. So waiting for other programs does not
count, but work on a second core would. Files come from the system's cache if possible.

The baselines resize, crop, flip, apply RandAugment with two operations and normalise. They omit the cutout of
our strong view, which favours them.
"""

import importlib
import math
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from scipy.stats import t as student

from ssl_video.contract import DEVIATION, MEAN
from ssl_video.data.dataset import short_side
from ssl_video.data.frames.formats import FORMATS
from ssl_video.data.frames.store import GIB, FrameStore
from ssl_video.data.pool import Pool
from ssl_video.data.views.sampling import ClipShape, ViewRequest
from ssl_video.errors import InputError

# Makes both views of videos, given a number that determines the random choices.
Contestant = Callable[[Sequence[str], int], Any]

PYAV, PYTORCHVIDEO = "PyAV, torchvision v2", "pytorchvideo"


@dataclass(frozen=True)
class Clip:
    """The clip that every contestant makes: frames, their distance in the file, and the side of the crop."""

    frames: int
    stride: int
    size: int


@dataclass(frozen=True)
class Stored:
    """The cost of a frame cache: bytes on disk, processor seconds to fill it, and its number of videos."""

    bytes: int
    seconds: float
    videos: int


@dataclass(frozen=True)
class Field:
    """The contestants.

    Attributes:
        contestants: by name, ours first.
        stored: our caches' costs, by the contestant that reads them.
        absent: the reason why a baseline cannot take part, by name.
    """

    contestants: dict[str, Contestant]
    stored: dict[str, Stored]
    absent: dict[str, str]


@dataclass(frozen=True)
class SpeedUp:
    """A speed-up with a 95 % interval: the mean over rounds of the logarithm, Student's t."""

    mean: float
    low: float
    high: float


def assemble(
    paths: Sequence[str], clip: Clip, folder: Path, progress: Callable[[int, int], None] | None = None
) -> Field:
    """Set up all contestants that can take part, with our caches of the videos filled.

    Args:
        paths: the videos to read.
        clip: the clip to make of them.
        folder: an empty folder for the caches.
        progress: called with the number of videos stored and the total.

    Raises:
        InputError: a video cannot be decoded.
    """
    contestants, stored, absent = dict[str, Contestant](), dict[str, Stored](), dict[str, str]()
    for number, frame_format in enumerate(FORMATS):

        def stored_of_all(done: int, _: int, before: int = number * len(paths)) -> None:
            if progress:
                progress(before + done, len(FORMATS) * len(paths))

        place, name = folder / frame_format, f"ssl-video, {frame_format} cache"
        began = time.process_time()
        store = FrameStore(paths, short_side(clip.size), 1024 * GIB, place, frame_format)
        broken = store.fill(range(len(paths)), stored_of_all, decoders=1)
        if broken:
            raise InputError(*(f"{paths[row]}: {reason}" for row, reason in broken.items()))
        size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
        stored[name] = Stored(size, time.process_time() - began, len(paths))
        contestants[name] = _ours(store, clip)
    decoding = FrameStore(paths, short_side(clip.size), 0, folder / "decoding")
    decoding.prepare(range(len(paths)), decoders=1)
    contestants["ssl-video, decoding"] = _ours(decoding, clip)
    baselines = {PYAV: _pyav, PYTORCHVIDEO: _pytorchvideo}
    for name, make in baselines.items():
        try:
            contestants[name] = make(clip)
        except ImportError as error:
            absent[name] = str(error)
    return Field(contestants, stored, absent)


def race(
    contestants: Mapping[str, Contestant],
    paths: Sequence[str],
    rounds: int,
    videos: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, list[float]]:
    """Measure processor seconds per video, for every contestant in every round.

    Args:
        contestants: by name; each round starts with another one.
        paths: the videos, taken in turn.
        rounds: number of measured rounds, after one that is not.
        videos: number of videos in a round.
        progress: called with the number of rounds done and the total.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)
    for number in range(rounds + 1):
        chosen = [paths[(number * videos + place) % len(paths)] for place in range(videos)]
        for name in order:
            began = time.process_time()
            contestants[name](chosen, number)
            if number:
                seconds[name].append((time.process_time() - began) / videos)
        order = order[1:] + order[:1]
        if progress:
            progress(number + 1, rounds + 1)
    return seconds


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> SpeedUp:
    """Compute the speed-up of ours over theirs, from the seconds of two or more rounds."""
    logs = [math.log(b / a) for a, b in zip(ours, theirs, strict=True)]
    mean = statistics.fmean(logs)
    half = student.ppf(0.975, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return SpeedUp(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


def _ours(store: FrameStore, clip: Clip) -> Contestant:
    """Return the contestant that does the same as training does with its unlabeled clips."""
    row = {path: number for number, path in enumerate(store.paths)}
    shape = ClipShape(clip.frames, clip.stride)
    views = {name: ViewRequest(name, 0, shape, "shared") for name in ("weak", "strong")}

    def make(paths: Sequence[str], number: int) -> dict[str, torch.Tensor]:
        rows = np.array([row[path] for path in paths])
        return Pool("unlabeled", rows, views, len(rows), clip.size, number, store).clips(0)

    return make


def _pyav(clip: Clip) -> Contestant:
    """Return a straightforward contestant: decode all frames, pick a window, transform integer levels."""
    v2 = importlib.import_module("torchvision.transforms.v2")
    crop = [v2.RandomResizedCrop(clip.size, (0.5, 1.0), antialias=True), v2.RandomHorizontalFlip()]
    last = [v2.ToDtype(torch.float32, scale=True), v2.Normalize([MEAN] * 3, [DEVIATION] * 3)]
    resize = v2.Resize(short_side(clip.size), antialias=True)
    weak, strong = v2.Compose(crop + last), v2.Compose([*crop, v2.RandAugment(2), *last])

    def one(path: str) -> tuple[torch.Tensor, torch.Tensor]:
        with av.open(path) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        start = int(torch.randint(max(len(frames) - clip.frames * clip.stride, 0) + 1, ()))
        indices = [(start + n * clip.stride) % len(frames) for n in range(clip.frames)]
        window = torch.from_numpy(np.stack([frames[n] for n in indices])).permute(0, 3, 1, 2)
        window = resize(window)
        return weak(window), strong(window)

    return lambda paths, number: [one(path) for path in paths]


def _pytorchvideo(clip: Clip) -> Contestant:
    """Return a contestant with the library's own dataset and transforms, combined as in its tutorial."""
    # It imports a module that torchvision has renamed; the rest of it is unchanged.
    functional = importlib.import_module("torchvision.transforms._functional_tensor")
    sys.modules.setdefault("torchvision.transforms.functional_tensor", functional)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        data = importlib.import_module("pytorchvideo.data")
        library = importlib.import_module("pytorchvideo.transforms")
    v1 = importlib.import_module("torchvision.transforms")
    crop = [
        library.RandomResizedCrop(clip.size, clip.size, (0.5, 1.0), (3 / 4, 4 / 3)),
        v1.RandomHorizontalFlip(),
    ]
    # RandAugment takes (T, C, H, W), everything else (C, T, H, W).
    turn = library.Permute((1, 0, 2, 3))
    last = [library.Normalize((MEAN,) * 3, (DEVIATION,) * 3)]
    weak = v1.Compose(crop + last)
    strong = v1.Compose([*crop, turn, library.RandAugment(num_layers=2, prob=1.0), turn, *last])
    first = v1.Compose(
        [
            library.UniformTemporalSubsample(clip.frames),
            library.Div255(),
            library.ShortSideScale(short_side(clip.size)),
        ]
    )

    def both(sample: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        window = first(sample["video"])
        return weak(window), strong(window)

    def make(paths: Sequence[str], number: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        with av.open(paths[0]) as container:
            rate = container.streams.video[0].average_rate
        dataset = data.LabeledVideoDataset(
            [(path, {"label": 0}) for path in paths],
            data.make_clip_sampler("random", clip.frames * clip.stride / float(rate or 25)),
            torch.utils.data.SequentialSampler,
            both,
            decode_audio=False,
        )
        return [sample for sample, _ in zip(dataset, paths, strict=False)]

    return make
