"""Backbones: one adapter file a library. `create` is the only door.

A backbone is a function `(num_classes, *, frames, size) -> nn.Module` under `@backbone("name")`, its network
maps a clip (N, 3, T, H, W) to logits (N, num_classes). A keyword `width` says that its channels can be
multiplied, a keyword `model` that it stands for many networks, which are called `name/model`.
"""

import functools
import inspect
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from ssl_video.backbones import pretrained
from ssl_video.backbones.inputs import make_adjustable
from ssl_video.backbones.weights import Report, load
from ssl_video.errors import InputError
from ssl_video.registry import backbones

__all__ = ["create", "find"]

log = logging.getLogger(__name__)

# Adapters of libraries that normalise inputs otherwise than clips are.
_OTHER_INPUTS = {f"{__name__}.{adapter}" for adapter in ("timm", "timesformer", "torchvision")}


def create(
    name: str,
    num_classes: int,
    *,
    width: float = 1.0,
    frames: int = 8,
    size: int = 224,
    weights: str | Path | None = None,
    loaded: Callable[[Report], None] = lambda _: None,
) -> nn.Module:
    """A network that maps a clip (N, 3, T, H, W) to logits (N, num_classes), in training and evaluation.

    Args:
        name: a backbone's name, `name/model`, or `path/to/file.py:name`.
        num_classes: number of classes.
        width: multiplier of the number of channels, where the backbone has one.
        frames: T, the number of frames of a clip.
        size: height and width of a clip in pixels.
        weights: where initial weights come from, see `ssl_video.backbones.pretrained.find`; without it, the
            network is initialised at random from torch's generator.
        loaded: told what was loaded, if there are weights.

    Raises:
        InputError: no such backbone, a value that it cannot take, a library that cannot be imported, or
            weights that do not fit.
    """
    builder = find(name)
    problems = [
        f"{what} must be a whole number of at least 1, not {value}"
        for what, value in (("num_classes", num_classes), ("frames", frames), ("size", size))
        if value != int(value) or value < 1
    ]
    if not (width > 0 and math.isfinite(width)):
        problems.append(f"width must be a positive number, not {width}")
    if problems:
        raise InputError(*(f"backbone {name}: {problem}" for problem in problems))
    options: dict[str, Any] = {"frames": frames, "size": size}
    if _takes(builder, "width"):
        options["width"] = width
    elif width != 1.0:
        raise InputError(
            f"backbone {name} has one width, so width {width:g} cannot be had: give 1, or another backbone; "
            f"backbones with a width: {', '.join(_with_width())}"
        )
    _check_callable(name, builder, num_classes, options)
    network: nn.Module = builder(num_classes, **options)
    if _module(builder) in _OTHER_INPUTS:
        make_adjustable(network)
    if weights is not None:
        report = load(network, pretrained.find(weights, name), size)
        log.log(logging.WARNING if report.partial else logging.INFO, "%s: %s", name, report)
        loaded(report)
    return network


def find(name: str) -> Callable[..., nn.Module]:
    """The function that builds backbone `name`; for `name/model` it is told which model.

    Nothing is built, and the library behind the backbone is not imported.

    Raises:
        InputError: no such backbone, or a model where none can be chosen or none where one must be.
    """
    if ".py:" in name:
        return backbones.get(name)
    entry, _, model = name.partition("/")
    builder = backbones.get(entry)
    if model and not _takes(builder, "model"):
        raise InputError(f"unknown backbone {name!r}; {entry} is a single network: write {entry!r}")
    if not model and _takes(builder, "model"):
        raise InputError(f"backbone {entry!r} stands for many networks: write '{entry}/<model>'")
    return functools.partial(builder, model=model) if model else builder


def _check_callable(
    name: str, builder: Callable[..., Any], num_classes: int, options: dict[str, Any]
) -> None:
    """Check that a builder takes what it is called with.

    Raises:
        InputError: it lacks an argument, or has one more without a default.
    """
    try:
        inspect.signature(builder).bind(num_classes, **options)
    except TypeError as error:
        raise InputError(
            f"backbone {name}: its function has to take num_classes, and frames and size as keywords, used "
            f"or not; called so, it says: {error}"
        ) from None


def _module(builder: Callable[..., Any]) -> str:
    """The module that defines a builder."""
    return (builder.func if isinstance(builder, functools.partial) else builder).__module__


def _takes(builder: Callable[..., Any], keyword: str) -> bool:
    """Whether a builder has a parameter of that name."""
    return keyword in inspect.signature(builder).parameters


def _with_width() -> list[str]:
    """Names of the backbones that have a width multiplier."""
    names = []
    for name in backbones.describe():
        try:
            if _takes(backbones.get(name), "width"):
                names.append(name)
        except ImportError:
            # A broken plugin is not what the user asked about.
            continue
    return names
