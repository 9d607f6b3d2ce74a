"""The tiny network: its size, the clips it takes, and that it sees motion."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from ssl_video.backbones import create


@pytest.fixture(autouse=True)
def _one_seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize(
    ("width", "channels", "parameters"),
    [
        # With c channels: kernels 27 * (3c + 2c^2 + 8c^2 + 16c^2), batch norm 2 * (c + 2c + 4c + 4c), linear
        # 4c * 10 + 10. c = 16: 27 * 6704 + 2 * 176 + 650 = 182010.
        (1.0, 16, 182_010),
        (0.5, 8, 46_082),  # 27 * 1688 + 2 * 88 + 330
        (0.25, 4, 11_814),  # 27 * 428 + 2 * 44 + 170
        (0.001, 1, 855),  # 27 * 29 + 2 * 11 + 50: never less than one channel
    ],
)
def test_number_of_parameters(width: float, channels: int, parameters: int) -> None:
    with torch.device("meta"):
        network = create("tiny3d", 10, width=width, frames=8, size=32)
    assert next(network.parameters()).shape == (channels, 3, 3, 3, 3)
    assert sum(p.numel() for p in network.parameters()) == parameters


@pytest.mark.parametrize(("frames", "size"), [(4, 16), (5, 17), (8, 36), (16, 32)])
@pytest.mark.parametrize("width", [0.25, 1.0])
def test_clips_of_any_shape(width: float, frames: int, size: int) -> None:
    network = create("tiny3d", 7, width=width, frames=frames, size=size)
    logits = network(torch.randn(2, 3, frames, size, size))
    assert logits.shape == (2, 7)
    assert logits.isfinite().all()
    assert not torch.equal(logits[0], logits[1])


def test_every_frame_matters() -> None:
    network = create("tiny3d", 5, frames=8, size=16).eval()
    clip = torch.randn(1, 3, 8, 16, 16, requires_grad=True)
    network(clip)[0, 0].backward()
    assert clip.grad is not None
    assert (clip.grad.abs().amax((0, 1, 3, 4)) > 0).all()


def test_frames_are_seen_together() -> None:
    """A network that looks at frames one by one and averages adds up what two changed frames do."""
    network = create("tiny3d", 5, frames=8, size=16).double().eval()
    clip, other = torch.randn(2, 1, 3, 8, 16, 16, dtype=torch.double)

    def changed(*frames: int) -> torch.Tensor:
        mixed = clip.clone()
        mixed[:, :, list(frames)] = other[:, :, list(frames)]
        return network(mixed)

    with torch.inference_mode():
        together = changed(2, 3) - changed(2) - changed(3) + changed()
        assert together.abs().max() > 1e-4
        # Kernels that see one frame are what this test is about; these are, with the middle plane kept.
        for convolution in (m for m in network.modules() if isinstance(m, nn.Conv3d)):
            convolution.weight[:, :, [0, 2]] = 0
        alone = changed(2, 3) - changed(2) - changed(3) + changed()
        assert alone.abs().max() < 1e-12
