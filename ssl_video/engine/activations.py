"""Activation checkpointing: memory for time. Blocks keep their inputs, and run again for the backward pass.

Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016, arXiv:1604.06174.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from ssl_video.backbones.shift import TemporalShift
from ssl_video.errors import InputError

_LISTS = (nn.ModuleList, nn.Sequential)


def blocks(network: nn.Module) -> list[nn.Module]:
    """The repeated blocks of a network, the innermost ones: residual blocks, transformer blocks.

    A block stands in a list beside others of its class, and holds more than one convolution or linear layer.
    """
    found = [
        child
        for module in network.modules()
        if isinstance(module, _LISTS)
        for child in module
        if sum(type(child) is type(other) for other in module) > 1 and _layers(child) > 1
    ]
    outer = {id(block) for block in found if any(inner in found for inner in list(block.modules())[1:])}
    return [block for block in found if id(block) not in outer]


def find_blocks(network: nn.Module, name: str) -> list[nn.Module]:
    """The blocks of a network that must have some; `name` is what it is called where it has none.

    Raises:
        InputError: it has none.
    """
    found = blocks(network)
    if not found:
        raise InputError(
            f"--activation-checkpointing needs a network of repeated blocks, and {name} has none: "
            "leave it out, or use another backbone, for example slow_r50"
        )
    return found


def save_activations(network: nn.Module) -> None:
    """Let every block of a network keep its inputs alone. Names in its state dict stay.

    A copy of the network must be made before: its blocks would run the original's.

    Raises:
        InputError: the network has no repeated blocks.
    """
    for block in find_blocks(network, type(network).__name__):
        _wrap(block)


def saved_bytes(work: Any) -> int:
    """Bytes that a forward pass keeps for its backward pass; a tensor kept twice counts once.

    Args:
        work: called once, without arguments.
    """
    sizes: dict[int, int] = {}
    alive = []

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)  # or its place could be used again, and would count once
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        work()
    return sum(sizes.values())


def _layers(module: nn.Module) -> int:
    """Convolutions and linear layers in a module."""
    weights = (getattr(m, "weight", None) for m in module.modules())
    return sum(isinstance(weight, Tensor) and weight.ndim > 1 for weight in weights)


def _wrap(block: nn.Module) -> None:
    forward = block.forward

    def run(*inputs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*inputs)
        # Looked for at every call: for several processes they may have been replaced since.
        norms = [m for m in block.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        shifts = [m for m in block.modules() if isinstance(m, TemporalShift)]
        frames = [shift.frames for shift in shifts]
        again = _again(norms, [norm.track_running_stats for norm in norms], shifts, frames)
        return checkpoint(forward, *inputs, use_reentrant=False, context_fn=lambda: (nullcontext(), again))

    block.forward = run


@contextmanager
def _again(
    norms: Sequence[nn.modules.batchnorm._BatchNorm],
    tracking: Sequence[bool],
    shifts: Sequence[TemporalShift],
    frames: Sequence[int],
) -> Iterator[None]:
    """Inside, all is as in the first pass, but batch norms average with momentum 0.

    Args:
        norms: the batch norms, and
        tracking: whether they averaged.
        shifts: the temporal shifts, and
        frames: the frames of the clips that passed; clips of another length may have passed since.
    """
    before = [(norm.momentum, norm.num_batches_tracked, norm.track_running_stats) for norm in norms]
    for shift, length in zip(shifts, frames, strict=True):
        shift.frames = length
    for norm, tracked in zip(norms, tracking, strict=True):
        norm.momentum, norm.track_running_stats = 0.0, tracked
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, state in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked, norm.track_running_stats = state
