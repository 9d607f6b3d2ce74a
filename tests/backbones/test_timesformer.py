"""TimeSformer: its size, its divided attention, and its image weights."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from helpers.numbers import assert_close
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ssl_video.backbones import create
from ssl_video.backbones.timesformer import SpaceTimeBlock, TimeSformer
from ssl_video.errors import InputError


@pytest.fixture(autouse=True)
def _one_seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def small(frames: int = 4, size: int = 32) -> TimeSformer:
    """One head of 64 channels, 5 classes."""
    network = create("timesformer_s", 5, width=1 / 6, frames=frames, size=size)
    assert isinstance(network, TimeSformer)
    return network.eval()


def wake(network: nn.Module) -> None:
    """Temporal attention that does something, and does not look alike at all times."""
    for module in network.modules():
        if isinstance(module, SpaceTimeBlock):
            nn.init.normal_(module.temporal_fc.weight, std=0.2)
        if isinstance(module, TimeSformer):
            nn.init.normal_(module.time_embed, std=0.5)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # With c channels: patches 768c + c; class token c, positions 197c, times 8c; in each of 12 blocks
        # three norms 6c, two attentions 2 * (3c^2 + 3c + c^2 + c), the projection c^2 + c, the perceptron
        # 8c^2 + 5c; the last norm 2c; the classifier 400c + 400. Together 204c^2 + 1617c + 400.
        ("timesformer_tiny", 204 * 192**2 + 1617 * 192 + 400),
        ("timesformer_s", 204 * 384**2 + 1617 * 384 + 400),
        # 121,566,352. Published: 121.4 M, which is this without the tables of positions (206c).
        ("timesformer_b", 204 * 768**2 + 1617 * 768 + 400),
    ],
)
def test_number_of_parameters(name: str, parameters: int) -> None:
    with torch.device("meta"):
        network = create(name, 400, frames=8, size=224)
    assert sum(p.numel() for p in network.parameters()) == parameters


def test_the_published_cost() -> None:
    """0.59 TFLOPs for three crops, a multiplication with its addition counted as one (paper, table 2)."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        create("timesformer_b", 400, frames=8, size=224)(torch.empty(1, 3, 8, 224, 224))
    assert round(3 * counter.get_total_flops() / 2 / 1e12, 2) == 0.59


def test_width_multiplies_channels_and_heads() -> None:
    with torch.device("meta"):
        half = create("timesformer_b", 5, width=0.5, size=32)
        quarter = create("timesformer_s", 5, width=0.25, size=32)
    assert half.get_parameter("cls_token").shape == (1, 1, 384)
    assert half.get_submodule("blocks.0.attn").num_heads == 6
    assert half.get_submodule("blocks.0.temporal_attn").num_heads == 6
    assert quarter.get_submodule("blocks.0.attn").num_heads == 2  # 1.5, of 48 channels each
    with pytest.raises(
        InputError, match=r"timesformer_s: width 0\.3 gives 115\.2 channels, .* multiple of 1/6"
    ):
        create("timesformer_s", 5, width=0.3, size=32)
    with pytest.raises(InputError, match=r"timesformer_s: .* patches of 16 pixels, .* try 96 or 112"):
        create("timesformer_s", 5, size=100)


def test_at_the_start_it_is_the_image_network_with_a_class_token_for_all_frames() -> None:
    """With temporal projections and times at zero, neither the order of frames nor copies of them matter."""
    network = small()
    clip = torch.randn(2, 3, 4, 32, 32)
    with torch.inference_mode():
        assert_close(network(clip), network(clip[:, :, [2, 0, 3, 1]]))
        # One frame shown as often as one likes is an image.
        still = clip[:, :, :1].expand(-1, -1, 4, -1, -1)
        image = timm.models.vision_transformer.VisionTransformer(
            img_size=32, num_classes=5, embed_dim=64, depth=12, num_heads=1
        ).eval()
        image.load_state_dict({name: network.state_dict()[name] for name in image.state_dict()})
        assert_close(network(still), image(clip[:, :, 0]))


def test_time_counts_by_its_embedding_and_by_nothing_else() -> None:
    """Attention over time by itself sees a set of frames; their order comes from the times."""
    network = small()
    wake(network)
    clip = torch.randn(2, 3, 4, 32, 32)
    other = clip[:, :, [2, 0, 3, 1]]
    with torch.inference_mode():
        assert (network(clip) - network(other)).abs().max() > 1e-3
        nn.init.zeros_(network.time_embed)
        assert_close(network(clip), network(other))


def test_attention_is_over_time_at_one_place_and_over_space_in_one_frame() -> None:
    """Which tokens of one block depend on one patch, by its place and frame."""
    block = small().blocks[0]
    assert isinstance(block, SpaceTimeBlock)
    nn.init.normal_(block.attn.proj.weight)
    token, patches = torch.randn(2, 1, 64), torch.randn(2, 3, 4, 64)  # 3 frames, 4 places
    changed = patches.clone()
    changed[0, 1, 2] = torch.randn(64)

    def moved(after: Tensor, before: Tensor) -> list[list[int]]:
        return (after - before).abs().amax(-1).gt(1e-5).nonzero().tolist()

    with torch.inference_mode():
        (t, p), (t_changed, p_changed) = block(token, patches), block(token, changed)
        # No attention over time yet: the frame's places, and the token of the clip.
        assert moved(p_changed, p) == [[0, 1, place] for place in range(4)]
        assert moved(t_changed, t) == [[0, 0]]
        nn.init.normal_(block.temporal_fc.weight)
        # Its place in all frames, and then through space everything of the clip, nothing of the other.
        (_, p), (_, p_changed) = block(token, patches), block(token, changed)
        assert moved(p_changed, p) == [[0, frame, place] for frame in range(3) for place in range(4)]
        # Over time alone: space sees nothing.
        nn.init.zeros_(block.attn.proj.weight)
        (_, p), (_, p_changed) = block(token, patches), block(token, changed)
        assert moved(p_changed, p) == [[0, frame, 2] for frame in range(3)]


def test_clips_of_another_length_get_the_nearest_times() -> None:
    network = small(frames=4)
    wake(network)
    long = small(frames=8)
    long.load_state_dict(network.state_dict() | {"time_embed": network.time_embed.repeat_interleave(2, 1)})
    clip = torch.randn(1, 3, 8, 32, 32)
    with torch.inference_mode():
        assert_close(network(clip), long(clip))


def test_image_weights_fill_all_but_the_temporal_parts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image = timm.create_model("vit_tiny_patch16_224", num_classes=7, img_size=64)
    torch.save(image.state_dict(), tmp_path / "image.pth")
    with caplog.at_level(logging.INFO):
        network = create("timesformer_tiny", 7, size=32, frames=2, weights=tmp_path / "image.pth")
    # The times, and weight and bias of 12 projections.
    assert (
        "25 that it does not have keep their initial values: time_embed, blocks.*.temporal_fc.weight, "
        "blocks.*.temporal_fc.bias" in caplog.text
    )
    assert not network.get_parameter("time_embed").any()
    ours, theirs = network.state_dict(), image.state_dict()
    assert [name for name in theirs if not torch.equal(theirs[name], ours[name])] == ["pos_embed"]
    assert torch.equal(ours["blocks.3.temporal_attn.qkv.weight"], theirs["blocks.3.attn.qkv.weight"])
    assert torch.equal(ours["blocks.3.temporal_norm1.bias"], theirs["blocks.3.norm1.bias"])
    # 4 x 4 places become 2 x 2; that of the class token stays.
    assert torch.equal(ours["pos_embed"][:, 0], theirs["pos_embed"][:, 0])
    torch.testing.assert_close(
        ours["pos_embed"][0, 1:].mean(0), theirs["pos_embed"][0, 1:].mean(0), atol=0.02, rtol=0
    )


def test_a_part_of_the_temporal_weights_is_refused(tmp_path: Path) -> None:
    state = small().state_dict()
    del state["blocks.4.temporal_fc.weight"]
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(InputError, match=r"missing in the file: 1 \(blocks\.4\.temporal_fc\.weight\)"):
        create("timesformer_s", 5, width=1 / 6, frames=4, size=32, weights=tmp_path / "part.pth")


def test_its_own_weights_for_clips_of_another_shape(tmp_path: Path) -> None:
    network = small(frames=4, size=64)
    wake(network)
    torch.save(network.state_dict(), tmp_path / "own.pth")
    other = create("timesformer_s", 5, width=1 / 6, frames=8, size=32, weights=tmp_path / "own.pth")
    assert other.get_parameter("time_embed").shape == (1, 8, 64)
    assert torch.equal(other.get_parameter("time_embed")[:, ::2], network.time_embed)
    assert other.get_parameter("pos_embed").shape == (1, 1 + 2 * 2, 64)
