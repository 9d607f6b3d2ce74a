"""The convolutional networks of pytorchvideo, with the architectures of its model zoo.

All classifiers of `pytorchvideo.models.hub` are here or, for MViT, in `mvit.py`. Not included:
`slow_r50_detection` and `slowfast_r50_detection` (detection models), and `mvit_base_16` (an image model).

Differences from the hub, none of which has parameters:
- The head pools globally instead of with a fixed window, so that any clip size works. At the size that a
  network was designed for this is the same. At a larger one pytorchvideo averages overlapping windows,
  which counts the middle of the clip more often than its border.
- The outputs are logits; pytorchvideo ends X3D and R(2+1)D with a softmax.
- X3D's activation is torch's SiLU. pytorchvideo has its own code for the same function, which relies on a
  feature that torch has deprecated.
- SlowFast takes one clip and cuts both pathways from it: every frame, and every 4th one.
"""

from typing import Any

from torch import Tensor, nn

from ssl_video.backbones.libraries import importing
from ssl_video.backbones.limits import check_clip, scaled
from ssl_video.registry import backbone

_SPEEDS = 4  # frames of SlowFast's fast pathway per frame of the slow one (alpha of arXiv:1812.03982)


@backbone("slow_r50")
def slow_r50(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """3D-ResNet50, temporal kernels in the last two stages.

    The slow pathway of SlowFast alone (Feichtenhofer et al. 2019, arXiv:1812.03982).
    """
    return _resnet("slow_r50", num_classes, stem_dim_out=scaled(64, width))


@backbone("c2d_r50")
def c2d_r50(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """ResNet50 on frames; pooling is its only temporal part."""
    _halves_frames("c2d_r50", frames, size)
    return _resnet("c2d_r50", num_classes, stem_dim_out=scaled(64, width))


@backbone("i3d_r50")
def i3d_r50(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """ResNet50 inflated to 3D (Carreira and Zisserman 2017).

    arXiv:1705.07750
    """
    _halves_frames("i3d_r50", frames, size)
    return _resnet("i3d_r50", num_classes, stem_dim_out=scaled(64, width))


@backbone("r2plus1d_r50")
def r2plus1d_r50(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """ResNet50, convolutions split in space and time (R(2+1)D).

    Tran et al. 2018, arXiv:1711.11248.
    """
    return _resnet("r2plus1d_r50", num_classes, stem_dim_out=scaled(64, width))


@backbone("csn_r101")
def csn_r101(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """ResNet101 of channel-separated convolutions (CSN).

    Tran et al. 2019, arXiv:1904.02811.
    """
    return _resnet("csn_r101", num_classes, stem_dim_out=scaled(64, width))


@backbone("slowfast_r50")
def slowfast_r50(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """Two ResNet50 pathways, at 1/4 and all of the frames.

    SlowFast (Feichtenhofer et al. 2019, arXiv:1812.03982); "8x8" in its name elsewhere is the slow pathway's.
    """
    return _slowfast("slowfast_r50", num_classes, width, frames, size)


@backbone("slowfast_r101")
def slowfast_r101(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """SlowFast with 101 layers per pathway."""
    return _slowfast("slowfast_r101", num_classes, width, frames, size)


@backbone("slowfast_16x8_r101_50_50")
def slowfast_16x8_r101_50_50(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """SlowFast R101 for twice the frames, fewer temporal kernels."""
    return _slowfast("slowfast_16x8_r101_50_50", num_classes, width, frames, size)


@backbone("x3d_xs")
def x3d_xs(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """X3D: thin, depthwise 3D convolutions; S and M are the same.

    Feichtenhofer 2020, arXiv:2004.04730. XS, S and M differ only in their clips.
    """
    return _x3d("x3d_xs", num_classes, width)


@backbone("x3d_s")
def x3d_s(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """X3D-XS for longer clips."""
    return _x3d("x3d_s", num_classes, width)


@backbone("x3d_m")
def x3d_m(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """X3D-XS for longer and larger clips."""
    return _x3d("x3d_m", num_classes, width)


@backbone("x3d_l")
def x3d_l(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """X3D with more than twice the depth."""
    return _x3d("x3d_l", num_classes, width)


@backbone("efficient_x3d_xs")
def efficient_x3d_xs(num_classes: int, *, frames: int, size: int) -> nn.Module:
    """X3D-XS as built for mobile processors; S is the same.

    It has one batch norm more than X3D, after the first stage's shortcut.
    """
    return _efficient_x3d("efficient_x3d_xs", num_classes)


@backbone("efficient_x3d_s")
def efficient_x3d_s(num_classes: int, *, frames: int, size: int) -> nn.Module:
    """X3D-S as built for mobile processors."""
    return _efficient_x3d("efficient_x3d_s", num_classes)


def architecture(name: str, **options: Any) -> Any:
    """Return a network of pytorchvideo's hub without its weights: nothing is downloaded.

    Raises:
        InputError: pytorchvideo cannot be imported.
    """
    with importing("pytorchvideo"):
        from pytorchvideo.models import hub
    return getattr(hub, name)(pretrained=False, **options)


class SlowFast(nn.Module):
    """A two-pathway network that takes one clip.

    Args:
        blocks: the blocks of pytorchvideo's network, stored under the same name as there, so that
            checkpoints fit.
    """

    def __init__(self, blocks: nn.ModuleList) -> None:
        super().__init__()
        self.blocks = blocks

    def forward(self, clip: Tensor) -> Tensor:
        """Map a clip (N, 3, T, H, W), T a multiple of 4 -> logits (N, classes)."""
        features: Any = [clip[:, :, ::_SPEEDS], clip]  # slow (N, 3, T/4, H, W), fast (N, 3, T, H, W)
        for block in self.blocks:
            features = block(features)
        logits: Tensor = features
        return logits


def _resnet(name: str, num_classes: int, **stem: Any) -> Any:
    network = architecture(
        name, model_num_class=num_classes, head_pool=nn.AdaptiveAvgPool3d, head_activation=None, **stem
    )
    network.stages = _stages(network)
    return network


def _slowfast(name: str, num_classes: int, width: float, frames: int, size: int) -> nn.Module:
    why = f"its slow pathway has every {_SPEEDS}th frame"
    check_clip(name, frames, size, why, multiples_of=(_SPEEDS, 1))
    slow = scaled(64, width)
    return SlowFast(_resnet(name, num_classes, stem_dim_outs=(slow, slow // 8)).blocks)


def _x3d(name: str, num_classes: int, width: float) -> Any:
    # 2 is the width factor of every published X3D: the stem has 24 channels, 2 * 12. pytorchvideo rounds
    # numbers of channels to multiples of 8.
    factor = scaled(24, width) / 12
    network = architecture(
        name, model_num_class=num_classes, head_activation=None, width_factor=factor, inner_act=nn.SiLU
    )
    network.blocks[-1].pool.pool = nn.AdaptiveAvgPool3d(1)
    network.stages = _stages(network)
    return network


def _stages(network: Any) -> tuple[str, ...]:
    """Return the names of the four stages of one pathway; of two pathways, none."""
    from pytorchvideo.models.resnet import ResStage

    return tuple(f"blocks.{i}" for i, block in enumerate(network.blocks) if isinstance(block, ResStage))


def _efficient_x3d(name: str, num_classes: int) -> Any:
    network = architecture(name, num_classes=num_classes)
    from pytorchvideo.layers.accelerator.mobile_cpu.activation_functions import Swish

    for module in network.modules():
        if isinstance(module, Swish):
            module.act = nn.SiLU()
    return network


def _halves_frames(name: str, frames: int, size: int) -> None:
    check_clip(name, frames, size, "it halves the number of frames", at_least=(2, 1))
