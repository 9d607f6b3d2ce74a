"""Build an algorithm with its networks, for a custom training loop."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ssl_video.contract import Algorithm, Task
from ssl_video.errors import InputError
from ssl_video.networks.assemble import assemble, resolve
from ssl_video.registry import algorithms, backbones
from ssl_video.spec import FINE_TUNING, ProbeKind, build

if TYPE_CHECKING:
    from ssl_video.labeled_data import LabeledData


def create(
    algorithm: str | type[Algorithm],
    num_classes: int | None = None,
    *,
    data: "LabeledData | None" = None,
    num_unlabeled: int = 1,
    backbone: str | Any = "tiny3d",
    width: float = 1.0,
    weights: str | None = None,
    weights_prefix: str | None = None,
    probe: ProbeKind = "none",
    networks: Mapping[str, nn.Module | Mapping[str, Any]] | None = None,
    frames: int | None = None,
    stride: int = 4,
    size: int | None = None,
    seed: int = 0,
    **options: Any,
) -> Algorithm:
    """Build an algorithm and the networks that it asks for.

    Args:
        algorithm: a name, "path/to/file.py:name", or a class, also from a notebook.
        num_classes: number of classes.
        data: a data set, which replaces `num_classes`, `num_unlabeled`, `frames`, `stride` and `size`.
        num_unlabeled: number of unlabeled clips, for algorithms that store something for each of them.
        backbone: the backbone of every network without one of its own: a name or a function.
        width: multiplier of the backbone's channels.
        weights: initial weights of the first network: a file, "pretrained" or "imagenet-lite".
        weights_prefix: prefix of the network's tensors in the file, if several fit: "encoder_q".
        probe: head on the frozen networks: "linear", "mlp" or "attentive"; the caller's modules have none.
        networks: by role the caller's module, or settings: {"auxiliary": {"backbone": "x3d_s"}}. A module
            takes clips (N, 3, T, H, W) and returns logits (N, num_classes).
        frames: frames per clip; None: those of a video model of transformers, else 8.
        stride: distance between frames of a clip, in frames of the file.
        size: side of the square crop, in pixels; None: that of a model of transformers, else 64.
        seed: seed of the initial weights.
        options: the algorithm's own hyper-parameters: threshold=0.8.

    Returns:
        The algorithm, a `torch.nn.Module` on the CPU; `algorithm.spec` is the resolved specification.

    Raises:
        InputError: every problem with names, options and networks, at once.
    """
    if data is not None:
        num_classes, num_unlabeled = len(data.classes), len(data.unlabeled)
        frames, stride, size = data.spec.frames, data.spec.stride, data.spec.size
    if num_classes is None:
        raise InputError("create: give num_classes, or the data")
    given = dict(networks or {})
    if problems := [
        f"networks[{role!r}]: {key} is about the optimizer and the steps of sv.train, in place of which you "
        "have your own: leave it out"
        for role, value in given.items()
        for key in FINE_TUNING
        if isinstance(value, Mapping) and value.get(key) is not None
    ]:
        raise InputError(*problems)
    modules = {role: value for role, value in given.items() if isinstance(value, nn.Module)}
    values = {
        "algorithm": algorithms.adopt(algorithm),
        "options": options,
        "backbone": backbones.adopt(backbone),
        "networks": {role: {"probe": "none"} if role in modules else value for role, value in given.items()},
    }
    scalars: dict[str, Any] = {"width": width, "stride": stride, "seed": seed}
    scalars |= {key: value for key, value in (("frames", frames), ("size", size)) if value is not None}
    source = {"weights": weights, "weights_prefix": weights_prefix, "probe": probe}
    spec = resolve(build(values | scalars | source), torch.device("cpu"))
    task = Task(num_classes, max(1, num_unlabeled))
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        built = assemble(spec, task, modules=modules).algorithm
    built.spec, built.task = spec, task
    return built
