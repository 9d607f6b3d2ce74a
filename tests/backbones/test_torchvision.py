"""torchvision's networks are used as they are."""

from pathlib import Path

import pytest
import torch

from ssl_video.backbones import create


@pytest.mark.parametrize(
    ("name", "num_classes", "parameters"),
    [
        ("r3d_18", 400, 33_371_472),
        ("r3d_18", 101, 33_218_085),
        ("mc3_18", 400, 11_695_440),
        ("r2plus1d_18", 400, 31_505_325),
    ],
)
def test_number_of_parameters(name: str, num_classes: int, parameters: int) -> None:
    with torch.device("meta"):
        network = create(name, num_classes)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_the_librarys_checkpoint_gives_the_librarys_answer(tmp_path: Path) -> None:
    from torchvision.models.video import mc3_18

    theirs = mc3_18(num_classes=6).eval()
    torch.save(theirs.state_dict(), tmp_path / "mc3.pth")
    ours = create("mc3_18", 6, weights=tmp_path / "mc3.pth").eval()
    clip = torch.randn(1, 3, 4, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(ours(clip), theirs(clip))
