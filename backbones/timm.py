"""Any image network of timm as a video backbone: each frame by itself, then the mean over frames.

This is the consensus of TSN (Wang et al. 2016, arXiv:1608.00859). Weights are random unless they are loaded
from a local file; nothing is downloaded.
"""

import torch
from torch import Tensor, nn

from ssl_video.backbones.libraries import importing
from ssl_video.errors import InputError, unknown
from ssl_video.registry import backbone


@backbone("timm")
def frame_network(num_classes: int, *, model: str, frames: int, size: int) -> nn.Module:
    """Any image network of timm, logits averaged over frames (TSN): timm/<model>, like timm/resnet18."""
    with importing("timm"):
        import timm
    known = timm.list_models()
    if model not in known:
        raise InputError(unknown("timm model", model, known))
    # Only networks with positional tables of one size take (and need) the size.
    settings = timm.get_pretrained_cfg(model)
    fixed = settings is not None and settings.fixed_input_size
    try:
        network: nn.Module = timm.create_model(
            model, pretrained=False, num_classes=num_classes, img_size=size if fixed else None
        )
        # Many networks take only some sizes (multiples of 32, of a window) and fail deep inside otherwise.
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, size, size))
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(
            f"timm/{model} cannot take frames of {size}x{size} ({reason}); try a multiple of 32, "
            "or the size that it was designed for"
        ) from error
    return FrameAverage(network.train())


class FrameAverage(nn.Module):
    """An image network applied to each frame, its logits averaged over the frames.

    Args:
        network: (N, 3, H, W) -> (N, classes).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, clip: Tensor) -> Tensor:
        """Clip (N, 3, T, H, W) -> logits (N, classes)."""
        count, _, length = clip.shape[:3]
        images = clip.transpose(1, 2).flatten(0, 1)  # (N, 3, T, H, W) -> (N, T, 3, H, W) -> (N*T, 3, H, W)
        logits: Tensor = self.network(images)  # (N*T, classes)
        return logits.unflatten(0, (count, length)).mean(1)  # (N, T, classes) -> (N, classes)
