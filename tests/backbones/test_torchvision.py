"""torchvision's networks are its own, and take clips of other sizes."""

from pathlib import Path

import pytest
import torch
from helpers.numbers import assert_close
from torch import nn

from ssl_video.backbones import create
from ssl_video.backbones.torchvision import AtMostPool
from ssl_video.errors import InputError


def library(name: str, num_classes: int) -> nn.Module:
    from torchvision.models import video

    network: nn.Module = getattr(video, name)(num_classes=num_classes)
    return network


def test_another_number_of_classes() -> None:
    with torch.device("meta"):
        network = create("r3d_18", 101)
    assert sum(p.numel() for p in network.parameters()) == 33_218_085


# S3D: the smallest clip that torchvision takes. Swin: 16 x 72 x 72 pixels are 8 x 18 x 18 patches, 18 = 2 * 7
# + 4: windows are shifted and padded, and later stages have fewer patches than a window.
@pytest.mark.parametrize(
    ("name", "frames", "size"),
    [("r3d_18", 4, 32), ("mc3_18", 4, 32), ("r2plus1d_18", 4, 32), ("s3d", 13, 209), ("swin3d_t", 16, 72)],
)
def test_the_librarys_checkpoint_gives_the_librarys_answer(
    name: str, frames: int, size: int, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    theirs = library(name, 6).eval()
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    ours = create(name, 6, frames=frames, size=size, weights=tmp_path / "theirs.pth").eval()
    clip = torch.randn(1, 3, frames, size, size)
    with torch.inference_mode():
        assert_close(ours(clip), theirs(clip))


@pytest.mark.parametrize("name", ["swin3d_t", "swin3d_s", "swin3d_b"])
def test_swins_settings_are_the_librarys(name: str) -> None:
    with torch.device("meta"):
        theirs, ours = library(name, 6), create(name, 6)
    settings = [
        (module.num_heads, module.window_size, module.shift_size)
        for network in (theirs, ours)
        for module in network.modules()
        if hasattr(module, "shift_size")
    ]
    half = len(settings) // 2
    assert settings[:half] == settings[half:]
    assert half >= 12
    shapes = {name: tensor.shape for name, tensor in theirs.state_dict().items()}
    assert shapes.items() <= {name: tensor.shape for name, tensor in ours.state_dict().items()}.items()
    drops = [
        [module.p for module in network.modules() if type(module).__name__ == "StochasticDepth"]
        for network in (theirs, ours)
    ]
    assert drops[0] == drops[1]


def test_swins_width() -> None:
    network = create("swin3d_b", 5, width=0.125, frames=4, size=32)
    assert network(torch.randn(2, 3, 4, 32, 32)).shape == (2, 5)
    assert network.get_parameter("head.weight").shape == (5, 8 * 16)


def test_s3ds_windows_are_no_larger_than_the_features() -> None:
    features = torch.arange(3.0).view(1, 1, 3, 1, 1).expand(1, 2, 3, 2, 9)
    pooled = AtMostPool()(features)
    # Times (0, 1) and (1, 2); all 2 rows; 9 - 7 + 1 = 3 windows of columns.
    assert pooled.shape == (1, 2, 2, 1, 3)
    assert pooled[0, 0, :, 0, 0].tolist() == [0.5, 1.5]
    many = torch.randn(1, 2, 5, 8, 9)
    assert_close(AtMostPool()(many), library("s3d", 6).get_submodule("avgpool")(many))


def test_s3ds_smallest_clip() -> None:
    network = create("s3d", 5, frames=5, size=17)
    assert network(torch.randn(2, 3, 5, 17, 17)).shape == (2, 5)
    with pytest.raises(InputError) as caught:
        create("s3d", 5, frames=4, size=16)
    assert [problem.split(", so ")[1] for problem in caught.value.problems] == [
        "frames must be at least 5, not 4",
        "size must be at least 17, not 16",
    ]
