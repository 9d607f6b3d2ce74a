"""MyMethod: the source of the architecture."""

from torch import nn

from ssl_video import backbone


@backbone("my-method")
def my_method(num_classes: int, *, width: float, frames: int, size: int) -> nn.Module:
    """One sentence, which `ssl-video list` shows.

    Args:
        num_classes: number of logits.
        width: multiplier of the channels; leave the argument out if the network has only one width.
        frames: T, frames per clip. The argument is required, even if the network accepts any number.
        size: height and width of the clips in pixels; also required.

    Returns:
        A network that maps clips (N, 3, T, H, W) to logits (N, num_classes).
    """
    channels = max(1, round(32 * width))
    return nn.Sequential(
        nn.Conv3d(3, channels, kernel_size=(3, 7, 7), stride=(1, 4, 4), padding=(1, 3, 3), bias=False),
        nn.BatchNorm3d(channels),
        nn.ReLU(inplace=True),
        nn.Conv3d(channels, 2 * channels, kernel_size=3, stride=2, padding=1, bias=False),
        nn.BatchNorm3d(2 * channels),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        # Methods that compare clips take the inputs of this layer as features.
        nn.Linear(2 * channels, num_classes),
    )
