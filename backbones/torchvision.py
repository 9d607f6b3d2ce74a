"""The 18-layer video ResNets of torchvision (Tran et al. 2018, arXiv:1711.11248), unchanged.

Their home size is 16x112x112; they pool globally, so any clip will do.
"""

from torch import nn

from ssl_video.backbones.libraries import importing
from ssl_video.registry import backbone


@backbone("r3d_18")
def r3d_18(num_classes: int, *, frames: int, size: int) -> nn.Module:
    """R3D-18: 3D convolutions throughout (33.4 M parameters)."""
    return _build("r3d_18", num_classes)


@backbone("mc3_18")
def mc3_18(num_classes: int, *, frames: int, size: int) -> nn.Module:
    """MC3-18: 3D convolutions in the first two stages, 2D after them (11.7 M parameters)."""
    return _build("mc3_18", num_classes)


@backbone("r2plus1d_18")
def r2plus1d_18(num_classes: int, *, frames: int, size: int) -> nn.Module:
    """R(2+1)D-18: each 3D convolution split into space and time (31.5 M parameters)."""
    return _build("r2plus1d_18", num_classes)


def _build(name: str, num_classes: int) -> nn.Module:
    with importing("torchvision"):
        from torchvision.models import video
    network: nn.Module = getattr(video, name)(weights=None, num_classes=num_classes)
    return network
