"""Small networks for tests of algorithms, one that learns and one whose outputs are known."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ssl_video.testing.networks import CLASSES, Small


class Readout(nn.Module):
    """A network whose logits stand in the clip: the three values of its first pixel, times a trained 1."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(CLASSES))

    def forward(self, clip: Tensor) -> Tensor:
        """Clip (N, 3, T, H, W) -> logits (N, 3)."""
        return clip[:, :, 0, 0, 0] * self.scale


@pytest.fixture(params=[False, True], ids=["no-norm", "batch-norm"])
def network(request: pytest.FixtureRequest) -> Callable[[], nn.Module]:
    """Makes small networks, in one test without and in one with batch norm."""
    return lambda: Small(request.param)


@pytest.fixture
def readout() -> type[Readout]:
    """The network with known outputs."""
    return Readout


@pytest.fixture
def clips() -> Callable[..., Tensor]:
    """Makes a batch of clips (N, 3, 2, 4, 4) for which `Readout` gives the probabilities asked for."""

    def make(*probabilities: tuple[float, float, float], frames: int = 2) -> Tensor:
        logits = torch.tensor(probabilities).log()
        return logits[:, :, None, None, None].expand(-1, -1, frames, 4, 4).clone()

    return make


@pytest.fixture
def labeled(clips: Callable[..., Tensor]) -> dict[str, Tensor]:
    """Two clips whose labels 0 and 1 are predicted with 0.5 and 0.25: mean of LN2 and 2 LN2 = 1.5 LN2."""
    return {"weak": clips((0.5, 0.25, 0.25), (0.25, 0.25, 0.5))}
