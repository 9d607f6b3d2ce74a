"""The convolutional networks of pytorchvideo, with the architectures of its model zoo.

Differences from `pytorchvideo.models.hub`, none of which has parameters:
- The head pools globally instead of with a fixed window, so that any clip size will do. At the size that a
  network was designed for this is the same; at a larger one pytorchvideo averages overlapping windows,
  which counts the middle of the clip more often than its border.
- Logits come out; pytorchvideo ends X3D and R(2+1)D with a softmax.
- X3D's activation is torch's SiLU; pytorchvideo has its own code for the same function, which relies on a
  feature that torch has deprecated.
- SlowFast takes one clip and cuts both pathways from it, every frame and every 4th one.
"""

from typing import Any

from torch import Tensor, nn

from ssl_video.backbones.libraries import importing
from ssl_video.errors import InputError
from ssl_video.registry import backbone

_SPEEDS = 4  # frames of SlowFast's fast pathway for each of the slow one (alpha of arXiv:1812.03982)


@backbone("slow_r50")
def slow_r50(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """Slow R50, a 3D-ResNet50 with temporal kernels in its last two stages; home size 8x224 (32.5 M)."""
    return _resnet("slow_r50", num_classes, stem_dim_out=_channels(width))


@backbone("c2d_r50")
def c2d_r50(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """C2D R50, a ResNet50 on frames, with pooling as its only temporal part; home size 8x224 (24.3 M)."""
    _at_least_two(frames, "c2d_r50")
    return _resnet("c2d_r50", num_classes, stem_dim_out=_channels(width))


@backbone("i3d_r50")
def i3d_r50(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """I3D R50, a ResNet50 inflated to 3D (Carreira and Zisserman 2017); home size 8x224 (28.0 M)."""
    _at_least_two(frames, "i3d_r50")
    return _resnet("i3d_r50", num_classes, stem_dim_out=_channels(width))


@backbone("r2plus1d_r50")
def r2plus1d_r50(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """R(2+1)D R50, convolutions split into space and time (Tran et al. 2018); home size 16x224 (28.1 M)."""
    return _resnet("r2plus1d_r50", num_classes, stem_dim_out=_channels(width))


@backbone("csn_r101")
def csn_r101(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """CSN R101, channel-separated convolutions (Tran et al. 2019); home size 32x224 (22.2 M)."""
    return _resnet("csn_r101", num_classes, stem_dim_out=_channels(width))


@backbone("slowfast_r50")
def slowfast_r50(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """SlowFast R50, two pathways cut from one clip (Feichtenhofer et al. 2019); home size 32x224 (34.6 M)."""
    if frames % _SPEEDS:
        raise InputError(
            f"slowfast_r50: {frames} frames cannot be cut into its two pathways, the slow one has every "
            f"{_SPEEDS}th frame: use a multiple of {_SPEEDS}"
        )
    slow = _channels(width)
    network = _resnet("slowfast_r50", num_classes, stem_dim_outs=(slow, slow // 8))
    return SlowFast(network.blocks)


@backbone("x3d_xs")
def x3d_xs(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """X3D-XS (Feichtenhofer 2020), the network of X3D-S and X3D-M; home size 4x160 (3.8 M)."""
    return _x3d("x3d_xs", num_classes, width)


@backbone("x3d_s")
def x3d_s(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """X3D-S (Feichtenhofer 2020), the network of X3D-XS and X3D-M; home size 13x160 (3.8 M)."""
    return _x3d("x3d_s", num_classes, width)


@backbone("x3d_m")
def x3d_m(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """X3D-M (Feichtenhofer 2020), the network of X3D-XS and X3D-S; home size 16x224 (3.8 M)."""
    return _x3d("x3d_m", num_classes, width)


class SlowFast(nn.Module):
    """A two-pathway network that is fed one clip.

    Args:
        blocks: what pytorchvideo's network consists of, kept under the same name as there, so that
            checkpoints fit.
    """

    def __init__(self, blocks: nn.ModuleList) -> None:
        super().__init__()
        self.blocks = blocks

    def forward(self, clip: Tensor) -> Tensor:
        """Clip (N, 3, T, H, W), T a multiple of 4 -> logits (N, classes)."""
        features: Any = [clip[:, :, ::_SPEEDS], clip]  # slow (N, 3, T/4, H, W), fast (N, 3, T, H, W)
        for block in self.blocks:
            features = block(features)
        logits: Tensor = features
        return logits


def _resnet(name: str, num_classes: int, **stem: Any) -> Any:
    return _hub(name, num_classes, head_pool=nn.AdaptiveAvgPool3d, **stem)


def _x3d(name: str, num_classes: int, width: float) -> Any:
    _channels(width)
    # 2 is the width factor of every published X3D; pytorchvideo rounds the channels to multiples of 8.
    network = _hub(name, num_classes, width_factor=2.0 * width, inner_act=nn.SiLU)
    network.blocks[-1].pool.pool = nn.AdaptiveAvgPool3d(1)
    return network


def _hub(name: str, num_classes: int, **options: Any) -> Any:
    """An architecture of the model zoo, not its weights: nothing is downloaded."""
    with importing("pytorchvideo"):
        from pytorchvideo.models import hub
    build = getattr(hub, name)
    return build(pretrained=False, model_num_class=num_classes, head_activation=None, **options)


def _channels(width: float) -> int:
    """Channels of the first layer. SlowFast's fast pathway has an eighth of them, the least is 1."""
    if not (8 * width).is_integer():
        raise InputError(
            f"width {width:g}: the networks of pytorchvideo take multiples of 1/8, such as 0.25 or 0.5"
        )
    return int(64 * width)


def _at_least_two(frames: int, name: str) -> None:
    if frames < 2:
        raise InputError(f"{name} halves the number of frames, so a clip needs at least 2, not {frames}")
