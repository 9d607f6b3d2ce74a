"""Synthetic clips for checks, built like training clips: views of one video share its content."""

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from ssl_video.contract import Algorithm, Batch, View
from ssl_video.data.views.augment import spatial
from ssl_video.data.views.sampling import ClipShape, ViewRequest, resolve
from ssl_video.testing.networks import CLASSES

LABELED, UNLABELED, NUM_UNLABELED = 4, 6, 20
# The size is a multiple of 16, the largest common patch; frames and stride can be halved twice.
FRAMES, STRIDE, SIZE = 4, 4, 32
# Include the first and the last position; no position equals its row in the batch.
_INDICES = (19, 7, 0, 11, 8, 3)


class Undeclared(KeyError):
    """Raised when an algorithm reads a view that it does not declare."""


class Views(Mapping[str, Tensor]):
    """A batch's clips by view, with a record of the views that were read."""

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
    """Return the clip shape of each of an algorithm's networks, the first role first."""
    return {role: ClipShape(FRAMES * n.rate, STRIDE // n.rate) for role, n in algorithm.roles.items()}


def strong(algorithm: Algorithm) -> list[str]:
    """Return the names of the strongly augmented unlabeled views."""
    return [n for n, view in algorithm.unlabeled.items() if spatial(view.augmentation) == "strong"]


def moving(algorithm: Algorithm, seed: int = 1, indices: Sequence[int] = _INDICES) -> Batch:
    """Return a batch of videos with individual colour, texture and motion, in exactly the declared views."""

    def clips(views: Mapping[str, View], count: int, kind: str) -> Views:
        wanted = _requests(algorithm, views)
        known = tuple(dict.fromkeys(wanted.values()))
        made = dict(zip(known, (c.clone() for c in _clips(known, count, f"{seed}/{kind}")), strict=True))
        return Views({name: made[clip] for name, clip in wanted.items()})

    return Batch(
        clips(algorithm.labeled, LABELED, "labeled"),
        torch.tensor([0, 1, 2, 1]),
        clips(algorithm.unlabeled, UNLABELED, "unlabeled"),
        torch.tensor(indices),
        _predictions(
            algorithm, torch.randn(UNLABELED, CLASSES, generator=torch.Generator().manual_seed(seed))
        ),
    )


def plain(
    algorithm: Algorithm,
    seen: Sequence[int | None],
    strongly: Sequence[int | None] | None = None,
    falling: bool = False,
) -> Batch:
    """Return clips of one colour, for which `networks.Readout` predicts given classes; None: all equally.

    Args:
        algorithm: declares the views.
        seen: the class that each unlabeled clip shows. Labeled clips show 0, 1, 2, 1, which are their labels.
        strongly: the class that the strong views show; None: the same class.
        falling: whether the class's colour falls from frame to frame, and does not rise.
    """
    labels = torch.tensor([0, 1, 2, 1])
    of_strong = strong(algorithm)

    def clips(views: Mapping[str, View], shown: Sequence[int | None]) -> Views:
        made = {}
        for name, (request, _) in _requests(algorithm, views).items():
            classes = strongly if strongly is not None and name in of_strong else shown
            made[name] = _coloured(classes, request.shape.frames, falling)
        return Views(made)

    return Batch(
        clips(algorithm.labeled, labels.tolist()),
        labels,
        clips(algorithm.unlabeled, seen),
        torch.tensor([(_INDICES * len(seen))[place] for place in range(len(seen))]),
        _predictions(algorithm, _levels(seen)),
    )


def copied(batch: Batch) -> Batch:
    """Return a copy of a batch; views that share a tensor share its copy, too."""
    known: dict[int, Tensor] = {}

    def views(old: Mapping[str, Tensor]) -> Views:
        assert isinstance(old, Views)
        return Views({name: known.setdefault(id(c), c.clone()) for name, c in old.clips.items()})

    return batch._replace(
        labeled=views(batch.labeled),
        labels=batch.labels.clone(),
        unlabeled=views(batch.unlabeled),
        indices=batch.indices.clone(),
        predictions=None if batch.predictions is None else batch.predictions.clone(),
    )


def picked(batch: Batch, rows: Sequence[int], labeled: Sequence[int] | None = None) -> Batch:
    """Return a batch with the unlabeled clips `rows` and the labeled clips `labeled`, in order; None: all."""
    assert isinstance(batch.labeled, Views)
    assert isinstance(batch.unlabeled, Views)
    chosen = list(range(len(batch.labels))) if labeled is None else list(labeled)
    return Batch(
        Views({name: clips[chosen] for name, clips in batch.labeled.clips.items()}),
        batch.labels[chosen],
        Views({name: clips[list(rows)] for name, clips in batch.unlabeled.clips.items()}),
        batch.indices[list(rows)],
        None if batch.predictions is None else batch.predictions[list(rows)],
    )


def _requests(algorithm: Algorithm, views: Mapping[str, View]) -> dict[str, tuple[ViewRequest, str]]:
    """Return the clip that each view shows; views with equal values share one tensor, as in training."""
    found = {name: resolve(view, shapes(algorithm)) for name, view in views.items()}
    return {name: (r, f"own/{name}" if r.window == "own" else "shared") for name, r in found.items()}


@lru_cache(maxsize=64)
def _clips(wanted: tuple[tuple[ViewRequest, str], ...], count: int, key: str) -> list[Tensor]:
    """Return the wanted clips of `count` random videos, each (count, 3, T, SIZE, SIZE)."""
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
    """Change colours, slightly for weak recipes and strongly for strong ones, and flip some clips."""
    strength = {"none": 0.0, "weak": 0.1}.get(recipe, 0.6)
    generator = torch.Generator().manual_seed(zlib.crc32(f"{recipe}/{key}".encode()))
    factor, shift = strength * torch.randn(2, len(video), 3, 1, 1, 1, generator=generator)
    turned = torch.rand(len(video), 1, 1, 1, 1, generator=generator) < (0.5 if strength else 0.0)
    return torch.where(turned, video.flip(-1), video) * factor.exp() + shift


def _coloured(classes: Sequence[int | None], frames: int, falling: bool) -> Tensor:
    """Return clips with a changing channel of mean 2 for the class, 0 elsewhere, (N, 3, T, SIZE, SIZE).

    The channel rises or falls so that frame differences show the class, too.
    """
    levels = _levels(classes)
    height = (torch.arange(frames) + 1) / (frames + 1)
    if falling:
        height = height.flip(0)
    return (levels[:, :, None] * height)[..., None, None].expand(-1, -1, -1, SIZE, SIZE).clone()


def _levels(classes: Sequence[int | None]) -> Tensor:
    """Return 4 for each clip's class and 0 for the others, (N, CLASSES); None: 0 for all."""
    levels = torch.zeros(len(classes), CLASSES)
    for row, shown in enumerate(classes):
        if shown is not None:
            levels[row, shown] = 4
    return levels


def _predictions(algorithm: Algorithm, logits: Tensor) -> Tensor | None:
    """Return another model's predictions, if the algorithm asks for some."""
    return logits.softmax(-1) if algorithm.predictions_from else None
