"""Own backbones: partial weights, the inputs that weights want, and files that a function reads itself."""

from pathlib import Path

import pytest
import torch
from torch import nn

import ssl_video as sv
from ssl_video import backbones
from ssl_video.backbones.inputs import IMAGENET
from ssl_video.backbones.weights import WeightReport


class Net(nn.Module):
    """A layer per frame, and one over all."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.frame, self.time = nn.Linear(3, 4), nn.Linear(4, 4)
        self.head = nn.Linear(4, classes)

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.time(self.frame(clips.mean((2, 3, 4)))))
        return logits


def weights(path: Path, **extra: torch.Tensor) -> Path:
    """Write weights of the layer per frame alone."""
    torch.save({"frame.weight": torch.ones(4, 3), "frame.bias": torch.zeros(4), **extra}, path)
    return path


@pytest.fixture
def own() -> str:
    @sv.backbone("own-net")
    def build(num_classes: int, *, frames: int, size: int) -> nn.Module:
        """A small network."""
        return Net(num_classes)

    return "own-net"


def test_a_part_of_the_weights_is_loaded_on_purpose_only(own: str, tmp_path: Path) -> None:
    file = weights(tmp_path / "frames.pth", **{"head.weight": torch.ones(9, 9), "other": torch.ones(2)})
    with pytest.raises(sv.InputError, match=r"nothing was loaded.*partial_weights loads those that fit"):
        backbones.create(own, 3, weights=file)
    reports = list[WeightReport]()
    made = backbones.create(own, 3, weights=file, partial=True, loaded=reports.append)
    assert made.get_parameter("frame.weight").eq(1).all()
    (report,) = reports
    assert report.matched == ("frame.weight", "frame.bias")
    assert set(report.new) == {"time.weight", "time.bias", "head.bias"}
    assert (report.skipped, report.unused) == (("head.weight",), ("other",))
    for words in ("2 tensors loaded", "other", "time.weight", "1 of another shape", "head.weight"):
        assert words in str(report)


def test_weights_of_which_nothing_fits(own: str, tmp_path: Path) -> None:
    torch.save({"elsewhere.weight": torch.ones(2)}, tmp_path / "none.pth")
    with pytest.raises(sv.InputError, match="no tensor of it fits"):
        backbones.create(own, 3, weights=tmp_path / "none.pth", partial=True)


def test_partial_weights_are_another_run(own: str, tmp_path: Path) -> None:
    from ssl_video.spec import build, configuration

    specs = [build({"backbone": own, "partial_weights": partial}) for partial in (False, True)]
    assert configuration(specs[0]) != configuration(specs[1])


def test_weights_that_a_function_reads_itself_are_refused(tmp_path: Path) -> None:
    """A run would not know that their file was replaced."""
    file = weights(tmp_path / "frames.pth")

    @sv.backbone("reader")
    def build(num_classes: int, *, frames: int, size: int) -> nn.Module:
        """It reads a file."""
        network = Net(num_classes)
        network.load_state_dict(torch.load(file), strict=False)
        return network

    with pytest.raises(sv.InputError, match=r"its function reads .*frames.pth, and weights that it"):
        backbones.create("reader", 3)
    assert torch.load(file), "reading is possible again"


def test_inputs_of_weights_that_a_plugin_knows() -> None:
    @sv.backbone("imagenet-net", inputs="imagenet")
    def build(num_classes: int, *, frames: int, size: int) -> nn.Module:
        """It sees what networks of ImageNet see."""
        return nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten())

    pixels = torch.rand(2, 3, 4, 8, 8)
    clips = (pixels - 0.45) / 0.225
    mean, deviation = (torch.tensor(v).view(1, 3, 1, 1, 1) for v in (IMAGENET.mean, IMAGENET.deviation))
    expected = ((pixels - mean) / deviation).mean((2, 3, 4))
    assert torch.allclose(backbones.create("imagenet-net", 3)(clips), expected, atol=1e-5)
    with pytest.raises(sv.InputError, match="unknown inputs 'imagnet'; did you mean imagenet"):
        sv.backbone("typo", inputs="imagnet")


def test_decorators_as_attributes_are_found_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "import ssl_video as sv\n\n@sv.backbone('by-attribute')\n"
        "def net(num_classes, *, frames, size):\n    '''A network.'''\n"
    )
    from ssl_video.registry import backbones as registry

    assert registry.in_file(file) == {f"{file}:by-attribute": "A network."}
