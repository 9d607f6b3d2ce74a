"""timm's image networks, frame by frame."""

from pathlib import Path

import pytest
import timm
import torch
from helpers.numbers import assert_close
from torch import Tensor, nn

from ssl_video.backbones import create
from ssl_video.backbones.timm import FrameAverage, FrameGrid, as_grid
from ssl_video.errors import InputError


class Brightness(nn.Module):
    """Two logits: the mean of an image's first channel, and of its last."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))[:, [0, 2]]


def test_logits_are_averaged_over_the_frames_of_the_same_clip() -> None:
    # Frame t of clip n has brightness 10 n + t in its first channel, and 100 more in its last.
    clip = torch.zeros(3, 3, 4, 8, 8)
    for n in range(3):
        for t in range(4):
            clip[n, 0, t] = 10 * n + t
            clip[n, 2, t] = 100 + 10 * n + t
    logits = FrameAverage(Brightness())(clip)
    # The mean of 0, 1, 2, 3 is 1.5.
    assert logits.tolist() == [[1.5, 101.5], [11.5, 111.5], [21.5, 121.5]]
    packed = clip.contiguous(memory_format=torch.channels_last_3d)
    assert FrameAverage(Brightness())(packed).tolist() == logits.tolist()


def test_the_librarys_checkpoint_gives_the_librarys_answer(tmp_path: Path) -> None:
    theirs = timm.create_model("resnet10t", num_classes=6).eval()
    torch.save({"state_dict": theirs.state_dict()}, tmp_path / "timm.pth")
    ours = create("timm/resnet10t", 6, size=64, weights=tmp_path / "timm.pth").eval()
    clip = torch.randn(2, 3, 3, 64, 64)
    with torch.inference_mode():
        expected = torch.stack([theirs(clip[:, :, t]) for t in range(3)]).mean(0)
        assert_close(ours(clip), expected)


def test_trying_the_size_leaves_no_trace() -> None:
    torch.manual_seed(3)
    theirs = timm.create_model("resnet10t", num_classes=6)
    after = torch.rand(1)
    torch.manual_seed(3)
    ours = create("timm/resnet10t", 6, size=64)
    assert torch.rand(1) == after
    assert all(module.training for module in ours.modules())
    expected = {f"network.{name}": tensor for name, tensor in theirs.state_dict().items()}
    found = ours.state_dict()
    assert found.pop("input_scale").tolist() == [1, 1, 1]
    assert found.pop("input_shift").tolist() == [0, 0, 0]
    assert found.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in found.items())


def test_positional_tables_fit_the_clip() -> None:
    network = create("timm/vit_tiny_patch16_224", 5, frames=2, size=64)
    assert network(torch.randn(1, 3, 2, 64, 64)).shape == (1, 5)
    # 64 / 16 = 4 patches a side, and the class token.
    assert network.get_parameter("network.pos_embed").shape == (1, 4 * 4 + 1, 192)


def test_unknown_models_come_with_the_nearest_known() -> None:
    with pytest.raises(InputError, match=r"unknown timm model 'resnet5O'; did you mean .*resnet50"):
        create("timm/resnet5O", 5)
    with pytest.raises(InputError, match="unknown timm model 'hf-hub:somebody/something'"):
        create("timm/hf-hub:somebody/something", 5)
    with pytest.raises(InputError, match=r"unknown timm model 'resnet18\.a9_in1k'; .*resnet18\.a1_in1k"):
        create("timm/resnet18.a9_in1k", 5)
    with pytest.raises(InputError, match=r"timm/resnet18\+tsn: unknown addition .*'tsn'; did you mean tsm"):
        create("timm/resnet18+tsn", 5)


def test_a_model_with_the_name_of_its_weights() -> None:
    with torch.device("meta"):
        plain, tagged = create("timm/resnet18", 5), create("timm/resnet18.a1_in1k", 5)
    assert plain.state_dict().keys() == tagged.state_dict().keys()


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("dla34", 112),  # 112 / 32 is 3.5: two branches do not meet, in the forward pass
        ("twins_svt_small", 112),  # refuses while it is built
    ],
)
def test_sizes_that_a_model_cannot_take(model: str, size: int) -> None:
    with pytest.raises(InputError, match=rf"timm/{model} cannot take frames of {size}x{size} \(.+\); try a"):
        create(f"timm/{model}", 5, size=size)


def test_frames_stand_side_by_side() -> None:
    """Three frames of 1 x 2 pixels, 1 to 6, in a square of two; the fourth place is grey."""
    clip = torch.arange(1.0, 7.0).reshape(1, 1, 3, 1, 2).repeat(1, 3, 1, 1, 1)
    assert as_grid(clip, 2)[0, 0].tolist() == [[1, 2, 3, 4], [5, 6, 0, 0]]
    assert as_grid(clip, 2).shape == (1, 3, 2, 4)
    with pytest.raises(ValueError, match="3 frames do not fit into a grid of 1 x 1"):
        as_grid(clip, 1)


class Corner(nn.Module):
    """Says the size of its image, and the values at its first and last place."""

    def forward(self, image: Tensor) -> Tensor:
        return torch.stack(
            [image[:, 0, 0, 0], image[:, 0, -1, -1], torch.full((len(image),), image.shape[-1])], 1
        )


def test_the_square_is_the_smallest_that_holds_the_frames() -> None:
    """Unless the network takes one size alone: then a shorter clip leaves more places grey."""
    for frames, side in ((1, 1), (2, 2), (4, 2), (5, 3), (9, 3), (10, 4)):
        clip = torch.ones(1, 3, frames, 8, 8)
        last = float(side**2 == frames)
        assert FrameGrid(Corner())(clip).tolist() == [[1, last, side * 8]]
        assert FrameGrid(Corner(), 4)(clip).tolist() == [[1, 0, 32]]


@pytest.mark.parametrize(
    ("model", "size"), [("resnet10t", 64), ("vit_tiny_patch16_224", 64), ("swin_tiny_patch4_window7_224", 96)]
)
def test_a_network_of_grids(model: str, size: int, tmp_path: Path) -> None:
    """It tells the order of frames, takes half of them, and loads the weights of the plain network."""
    network = create(f"timm/{model}+grid", 5, frames=8, size=size).eval()
    clip = torch.randn(1, 3, 8, size, size)
    found = network(clip)
    assert found.shape == (1, 5)
    assert not torch.allclose(network(clip.flip(2)), found, atol=1e-5)
    assert network(clip[:, :, ::2]).shape == (1, 5)
    plain = create(f"timm/{model}", 5, size=224)
    torch.save(plain.state_dict(), tmp_path / "plain.pt")
    loaded = create(f"timm/{model}+grid", 5, frames=8, size=size, weights=tmp_path / "plain.pt")
    for name, tensor in plain.state_dict().items():
        if tensor.shape == loaded.state_dict()[name].shape:
            assert torch.equal(loaded.state_dict()[name], tensor), name
