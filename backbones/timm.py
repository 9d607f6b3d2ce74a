"""Any image network of timm as a video backbone: each frame separately, then the mean over frames.

This is the consensus of TSN (Wang et al. 2016, arXiv:1608.00859). With "+tsm" after the model's name, the
frames of a clip also exchange features, see `ssl_video.backbones.shift`. With "+grid", the network sees all
frames at once, side by side in one image (Fan et al. 2021, arXiv:2106.14104).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ssl_video.backbones import positions
from ssl_video.backbones.libraries import importing
from ssl_video.backbones.matching import Fitted
from ssl_video.backbones.shift import add_shifts, set_frames
from ssl_video.errors import InputError, unknown
from ssl_video.registry import backbone

_SHIFTED, _GRID = "tsm", "grid"


@backbone("timm", inputs="weights")
def frame_network(num_classes: int, *, model: str, frames: int, size: int) -> nn.Module:
    """Any image network of timm, by frame: timm/<model>; +tsm: with shift; +grid: all frames at once."""
    with importing("timm"):
        import timm
    image_model, plus, temporal = model.partition("+")
    known = timm.list_pretrained() if "." in image_model else timm.list_models()
    if image_model not in known:
        raise InputError(unknown("timm model", image_model, known))
    if plus and temporal not in (_SHIFTED, _GRID):
        raise InputError(f"timm/{model}: {unknown('addition to a timm model', temporal, [_SHIFTED, _GRID])}")
    across = _across(frames) if temporal == _GRID else 1
    # Only networks with positional tables of a fixed size take (and need) the size.
    settings = timm.get_pretrained_cfg(image_model)
    fixed = settings is not None and settings.fixed_input_size
    side = across * size
    image = torch.zeros(1, 3, side, side)
    try:
        network: nn.Module = timm.create_model(
            image_model, pretrained=False, num_classes=num_classes, img_size=side if fixed else None
        ).eval()
        # Many networks accept only some sizes (multiples of 32, of a window) and otherwise fail deep inside.
        with torch.inference_mode():
            network(image)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        what = "images" if across > 1 else "frames"
        raise InputError(
            f"timm/{model} cannot take {what} of {side}x{side} ({reason}); try a multiple of 32, or the size "
            "that it was designed for"
        ) from error
    if temporal == _GRID:
        return FrameGrid(network.train(), across if fixed else None)
    if temporal and not add_shifts(network, image):
        raise InputError(
            f"timm/{model}: the temporal shift needs residual blocks that start with a convolution, and "
            f"{image_model} has none that are known; models that have: resnet18, resnet50, regnety_008, "
            "mobilenetv2_100, tf_efficientnet_lite0, convnext_tiny"
        )
    return FrameAverage(network.train())


class FrameAverage(nn.Module):
    """An image network applied to each frame, its logits averaged over the frames.

    Args:
        network: (N, 3, H, W) -> (N, classes); may hold temporal shifts.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, clip: Tensor) -> Tensor:
        """Map a clip (N, 3, T, H, W) -> logits (N, classes)."""
        count, _, length = clip.shape[:3]
        images = clip.transpose(1, 2).flatten(0, 1)  # (N, 3, T, H, W) -> (N, T, 3, H, W) -> (N*T, 3, H, W)
        set_frames(self.network, length)
        logits: Tensor = self.network(images)  # (N*T, classes)
        return logits.unflatten(0, (count, length)).mean(1)  # (N, T, classes) -> (N, classes)

    def fit(self, tensors: dict[str, Tensor]) -> Fitted:
        """Fit a vision transformer's tensors for images of another size: its positions are resampled."""
        return _fit(self.network, tensors)


class FrameGrid(nn.Module):
    """An image network applied to all frames of a clip at once, side by side in a square.

    T frames are a grid of n x n with n^2 >= T, row by row; places without a frame are grey (0). Fan et al.
    2021, "Can An Image Classifier Suffice For Action Recognition?", arXiv:2106.14104, section 3.

    Args:
        network: (N, 3, n * H, n * W) -> (N, classes).
        across: n of a network that takes one size alone; None: the smallest that fits a clip.
    """

    def __init__(self, network: nn.Module, across: int | None = None) -> None:
        super().__init__()
        self.network, self.across = network, across

    def forward(self, clip: Tensor) -> Tensor:
        """Map a clip (N, 3, T, H, W) -> logits (N, classes)."""
        logits: Tensor = self.network(as_grid(clip, self.across or _across(clip.shape[2])))
        return logits

    def fit(self, tensors: dict[str, Tensor]) -> Fitted:
        """Fit a vision transformer's tensors for images of another size: its positions are resampled."""
        return _fit(self.network, tensors)


def as_grid(clip: Tensor, across: int) -> Tensor:
    """Return the frames of a clip (N, 3, T, H, W) as one image (N, 3, across * H, across * W).

    Raises:
        ValueError: there are more frames than places.
    """
    count, channels, length, height, width = clip.shape
    if length > across**2:
        raise ValueError(f"{length} frames do not fit into a grid of {across} x {across}")
    full = F.pad(clip, (0, 0, 0, 0, 0, across**2 - length))
    grid = full.reshape(count, channels, across, across, height, width).transpose(3, 4)
    return grid.reshape(count, channels, across * height, across * width)


def _across(frames: int) -> int:
    """Return the side of the smallest square of at least so many frames."""
    return math.isqrt(frames - 1) + 1


def _fit(network: nn.Module, tensors: dict[str, Tensor]) -> Fitted:
    """Return a vision transformer's tensors with its positions resampled to its grid."""
    name = "network.pos_embed"
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    tokens = getattr(network, "num_prefix_tokens", None)
    if name not in tensors or grid is None or tokens is None:
        return Fitted(tensors)
    tokens = 0 if getattr(network, "no_embed_class", False) else int(tokens)
    return Fitted(tensors | {name: positions.resample(tensors[name], grid, tokens)})
