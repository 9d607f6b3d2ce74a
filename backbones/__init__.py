"""Backbones: one adapter file per library. `create` is the only entry point.

A backbone is a function `(num_classes, *, frames, size) -> nn.Module` under `@backbone("name")`. Its network
maps a clip (N, 3, T, H, W) to logits (N, num_classes). A keyword `width` means that the number of channels
can be multiplied. A keyword `model` means that it covers many networks, which are named `name/model`. A
keyword `architecture` means that a network is built from a configuration of a folder, see `find_settings`.
"""

import builtins
import contextlib
import functools
import inspect
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ssl_video.backbones import pretrained, transformers
from ssl_video.backbones.inputs import IMAGENET, adjust, make_adjustable, see_motion
from ssl_video.backbones.probe import Kind, Probe
from ssl_video.backbones.transformers import ModelSettings
from ssl_video.backbones.weights import WeightReport, load
from ssl_video.errors import InputError
from ssl_video.registry import backbones

__all__ = ["create", "find", "find_settings"]

log = logging.getLogger(__name__)

# Endings of files of weights.
_WEIGHTS = (".pt", ".pth", ".bin", ".ckpt", ".safetensors", ".npz", ".npy", ".pkl", ".h5")


def create(
    name: str,
    num_classes: int,
    *,
    width: float = 1.0,
    frames: int = 8,
    size: int = 224,
    weights: str | Path | None = None,
    partial: bool = False,
    prefix: str | None = None,
    probe: Kind | None = None,
    motion: bool = False,
    architecture: Mapping[str, Any] | None = None,
    loaded: Callable[[WeightReport], None] = lambda _: None,
) -> nn.Module:
    """Build a network from clips (N, 3, T, H, W) to logits (N, num_classes), for training and evaluation.

    Args:
        name: a backbone's name, `name/model`, or `path/to/file.py:name`.
        num_classes: number of classes.
        width: multiplier of the number of channels, if the backbone has one.
        frames: T, the number of frames of a clip.
        size: height and width of a clip in pixels.
        weights: source of the initial weights, see `ssl_video.backbones.pretrained.find`; without it, the
            network is initialised at random from torch's generator.
        partial: load the tensors that fit, and leave all others of the network at their initial values.
        prefix: prefix of the network's tensors in the weights, see `ssl_video.backbones.weights.load`.
        probe: kind of the trained head on the frozen network, see `ssl_video.backbones.probe`; None: all of
            the network is trained.
        motion: whether the network reads the differences of consecutive frames in place of frames.
        architecture: the configuration of a model of transformers; None: that of its folder.
        loaded: callback for the report on loaded weights, if any.

    Raises:
        InputError: no such backbone, an unsupported value, a library that cannot be imported, or weights that
            do not fit.
    """
    builder = find(name)
    _check_numbers(name, num_classes, width, frames, size, motion)
    options = _builder_options(name, builder, width, architecture) | {"frames": frames, "size": size}
    _check_callable(name, builder, num_classes, options)
    with _without_files_of_weights(name):
        network: nn.Module = builder(num_classes, **options)
    inputs = getattr(_function(builder), "inputs", "clips")
    if inputs != "clips":
        make_adjustable(network)
    if inputs == "imagenet":
        adjust(network, IMAGENET)
    if motion:
        see_motion(network)
    if weights is not None:
        source = pretrained.find(weights, name)
        report = load(network, source, size, partial=partial, prefix=prefix or "", num_classes=num_classes)
        log.log(logging.WARNING if report.partial else logging.INFO, "%s: %s", name, report)
        loaded(report)
    return Probe(network, probe, num_classes, frames=frames, size=size) if probe else network


def _check_numbers(name: str, num_classes: int, width: float, frames: int, size: int, motion: bool) -> None:
    """Check the arguments of `create` that every backbone has.

    Raises:
        InputError: every number that no network can have.
    """
    problems = [
        f"{what} must be a whole number of at least 1, not {value}"
        for what, value in (("num_classes", num_classes), ("frames", frames), ("size", size))
        if value != int(value) or value < 1
    ]
    if motion and frames == 1:
        problems.append("a clip of one frame has no motion: give at least 2 frames")
    if not (width > 0 and math.isfinite(width)):
        problems.append(f"width must be a positive number, not {width}")
    if problems:
        raise InputError(*(f"backbone {name}: {problem}" for problem in problems))


def _builder_options(
    name: str, builder: Callable[..., nn.Module], width: float, architecture: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return those arguments of a backbone's function that not every backbone has.

    Raises:
        InputError: the backbone has no width or architecture, and another than the usual one is given.
    """
    options = dict[str, Any]()
    if _takes(builder, "width"):
        options["width"] = width
    elif width != 1.0:
        raise InputError(
            f"backbone {name} has only one width, so {width:g} is not possible: give 1, or another backbone; "
            f"backbones with a width: {', '.join(_with_width())}"
        )
    if architecture is not None:
        if not _takes(builder, "architecture"):
            raise InputError(f"backbone {name} has no architecture to choose: leave architecture out")
        options["architecture"] = architecture
    return options


def find(name: str) -> Callable[..., nn.Module]:
    """Return the function that builds backbone `name`; for `name/model` the model is bound to it.

    Nothing is built, and the library behind the backbone is not imported.

    Raises:
        InputError: no such backbone, a model that cannot be chosen, or a missing model.
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


def find_settings(name: str) -> ModelSettings | None:
    """Return the settings that the folder of a model of transformers gives; None for other backbones.

    Raises:
        InputError: no such folder, no such model of the hub, or none that is a backbone.
    """
    entry, _, model = name.partition("/")
    return transformers.settings(model) if entry == "transformers" and model and ".py:" not in name else None


def _check_callable(
    name: str, builder: Callable[..., Any], num_classes: int, options: dict[str, Any]
) -> None:
    """Check that a builder accepts its arguments.

    Raises:
        InputError: it lacks an argument, or has another one without a default.
    """
    try:
        inspect.signature(builder).bind(num_classes, **options)
    except TypeError as error:
        raise InputError(
            f"backbone {name}: its function has to take num_classes, and frames and size as keywords, even "
            f"if it ignores them; the call fails: {error}"
        ) from None


@contextlib.contextmanager
def _without_files_of_weights(name: str) -> Iterator[None]:
    """Refuse that a builder reads weights itself: a run could not know when their file changes.

    Only files that Python's `open` opens are noticed, which is how torch.load does; a library that reads
    files in compiled code, as safetensors does, is not.

    Raises:
        InputError: it does.
    """
    plain = builtins.open

    def checked(file: Any, mode: str = "r", *arguments: Any, **more: Any) -> Any:
        if "r" in mode and isinstance(file, str | Path) and str(file).endswith(_WEIGHTS):
            raise InputError(
                f"backbone {name}: its function reads {file}, and weights that it reads itself are not part "
                "of a run's identity: give the file as weights (and partial_weights if it is only a part of "
                "the tensors)"
            )
        return plain(file, mode, *arguments, **more)

    builtins.open = checked
    try:
        yield
    finally:
        builtins.open = plain


def _function(builder: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that was registered."""
    return builder.func if isinstance(builder, functools.partial) else builder


def _takes(builder: Callable[..., Any], keyword: str) -> bool:
    """Return True if a builder has a parameter of that name."""
    return keyword in inspect.signature(builder).parameters


def _with_width() -> list[str]:
    """Return the names of the backbones that have a width multiplier."""
    names = []
    for name in backbones.describe():
        try:
            if _takes(backbones.get(name), "width"):
                names.append(name)
        except ImportError:
            # The user did not ask for a broken plugin.
            continue
    return names
