"""The pixels of an exported network are those of test clips, bit for bit."""

import numpy as np
import pytest
import torch

from ssl_video.data.views import augment
from ssl_video.inference.from_frames import FromFrames, central_square


def ours(frames: np.ndarray, size: int) -> np.ndarray:
    """Cut and resize (T, H, W, 3) as an exported network does."""
    return central_square(torch.from_numpy(frames)[None], size)[0].permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [
        (37, 49, 32),  # as at decoding: the short side is 8/7 of the crop
        (49, 37, 32),
        (32, 35, 32),  # the square as it is; half of what is left over is 1.5
        (32, 33, 32),  # half of what is left over is 0.5
        (20, 24, 32),  # smaller than the crop
        (90, 161, 16),  # a large reduction: weights with more bits
    ],
)
def test_pixels_are_those_of_a_test_clip(height: int, width: int, size: int) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
    theirs = augment.restore(augment.apply([frames], [augment.centre(height, width, 0.5)], size))[0]
    assert np.array_equal(ours(frames, size), theirs)


def test_a_temperature_divides_logits() -> None:
    """Logits 3 and 1 at the temperature 2: a difference of 1."""
    network = torch.nn.Module()
    network.forward = lambda clip: torch.tensor([[3.0, 1.0]])  # type: ignore[method-assign]
    whole = FromFrames(network, 8)
    whole.temperature.fill_(2)
    assert whole(torch.zeros(1, 2, 8, 8, 3, dtype=torch.uint8))[0, 1] == pytest.approx(1 / (1 + np.e))
