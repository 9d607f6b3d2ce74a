"""The cost of a method's step: operations and passes, which are counted, so equal on every machine."""

from collections import Counter
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from ssl_video.contract import Algorithm, Task
from ssl_video.networks import assemble, flops
from ssl_video.networks.random_batch import random_batch
from ssl_video.registry import algorithms
from ssl_video.spec import build

# Frames and stride are divisible by the rates of all methods, the size by their patches.
BACKBONE, FRAMES, STRIDE, SIZE = "tiny3d", 8, 8, 32
LABELED, UNLABELED = 8, 8
PROGRESS = 0.5
_CLASSES = 10
_BASELINE = "supervised"

# Number of clips that passed through a network, by its name and with or without gradient.
_Count = Counter[tuple[str, bool]]


@dataclass(frozen=True)
class Passes:
    """The number of passes of each clip of a step through a network.

    Attributes:
        labeled: passes of a labeled clip, with gradient and without.
        unlabeled: passes of an unlabeled clip likewise, over all its views.
    """

    labeled: tuple[float, float]
    unlabeled: tuple[float, float]


@dataclass(frozen=True)
class LossCost:
    """The cost of one loss and its backward pass.

    Attributes:
        operations: multiply-adds of all networks and losses.
        relative: operations relative to supervised-only's, with the same number of labeled clips.
        passes: by network: the roles, then copies of them such as teachers.
    """

    operations: int
    relative: float
    passes: dict[str, Passes]


def small(name: str) -> Algorithm:
    """Return an algorithm with its default options and a small 3D network in every role.

    Raises:
        InputError: no such algorithm, or one with options that have no default.
    """
    return _assembly(name).algorithm


@cache
def count(name: str) -> LossCost:
    """Count the cost of a step of `LABELED` labeled, `UNLABELED` unlabeled clips, halfway through training.

    Raises:
        InputError: see `small`.
    """
    operations, few = _count(name, UNLABELED)
    _, many = _count(name, 2 * UNLABELED)
    baseline = operations if name == _BASELINE else count(_BASELINE).operations
    passes = {}
    for network in dict.fromkeys([*small(name).roles, *(network for network, _ in few)]):
        kinds = [(few[network, kind], many[network, kind]) for kind in (True, False)]
        # The number of passes is linear in both kinds of clips, so a second count separates them, even
        # if a method passes them together or mixes them.
        unlabeled = [(more - less) / UNLABELED for less, more in kinds]
        labeled = [(less - u * UNLABELED) / LABELED for (less, _), u in zip(kinds, unlabeled, strict=True)]
        passes[network] = Passes((labeled[0], labeled[1]), (unlabeled[0], unlabeled[1]))
    return LossCost(operations, operations / baseline, passes)


def _assembly(name: str) -> assemble.Assembly:
    roles = getattr(algorithms.get(name), "roles", {})
    spec = build(
        {
            **{"algorithm": name, "backbone": BACKBONE, "frames": FRAMES, "stride": STRIDE, "size": SIZE},
            "networks": {role: {"backbone": BACKBONE} for role in roles},
        }
    )
    with torch.random.fork_rng(devices=[]):
        return assemble.assemble(
            assemble.resolve(spec, torch.device("cpu")), Task(_CLASSES, num_unlabeled=4 * UNLABELED)
        )


def _count(name: str, unlabeled: int) -> tuple[int, _Count]:
    """Count the multiply-adds of one step, and the clips that pass through each network."""
    assembly = _assembly(name)
    algorithm, clips = assembly.algorithm.train(), _Count()
    for path, network in _networks(algorithm).items():

        def passed(_: nn.Module, inputs: tuple[Tensor, ...], logits: Tensor, path: str = path) -> None:
            clips[path, logits.requires_grad] += len(inputs[0])

        network.register_forward_hook(passed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        batch = random_batch(assembly, LABELED, unlabeled, classes=_CLASSES, size=SIZE)
        with flops.counter() as counting:
            algorithm(batch, PROGRESS).loss.backward()
    # torch counts a multiply-add as two operations.
    return counting.get_total_flops() // 2, clips


def _networks(algorithm: Algorithm) -> dict[str, nn.Module]:
    """Return the roles' networks and their copies: modules whose weights have the same names and shapes."""
    kinds = {_weights(algorithm.get_submodule(role)) for role in algorithm.roles}
    found = {path: m for path, m in algorithm.named_modules() if _weights(m) in kinds}
    names = {id(m): name for name, model in algorithm.predictors().items() for m in model.modules()}
    return {names.get(id(module), path): module for path, module in found.items()}


def _weights(module: nn.Module) -> tuple[tuple[str, torch.Size], ...]:
    return tuple((name, tensor.shape) for name, tensor in module.state_dict().items())
