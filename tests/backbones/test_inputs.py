"""Networks whose weights were trained with inputs that are normalised otherwise than clips are."""

import copy
from pathlib import Path

import pytest
import torch
from helpers.numbers import assert_close
from torch import nn

from ssl_video.backbones import create
from ssl_video.backbones.inputs import Normalisation, adjust, make_adjustable, see_motion
from ssl_video.errors import InputError


def test_a_network_sees_what_its_weights_were_trained_with() -> None:
    # Pixels 0, 0.5 and 1 of three colours, as clips have them: (0 - 0.45) / 0.225 = -2, and 2 / 9, 22 / 9.
    pixels = torch.tensor([0.0, 0.5, 1.0]).view(1, 1, 3, 1, 1).repeat(1, 3, 1, 1, 1)
    clip = (pixels - 0.45) / 0.225
    network = nn.Flatten(2)
    make_adjustable(network)
    assert torch.equal(network(clip), clip.flatten(2)), (
        "without other weights nothing changes, to the last bit"
    )
    adjust(network, Normalisation((0.5, 0.2, 0.0), (0.5, 0.4, 0.1)))
    # (pixel - mean) / deviation, by hand.
    expected = [[-1, 0, 1], [-0.5, 0.75, 2], [0, 5, 10]]
    assert_close(network(clip)[0], torch.tensor(expected))


def test_it_is_saved_copied_and_restored_with_the_weights(tmp_path: Path) -> None:
    trained, fresh = (create("timm/resnet10t", 5, size=32).eval() for _ in range(2))
    adjust(trained, Normalisation((0.5,) * 3, (0.5,) * 3))
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    clip = torch.randn(1, 3, 2, 32, 32)
    loaded = create("timm/resnet10t+tsm", 5, size=32, weights=tmp_path / "weights.pt")
    assert torch.equal(loaded.get_buffer("input_shift"), trained.get_buffer("input_shift"))
    with torch.inference_mode():
        expected = trained(clip)
        assert torch.equal(copy.deepcopy(trained)(clip), expected)
        fresh.load_state_dict(trained.state_dict())
        assert torch.equal(fresh(clip), expected)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_the_layout_of_a_clip_stays(layout: torch.memory_format) -> None:
    network = nn.Identity()
    make_adjustable(network)
    clip = torch.randn(2, 3, 4, 5, 6).contiguous(memory_format=layout)
    assert network(clip).is_contiguous(memory_format=layout)


def test_motion_is_half_the_difference_to_the_next_frame_around_grey() -> None:
    """As pixels, and then normalised as the weights want it."""
    pixels = torch.tensor([0.0, 0.4, 1.0]).view(1, 1, 3, 1, 1).repeat(1, 3, 1, 1, 1)
    network = nn.Flatten(2)
    make_adjustable(network)
    adjust(network, Normalisation((0.0,) * 3, (1.0,) * 3))
    see_motion(network)
    assert_close(network((pixels - 0.45) / 0.225)[0], torch.tensor([[0.7, 0.8, 0.8]] * 3))
    assert_close(copy.deepcopy(network)((pixels - 0.45) / 0.225)[0, 0], torch.tensor([0.7, 0.8, 0.8]))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_the_layout_of_motion_is_that_of_the_clip(layout: torch.memory_format) -> None:
    network = nn.Identity()
    see_motion(network)
    clip = torch.randn(2, 3, 4, 5, 6).contiguous(memory_format=layout)
    found = network(clip.clone(memory_format=torch.preserve_format))
    assert found.is_contiguous(memory_format=layout)


def test_a_backbone_that_sees_motion() -> None:
    torch.manual_seed(0)
    frames = create("tiny3d", 5, frames=4, size=16).eval()
    torch.manual_seed(0)
    motion = create("tiny3d", 5, frames=4, size=16, motion=True).eval()
    clip = torch.randn(2, 3, 4, 16, 16)
    brighter = clip + 0.5
    with torch.no_grad():
        assert_close(motion(clip), motion(brighter))
        assert not torch.allclose(frames(clip), frames(brighter))
    with pytest.raises(InputError, match="a clip of one frame has no motion"):
        create("tiny3d", 5, frames=1, size=16, motion=True)


def test_networks_whose_library_normalises_as_clips_are_have_none() -> None:
    with torch.device("meta"):
        names = {name: create(name, 5).state_dict().keys() for name in ("slow_r50", "tiny3d", "r3d_18")}
    assert [name for name, tensors in names.items() if "input_scale" in tensors] == ["r3d_18"]
