"""Memory format of networks, and fast CPU versions of 3D convolutions that need no 3D kernel.

Everything is channels last: clips arrive in this layout, GPUs and oneDNN are fastest with it, and it makes a
clip a table of pixels with one row of channels each. For a 1x1x1 or kx1x1 kernel on fewer than 16 clips and
one thread, torch loops over clips and copies everything into the contiguous layout and back. A matrix
product, or a 2D convolution over (frames, pixels), gives the same numbers up to rounding without a copy.
"""

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Placed = TypeVar("Placed", bound=nn.Module)


class PointwiseConv3d(nn.Conv3d):
    """A 1x1x1 kernel as a matrix product."""

    def forward(self, clips: Tensor) -> Tensor:
        """Map (N, C, T, H, W) to (N, D, T, H, W)."""
        rows = clips.permute(0, 2, 3, 4, 1)  # (N, T, H, W, C), no copy where channels are last
        made: Tensor = F.linear(rows, self.weight.flatten(1), self.bias)
        return made.permute(0, 4, 1, 2, 3)


class TemporalConv3d(nn.Conv3d):
    """A kx1x1 kernel as a 2D convolution over frames and pixels."""

    def forward(self, clips: Tensor) -> Tensor:
        """Map (N, C, T, H, W) to (N, D, T', H, W)."""
        size = clips.shape[3:]
        # (N, C, T, H, W) -> (N, T, H * W, C) -> (N, C, T, H * W), no copy where channels are last
        table = clips.permute(0, 2, 3, 4, 1).flatten(2, 3).permute(0, 3, 1, 2)
        padding = (int(self.padding[0]), 0)
        kernel = self.weight.flatten(3)
        if len(kernel) == 1:
            # In bfloat16, torch's code for processors without such instructions fails on this layout only:
            # "slow_conv2d: grad_weight must be contiguous" (torch 2.14).
            kernel = kernel.contiguous()
        made = F.conv2d(table, kernel, self.bias, padding=padding, groups=self.groups)
        return made.permute(0, 2, 3, 1).unflatten(2, size).permute(0, 4, 1, 2, 3)


def place(network: Placed, device: torch.device) -> Placed:
    """Move a network to a device, with kernels in channels-last layout.

    On the CPU, 1x1x1 and kx1x1 convolutions become the classes above; names of weights do not change.
    """
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in network.parameters():
        if parameter.ndim in layouts:
            parameter.data = parameter.data.to(memory_format=layouts[parameter.ndim])
    if device.type == "cpu":
        for module in network.modules():
            if type(module) is nn.Conv3d:
                module.__class__ = _flat(module)
    return network.to(device)


def _flat(layer: nn.Conv3d) -> type[nn.Conv3d]:
    """Return the class that computes a layer without a 3D kernel, or Conv3d where torch is already fast."""
    # Strided and dilated layers never take torch's slow path.
    plain = layer.stride == layer.dilation == (1, 1, 1) and layer.padding_mode == "zeros"
    if plain and layer.kernel_size == (1, 1, 1) and layer.padding == (0, 0, 0) and layer.groups == 1:
        return PointwiseConv3d
    if plain and layer.kernel_size[1:] == (1, 1) and layer.padding[1:] == (0, 0):
        return TemporalConv3d
    return nn.Conv3d
