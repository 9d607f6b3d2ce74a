"""The temporal shift: frame networks that see the previous and next frames, without further parameters.

Lin, Gan and Han, "TSM: Temporal Shift Module for Efficient Video Understanding", 2019, arXiv:1811.08383.

The shift is placed before the first convolution of every residual block, beside the shortcut, so that a
frame's own features are not lost ("residual shift"). The names and shapes of a network's tensors stay the
same.

Differences from the paper's code: it leaves out every second block of ResNet-101; here every residual block
of every network shifts.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

_FRACTION = 8  # one in 8 channels is shifted in each direction
_NAME = "temporal_shift"

# timm's names for the first convolution of a residual block, apart from the shortcut's.
_FIRST = {"conv1", "conv1_1x1", "conv1_kxk", "conv_dw", "conv_exp", "conv_pw", "dw_start", "pw_exp"}
_SHORTCUT = {"conv_s2d", "downsample", "shortcut"}


class TemporalShift(nn.Module):
    """Shift of some channels of every frame by one frame forward or back; clips are padded with zeros.

    Attributes:
        frames: T, the number of frames of a clip; set before each forward pass, see `set_frames`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.frames = 1

    def forward(self, features: Tensor) -> Tensor:
        """Shift features (N*T, C, H, W), a clip's frames one after the other -> the same shape.

        The first eighth of each frame's channels comes from the next frame, the second eighth from the
        previous one (the order of the paper's code).
        """
        fold = features.shape[1] // _FRACTION
        clips = features.unflatten(0, (-1, self.frames))  # (N*T, C, H, W) -> (N, T, C, H, W)
        shifted = clips.clone()
        shifted[:, :-1, :fold] = clips[:, 1:, :fold]
        shifted[:, -1, :fold] = 0
        shifted[:, 1:, fold : 2 * fold] = clips[:, :-1, fold : 2 * fold]
        shifted[:, 0, fold : 2 * fold] = 0
        return shifted.flatten(0, 1)


def add_shifts(network: nn.Module, image: Tensor) -> int:
    """Put a temporal shift before the first convolution of every residual block.

    Args:
        network: an image network (N, 3, H, W) -> (N, classes), in evaluation mode.
        image: (1, 3, H, W), passed once to find the blocks with a shortcut.

    Returns:
        The number of residual blocks; 0 leaves the network unchanged.
    """
    found = {block: first for block in network.modules() if (first := _first_convolution(block)) is not None}
    residual = _with_shortcut(network, found, image)
    for block in residual:
        # As a sub-module, each replica of the network on another device has its own.
        found[block].add_module(_NAME, TemporalShift())
        found[block].register_forward_pre_hook(_shift)
    return len(residual)


def set_frames(network: nn.Module, frames: int) -> None:
    """Set the number of frames per clip of the next forward pass in all temporal shifts of a network."""
    for module in network.modules():
        if isinstance(module, TemporalShift):
            module.frames = frames


def _shift(convolution: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    shifted: Tensor = convolution.get_submodule(_NAME)(*inputs)
    return shifted


def _first_convolution(block: nn.Module) -> nn.Module | None:
    """Return a potential residual block's first convolution, with its normalisation, by its parts' names."""
    for name, part in block.named_children():
        if name not in _SHORTCUT and any(isinstance(module, nn.Conv2d) for module in part.modules()):
            # A module added to a sequence would become a part of it.
            while isinstance(part, nn.Sequential):
                part = part[0]
            return part if name in _FIRST else None
    return None


def _with_shortcut(
    network: nn.Module, first: Mapping[nn.Module, nn.Module], image: Tensor
) -> list[nn.Module]:
    """Return the blocks whose input reaches their output although their first convolution gets zeros."""
    entered, residual = dict[nn.Module, list[Tensor]](), list[nn.Module]()

    def enter(block: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        inputs = tuple(x.detach().requires_grad_() if isinstance(x, Tensor) else x for x in inputs)
        entered[block] = [x for x in inputs if isinstance(x, Tensor)]
        # Copies, because a block may change its input in place.
        return tuple(x.clone() if isinstance(x, Tensor) else x for x in inputs)

    def cut(_: nn.Module, inputs: tuple[Tensor]) -> Tensor:
        return torch.zeros_like(inputs[0])

    def leave(block: nn.Module, _: Any, output: Any) -> None:
        if not (isinstance(output, Tensor) and entered[block]):
            return  # lists of tensors, as in densely connected networks
        gradients = torch.autograd.grad(output.sum(), entered[block], allow_unused=True)
        if any(gradient is not None for gradient in gradients):
            residual.append(block)

    with ExitStack() as hooks, torch.enable_grad():
        for block, convolution in first.items():
            hooks.enter_context(block.register_forward_pre_hook(enter))
            hooks.enter_context(convolution.register_forward_pre_hook(cut))
            hooks.enter_context(block.register_forward_hook(leave))
        network(image)
    # Attention inside a residual block may look like a residual block.
    inner = {module for block in residual for module in list(block.modules())[1:]}
    return [block for block in residual if block not in inner]
