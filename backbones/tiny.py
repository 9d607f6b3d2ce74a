"""A network small enough to train on one CPU core in seconds, for the demo and for experiments.

Fifteen networks were tried on drafts of the demo data (2026-11, supervised, all labels and few), and this one
had the best accuracy for its time. Residual networks took twice as long per step, and max pooling learned
worse. Halving the number of frames before the widest layers was no worse than after them, and faster.
"""

from typing import Any

from torch import nn

from ssl_video.registry import backbone


@backbone("tiny3d")
def tiny3d(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """Four 3D convolutions, 16 channels at the start, and average pooling, for clips of any shape."""
    channels = max(1, round(16 * width))
    network: Any = nn.Sequential(
        _convolution(3, channels, (1, 2, 2)),
        _convolution(channels, 2 * channels, (2, 2, 2)),
        _convolution(2 * channels, 4 * channels, (1, 1, 1)),
        _convolution(4 * channels, 4 * channels, (2, 2, 2)),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(4 * channels, num_classes),
    )
    network.stages = ("0", "1", "2", "3")
    return network


def _convolution(before: int, after: int, stride: tuple[int, int, int]) -> nn.Module:
    """Build a 3x3x3 convolution with batch norm and ReLU; clips (N, before, T, H, W) shrink by the stride."""
    return nn.Sequential(
        nn.Conv3d(before, after, 3, stride, padding=1, bias=False),
        nn.BatchNorm3d(after),
        nn.ReLU(inplace=True),
    )
