"""The video networks of torchvision: three 18-layer ResNets, S3D and the Video Swin Transformers.

MViT is in `mvit.py`. Differences from torchvision, none of which has parameters:
- S3D's last pooling has a window of 2 x 7 x 7, here limited to the size of its input, so that clips of less
  than 13 frames or 209 pixels work.
- Swin takes a width. The functions of torchvision have none, so its published settings are repeated here.

If there are fewer patches than an attention window holds, as in the last stage at sizes below 193, Swin uses
the first entries of its tables of relative positions, here as in the authors' own code.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.backbones.libraries import importing
from ssl_video.backbones.limits import check_clip, scaled
from ssl_video.registry import backbone


@backbone("r3d_18", inputs="weights")
def r3d_18(num_classes: int, *, frames: int, size: int) -> nn.Module:
    """3D-ResNet18 (R3D, Tran et al. 2018).

    arXiv:1711.11248
    """
    return _resnet("r3d_18", num_classes)


@backbone("mc3_18", inputs="weights")
def mc3_18(num_classes: int, *, frames: int, size: int) -> nn.Module:
    """ResNet18, 3D in its first two stages, 2D after them (MC3)."""
    return _resnet("mc3_18", num_classes)


@backbone("r2plus1d_18", inputs="weights")
def r2plus1d_18(num_classes: int, *, frames: int, size: int) -> nn.Module:
    """ResNet18, convolutions split in space and time (R(2+1)D)."""
    return _resnet("r2plus1d_18", num_classes)


@backbone("s3d", inputs="weights")
def s3d(num_classes: int, *, frames: int, size: int) -> nn.Module:
    """Inception, convolutions split in space and time (S3D).

    Xie et al. 2018, arXiv:1712.04851.
    """
    # Strides of 2 round up, except the last, which rounds down: 5 frames -> 3 -> 2 -> 1.
    check_clip("s3d", frames, size, "it leaves 1/8 of the frames and 1/32 of the size", at_least=(5, 17))
    network = architecture("s3d", num_classes)
    network.avgpool = AtMostPool()
    network.tokens_from = "features"  # its pooling leaves several places of long clips
    return network


@backbone("swin3d_t", inputs="weights")
def swin3d_t(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """Video Swin Transformer, tiny: attention in shifted windows.

    Liu et al. 2022, arXiv:2106.13230.
    """
    return _swin(num_classes, scaled(96, width), blocks=[2, 2, 6, 2], heads=[3, 6, 12, 24])


@backbone("swin3d_s", inputs="weights")
def swin3d_s(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """Video Swin Transformer, small: three times the third stage."""
    return _swin(num_classes, scaled(96, width), blocks=[2, 2, 18, 2], heads=[3, 6, 12, 24])


@backbone("swin3d_b", inputs="weights")
def swin3d_b(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """Video Swin Transformer, base: small's depth, 4/3 its width."""
    return _swin(num_classes, scaled(128, width), blocks=[2, 2, 18, 2], heads=[4, 8, 16, 32])


def architecture(name: str, num_classes: int) -> Any:
    """Return a network of `torchvision.models.video` without its weights: nothing is downloaded.

    Raises:
        InputError: torchvision cannot be imported.
    """
    with importing("torchvision"):
        from torchvision.models import video
    return getattr(video, name)(weights=None, num_classes=num_classes)


class AtMostPool(nn.Module):
    """S3D's average over windows of 2 x 7 x 7, limited to the size of the input."""

    def forward(self, features: Tensor) -> Tensor:
        """Average features (N, C, T, H, W) -> (N, C, T - 1, H - 6, W - 6), at least 1 of each."""
        window = [min(side, there) for side, there in zip((2, 7, 7), features.shape[2:], strict=True)]
        return F.avg_pool3d(features, window, stride=1)


def _resnet(name: str, num_classes: int) -> Any:
    network = architecture(name, num_classes)
    network.stages = ("layer1", "layer2", "layer3", "layer4")
    return network


def _swin(num_classes: int, channels: int, blocks: list[int], heads: list[int]) -> nn.Module:
    with importing("torchvision"):
        from torchvision.models.video import SwinTransformer3d
    return SwinTransformer3d(
        patch_size=[2, 4, 4],
        embed_dim=channels,
        depths=blocks,
        num_heads=heads,
        window_size=[8, 7, 7],
        stochastic_depth_prob=0.1,
        num_classes=num_classes,
    )
