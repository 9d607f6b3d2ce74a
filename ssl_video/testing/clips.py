"""Clips for checks, made as training makes them: views of one video agree in what they have in common."""

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from ssl_video.contract import Algorithm, Batch, View
from ssl_video.data.views.augment import spatial
from ssl_video.data.views.sampling import ClipShape, Request, resolve
from ssl_video.testing.networks import CLASSES

LABELED, UNLABELED, NUM_UNLABELED = 4, 6, 20
# Frames hold patches of 16, the largest that are common; frames and their distance halve twice.
FRAMES, STRIDE, SIZE = 4, 4, 32
# With first and last place of the unlabeled set, and none that is its row in the batch.
_POSITIONS = (19, 7, 0, 11, 8, 3)


class Undeclared(KeyError):
    """A view was read that the algorithm does not declare."""


class Views(Mapping[str, Tensor]):
    """A batch's clips by view, which note what is read."""

    def __init__(self, clips: dict[str, Tensor]) -> None:
        self.clips, self.read, self.undeclared = clips, set[str](), set[str]()

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.clips:
            self.undeclared.add(name)
            raise Undeclared(name)
        self.read.add(name)
        return self.clips[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.clips)

    def __len__(self) -> int:
        return len(self.clips)

    def __contains__(self, name: object) -> bool:
        return name in self.clips


def shapes(algorithm: Algorithm) -> dict[str, ClipShape]:
    """The clip shape of each of an algorithm's networks, the first role first."""
    return {role: ClipShape(FRAMES * n.rate, STRIDE // n.rate) for role, n in algorithm.roles.items()}


def strong(algorithm: Algorithm) -> list[str]:
    """The unlabeled views that are strongly augmented."""
    return [n for n, view in algorithm.unlabeled.items() if spatial(view.augmentation) == "strong"]


def moving(algorithm: Algorithm, seed: int = 1, positions: Sequence[int] = _POSITIONS) -> Batch:
    """Videos with a colour, a texture and a motion of their own, in exactly the views that are declared."""

    def clips(views: Mapping[str, View], count: int, kind: str) -> Views:
        wanted = _requests(algorithm, views)
        known = tuple(dict.fromkeys(wanted.values()))
        made = dict(zip(known, (c.clone() for c in _clips(known, count, f"{seed}/{kind}")), strict=True))
        return Views({name: made[clip] for name, clip in wanted.items()})

    return Batch(
        clips(algorithm.labeled, LABELED, "labeled"),
        torch.tensor([0, 1, 2, 1]),
        clips(algorithm.unlabeled, UNLABELED, "unlabeled"),
        torch.tensor(positions),
    )


def plain(
    algorithm: Algorithm, seen: Sequence[int | None], strongly: Sequence[int | None] | None = None
) -> Batch:
    """Clips of one colour, which `networks.Readout` takes for the classes given; None: for all alike.

    Args:
        algorithm: declares the views.
        seen: the class that each unlabeled clip shows. Labeled clips show 0, 1, 2, 1, which are their labels.
        strongly: the class that the strong views show, where it is another one.
    """
    labels = torch.tensor([0, 1, 2, 1])
    of_strong = strong(algorithm)

    def clips(views: Mapping[str, View], shown: Sequence[int | None]) -> Views:
        made = {}
        for name, (request, _) in _requests(algorithm, views).items():
            classes = strongly if strongly is not None and name in of_strong else shown
            made[name] = _coloured(classes, request.shape.frames)
        return Views(made)

    return Batch(
        clips(algorithm.labeled, labels.tolist()),
        labels,
        clips(algorithm.unlabeled, seen),
        torch.tensor([(_POSITIONS * len(seen))[place] for place in range(len(seen))]),
    )


def copied(batch: Batch) -> Batch:
    """The same clips in memory of their own; views that share one tensor share it again."""
    known: dict[int, Tensor] = {}

    def views(old: Mapping[str, Tensor]) -> Views:
        assert isinstance(old, Views)
        return Views({name: known.setdefault(id(c), c.clone()) for name, c in old.clips.items()})

    return Batch(views(batch.labeled), batch.labels.clone(), views(batch.unlabeled), batch.positions.clone())


def picked(batch: Batch, rows: Sequence[int], labeled: Sequence[int] | None = None) -> Batch:
    """Some of a batch's clips, in the order of `rows`; all labeled ones, unless they are picked, too."""
    assert isinstance(batch.labeled, Views)
    assert isinstance(batch.unlabeled, Views)
    chosen = list(range(len(batch.labels))) if labeled is None else list(labeled)
    return Batch(
        Views({name: clips[chosen] for name, clips in batch.labeled.clips.items()}),
        batch.labels[chosen],
        Views({name: clips[list(rows)] for name, clips in batch.unlabeled.clips.items()}),
        batch.positions[list(rows)],
    )


def _requests(algorithm: Algorithm, views: Mapping[str, View]) -> dict[str, tuple[Request, str]]:
    """Which clip every view shows: equal ones are one tensor, as in training."""
    found = {name: resolve(view, shapes(algorithm)) for name, view in views.items()}
    return {name: (r, f"own/{name}" if r.window == "own" else "shared") for name, r in found.items()}


@lru_cache(maxsize=64)
def _clips(wanted: tuple[tuple[Request, str], ...], count: int, key: str) -> list[Tensor]:
    """Several clips of each of `count` random videos, each (count, 3, T, SIZE, SIZE)."""
    generator = torch.Generator().manual_seed(zlib.crc32(key.encode()))
    colour = torch.randn(count, 3, 1, 1, 1, generator=generator)
    texture = torch.randn(2, count, 3, 1, SIZE, SIZE, generator=generator)
    speed, phase = torch.rand(2, count, 1, 1, 1, 1, generator=generator)
    made = []
    for request, window in wanted:
        times = torch.arange(request.shape.frames)
        if "+" in request.augmentation:
            times = times // 2 * 2  # every other frame twice
        start = 0 if window == "shared" else zlib.crc32(window.encode()) % 64
        angle = (start + times * request.shape.stride).view(
            1, 1, -1, 1, 1
        ) * speed * 0.2 + 2 * math.pi * phase
        video = colour + 0.5 * (texture[0] * angle.cos() + texture[1] * angle.sin())
        made.append(_augmented(video, spatial(request.augmentation), f"{key}/{request.copy}"))
    return made


def _augmented(video: Tensor, recipe: str, key: str) -> Tensor:
    """A change of colours, little for weak recipes and much for strong ones, and a turn of some clips."""
    strength = {"none": 0.0, "weak": 0.1}.get(recipe, 0.6)
    generator = torch.Generator().manual_seed(zlib.crc32(f"{recipe}/{key}".encode()))
    factor, shift = strength * torch.randn(2, len(video), 3, 1, 1, 1, generator=generator)
    turned = torch.rand(len(video), 1, 1, 1, 1, generator=generator) < (0.5 if strength else 0.0)
    return torch.where(turned, video.flip(-1), video) * factor.exp() + shift


def _coloured(classes: Sequence[int | None], frames: int) -> Tensor:
    """Clips whose class's colour rises and has the mean 2; others are 0. (N, 3, T, SIZE, SIZE).

    It rises so that differences of frames show the class, too.
    """
    levels = torch.zeros(len(classes), CLASSES)
    for row, shown in enumerate(classes):
        if shown is not None:
            levels[row, shown] = 4
    rising = (torch.arange(frames) + 1) / (frames + 1)
    return (levels[:, :, None] * rising)[..., None, None].expand(-1, -1, -1, SIZE, SIZE).clone()
