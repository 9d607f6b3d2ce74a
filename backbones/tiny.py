"""A network small enough to train on a laptop."""

from torch import nn

from ssl_video.registry import backbone


@backbone("tiny3d")
def tiny3d(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """Four 3D convolutions with batch norm, 16 channels wide at the start: trains in seconds on a laptop."""
    base = max(1, round(16 * width))
    layers: list[nn.Module] = []
    before = 3
    for channels, stride in (
        (base, (1, 2, 2)),
        (2 * base, (2, 2, 2)),
        (4 * base, (1, 1, 1)),
        (4 * base, (2, 2, 2)),
    ):
        layers += [
            nn.Conv3d(before, channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm3d(channels),
            nn.ReLU(inplace=True),
        ]
        before = channels
    return nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(before, num_classes))
