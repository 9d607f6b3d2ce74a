"""Activation checkpointing saves memory: blocks store only their inputs and run again for the backward pass.

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
    """Return the innermost repeated blocks of a network: residual blocks, transformer blocks.

    A block is in a list with others of its class and has more than one convolution or linear layer.
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
    """Return the blocks of a network that must have some; `name` is the network's name in the error.

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
    """Let every block of a network store only its inputs; names in its state dict do not change.

    Copy the network before: a later copy's blocks would run those of the original.

    Raises:
        InputError: the network has no repeated blocks.
    """
    for block in find_blocks(network, type(network).__name__):
        _wrap(block)


def saved_bytes(work: Any) -> int:
    """Return the bytes that a forward pass saves for its backward pass; a tensor saved twice counts once.

    Args:
        work: called once, without arguments.
    """
    sizes: dict[int, int] = {}
    alive = []

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        alive.append(tensor)  # or its memory could be reused, and both tensors would count as one
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        work()
    return sum(sizes.values())


def _layers(module: nn.Module) -> int:
    """Return the number of convolutions and linear layers in a module."""
    weights = (getattr(m, "weight", None) for m in module.modules())
    return sum(isinstance(weight, Tensor) and weight.ndim > 1 for weight in weights)


def _wrap(block: nn.Module) -> None:
    forward = block.forward

    def run(*inputs: Any, **named: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*inputs, **named)
        # Searched at every call, because conversion to synchronised batch norm may have replaced them.
        norms = [m for m in block.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        shifts = [m for m in block.modules() if isinstance(m, TemporalShift)]
        frames = [shift.frames for shift in shifts]
        again = _again(norms, [norm.track_running_stats for norm in norms], shifts, frames)
        return checkpoint(
            forward, *inputs, use_reentrant=False, context_fn=lambda: (nullcontext(), again), **named
        )

    block.forward = run


@contextmanager
def _again(
    norms: Sequence[nn.modules.batchnorm._BatchNorm],
    tracking: Sequence[bool],
    shifts: Sequence[TemporalShift],
    frames: Sequence[int],
) -> Iterator[None]:
    """Restore the state of the first pass for a second one, with momentum 0 of the batch norms.

    Args:
        norms: the batch norms.
        tracking: whether each updated its running averages in the first pass.
        shifts: the temporal shifts.
        frames: the clip length of each in the first pass; clips of another length may have passed since.
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
