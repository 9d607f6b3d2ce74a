"""Any image network of timm as a video backbone: each frame separately, then the mean over frames.

This is the consensus of TSN (Wang et al. 2016, arXiv:1608.00859). With "+tsm" after the model's name, the
frames of a clip also exchange features, see `ssl_video.backbones.shift`.
"""

import torch
from torch import Tensor, nn

from ssl_video.backbones import positions
from ssl_video.backbones.libraries import importing
from ssl_video.backbones.matching import Fitted
from ssl_video.backbones.shift import add_shifts, set_frames
from ssl_video.errors import InputError, unknown
from ssl_video.registry import backbone

_SHIFTED = "tsm"


@backbone("timm", inputs="weights")
def frame_network(num_classes: int, *, model: str, frames: int, size: int) -> nn.Module:
    """Any image network of timm, logits averaged over frames: timm/<model>, with shift timm/<model>+tsm."""
    with importing("timm"):
        import timm
    image_model, plus, temporal = model.partition("+")
    known = timm.list_pretrained() if "." in image_model else timm.list_models()
    if image_model not in known:
        raise InputError(unknown("timm model", image_model, known))
    if plus and temporal != _SHIFTED:
        raise InputError(f"timm/{model}: {unknown('addition to a timm model', temporal, [_SHIFTED])}")
    # Only networks with positional tables of a fixed size take (and need) the size.
    settings = timm.get_pretrained_cfg(image_model)
    fixed = settings is not None and settings.fixed_input_size
    image = torch.zeros(1, 3, size, size)
    try:
        network: nn.Module = timm.create_model(
            image_model, pretrained=False, num_classes=num_classes, img_size=size if fixed else None
        ).eval()
        # Many networks accept only some sizes (multiples of 32, of a window) and otherwise fail deep inside.
        with torch.inference_mode():
            network(image)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"timm/{model} cannot take frames of {size}x{size} ({reason}); try a multiple of 32, "
            "or the size that it was designed for"
        ) from error
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
        name, network = "network.pos_embed", self.network
        grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
        tokens = getattr(network, "num_prefix_tokens", None)
        if name not in tensors or grid is None or tokens is None:
            return Fitted(tensors)
        tokens = 0 if getattr(network, "no_embed_class", False) else int(tokens)
        return Fitted(tensors | {name: positions.resample(tensors[name], grid, tokens)})
