"""SeFAR's network: which frames each rate has, its size, and its image weights."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from helpers.numbers import assert_close
from torch import nn

from ssl_video.backbones import create
from ssl_video.backbones.granular import GranularTimeSformer
from ssl_video.data.views.sampling import Stream
from ssl_video.data.views.temporal import reversal
from ssl_video.errors import InputError


def small(frames: int = 8) -> GranularTimeSformer:
    torch.manual_seed(0)
    network = create("granular_tiny", 5, width=1 / 3, frames=frames, size=32)
    assert isinstance(network, GranularTimeSformer)
    for name, parameter in network.named_parameters():
        if "temporal_fc" in name or name == "time_embed":
            nn.init.normal_(parameter, std=0.2)
    return network.eval()


def test_number_of_parameters() -> None:
    """A TimeSformer without its classifier, 204c^2 + 1217c, and with k = 256:

    ck + k, 2ck + k and 6k^2 + k of the linear layers, 3 * 2k of the norms, 5k + 5 of the classifier.
    """
    with torch.device("meta"):
        network = create("granular_s", 5, frames=8, size=224)
    c, k = 384, 256
    expected = 204 * c**2 + 1217 * c + 3 * c * k + 6 * k**2 + 3 * k + 6 * k + 5 * k + 5
    assert sum(p.numel() for p in network.parameters()) == expected


@torch.no_grad()
def test_each_rate_sees_its_own_frames() -> None:
    """Of the three features: the first of frames 3 and 7, the second of 1 and 5, the third of the others."""
    network, clip = small(), torch.randn(1, 3, 8, 32, 32)
    found = list[list[torch.Tensor]]()
    for changed in range(-1, 8):
        other = clip.clone()
        if changed >= 0:
            other[:, :, changed] += 1
        features = list[torch.Tensor]()
        handle = network.norm.register_forward_hook(lambda *a, to=features: to.append(a[2][:, 0]))
        network(other)
        handle.remove()
        found.append(features)
    moved = [
        [rate for rate in range(3) if not torch.equal(features[rate], found[0][rate])]
        for features in found[1:]
    ]
    assert moved == [[2], [1], [2], [0], [2], [1], [2], [0]]


def test_the_augmentation_turns_the_two_lower_rates_round() -> None:
    order = reversal(Stream(0, "any"), 8)
    assert order.tolist() == [0, 5, 2, 7, 4, 1, 6, 3]
    for rate, backwards in ((slice(3, None, 4), True), (slice(1, None, 4), True), (slice(0, None, 2), False)):
        frames = np.arange(16)[rate]
        assert (
            reversal(Stream(0, "any"), 16)[rate].tolist() == (frames[::-1] if backwards else frames).tolist()
        )


@torch.no_grad()
def test_order_matters_inside_a_rate() -> None:
    network, clip = small(), torch.randn(1, 3, 8, 32, 32)
    assert not torch.allclose(
        network(clip), network(clip[:, :, reversal(Stream(0, "any"), 8).copy()]), atol=1e-4
    )


def test_image_weights_leave_the_fusion_at_random(tmp_path: Path) -> None:
    image = timm.create_model("vit_tiny_patch16_224", num_classes=7, img_size=32)
    torch.save(image.state_dict(), tmp_path / "image.pt")
    torch.manual_seed(3)
    made = create("granular_tiny", 5, frames=8, size=32, weights=str(tmp_path / "image.pt"))
    torch.manual_seed(3)
    fresh = create("granular_tiny", 5, frames=8, size=32)
    assert_close(made.blocks[3].mlp.fc1.weight, image.blocks[3].mlp.fc1.weight)
    assert_close(made.blocks[3].temporal_attn.qkv.weight, image.blocks[3].attn.qkv.weight)
    assert torch.equal(made.fusion["two"][0].weight, fresh.fusion["two"][0].weight)
    assert torch.equal(made.head.weight, fresh.head.weight)


def test_frames_that_cannot_be_divided() -> None:
    with pytest.raises(InputError, match="granular_tiny") as caught:
        create("granular_tiny", 5, frames=6, size=32)
    assert "and clips into 4 parts" in str(caught.value)
