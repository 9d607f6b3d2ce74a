"""The temporal shift, and where it is put."""

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import timm
import torch
from helpers.numbers import assert_close
from torch import Tensor, nn

from ssl_video.backbones import create
from ssl_video.backbones.shift import TemporalShift, set_frames
from ssl_video.backbones.timm import FrameAverage
from ssl_video.errors import InputError
from ssl_video.networks.activation_checkpointing import save_activations

MODEL = "timm/resnet10t"


@pytest.fixture(autouse=True)
def _one_seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def wake(network: nn.Module) -> None:
    """Random scales in all batch norms: the last one of each block starts at 0 and hides the block."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)


def pair(model: str = MODEL, size: int = 64) -> tuple[nn.Module, nn.Module]:
    """A network with and without shift, with the same weights, in evaluation mode."""
    plain, shifted = (create(name, 5, size=size).eval() for name in (model, f"{model}+tsm"))
    wake(plain)
    shifted.load_state_dict(plain.state_dict())
    return plain, shifted


def sources(network: nn.Module) -> list[str]:
    """Which modules are shifted, by name."""
    return [
        name.removesuffix(".temporal_shift")
        for name, module in network.named_modules()
        if isinstance(module, TemporalShift)
    ]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_an_eighth_comes_from_the_next_frame_and_one_from_the_frame_before(
    layout: torch.memory_format,
) -> None:
    # Two clips of three frames, 16 channels, so 2 go each way. The value is 100 clip + 10 frame + 1, so that
    # no zero is anybody's but the padding's.
    values = torch.tensor([[1.0, 11, 21], [101, 111, 121]])
    features = values.view(6, 1, 1, 1).repeat(1, 16, 2, 2).contiguous(memory_format=layout)
    shift = TemporalShift()
    set_frames(shift, 3)
    moved = shift(features)
    assert moved.is_contiguous(memory_format=layout)
    # Two pixels a side, which are all alike.
    assert torch.equal(moved, moved[:, :, :1, :1].expand_as(moved))
    found = moved[:, :, 0, 0].T.tolist()  # by channel
    assert found[0] == found[1] == [11, 21, 0, 111, 121, 0]
    assert found[2] == found[3] == [0, 1, 11, 0, 101, 111]
    assert all(channel == [1, 11, 21, 101, 111, 121] for channel in found[4:])
    assert torch.equal(features[:, 0, 0, 0], values.flatten()), "the input must stay"


def test_a_single_frame_keeps_three_quarters_of_its_channels() -> None:
    shift = TemporalShift()
    moved = shift(torch.ones(2, 8, 1, 1))
    assert moved[:, :, 0, 0].tolist() == [[0, 0, 1, 1, 1, 1, 1, 1]] * 2


def test_the_order_of_frames_matters_with_the_shift_alone() -> None:
    plain, shifted = pair()
    clip = torch.randn(2, 3, 4, 64, 64)
    other = clip[:, :, [2, 0, 3, 1]]
    with torch.inference_mode():
        assert_close(plain(clip), plain(other))
        assert (shifted(clip) - shifted(other)).abs().max() > 1e-3


def test_clips_of_a_batch_do_not_mix_and_may_have_any_length() -> None:
    _, shifted = pair()
    with torch.inference_mode():
        for frames in (4, 3, 1, 8):
            clip = torch.randn(2, 3, frames, 64, 64)
            alone = torch.cat([shifted(clip[:1]), shifted(clip[1:])])
            assert_close(shifted(clip), alone)


def test_the_shortcut_is_not_shifted() -> None:
    """In timm's basic block all but the shortcut goes through the first convolution."""
    _, shifted = pair()
    block = shifted.get_submodule("network.layer1.0")
    set_frames(block, 2)
    nn.init.zeros_(block.get_submodule("bn2").get_parameter("weight"))
    nn.init.zeros_(block.get_submodule("bn2").get_parameter("bias"))
    features = torch.rand(2, 64, 8, 8)
    with torch.inference_mode():
        assert torch.equal(block(features), features)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        # By the papers' structure. ResNet-18: two basic blocks in each of four stages.
        ("resnet18", [f"layer{stage}.{block}.conv1" for stage in (1, 2, 3, 4) for block in (0, 1)]),
        # MobileNetV2's 17 blocks, those with a shortcut: all but the first of each stage.
        (
            "mobilenetv2_100",
            [
                f"blocks.{stage}.{block}.conv_pw"
                for stage, blocks in enumerate((1, 2, 3, 4, 3, 3, 1))
                for block in range(1, blocks)
            ],
        ),
        # The shortcut's convolution comes first in a block that activates before it.
        ("resnetv2_18", [f"stages.{stage}.blocks.{block}.conv1" for stage in range(4) for block in (0, 1)]),
        (
            "convnext_atto",
            [f"stages.{s}.blocks.{b}.conv_dw" for s, n in enumerate((2, 2, 6, 2)) for b in range(n)],
        ),
        # A convolution with its normalisation, and one of several branches.
        ("regnety_002", [f"s{s}.b{b}.conv1" for s, n in enumerate((1, 1, 4, 7), 1) for b in range(1, n + 1)]),
        # Attention inside a block has a shortcut of its own.
        ("bat_resnext26ts", [f"stages.{s}.{b}.conv1_1x1" for s in range(4) for b in (0, 1)]),
        ("skresnet18", [f"layer{stage}.{block}.conv1" for stage in (1, 2, 3, 4) for block in (0, 1)]),
    ],
)
def test_every_residual_block_shifts_before_its_first_convolution(model: str, expected: list[str]) -> None:
    with torch.device("meta"):
        network = create(f"timm/{model}+tsm", 5, size=256)
    assert sources(network) == [f"network.{name}" for name in expected]


@pytest.mark.parametrize("model", ["vgg11", "vit_tiny_patch16_224", "densenet121"])
def test_models_without_residual_blocks_are_refused(model: str) -> None:
    match = rf"timm/{model}\+tsm: .* residual blocks .*; .* resnet18, resnet50"
    with torch.device("meta"), pytest.raises(InputError, match=match):
        create(f"timm/{model}+tsm", 5, size=64)


def test_the_named_examples_have_them() -> None:
    with torch.device("meta"):
        with pytest.raises(InputError) as caught:
            create("timm/vgg11+tsm", 5, size=32)
        names = str(caught.value).split("models that have: ")[1].split(", ")
        assert len(names) > 3
        for name in names:
            assert sources(create(f"timm/{name}+tsm", 5, size=32))


def test_names_stay_and_looking_for_shortcuts_leaves_no_trace(tmp_path: Path) -> None:
    torch.manual_seed(3)
    plain = create(MODEL, 5, size=64)
    after = torch.rand(1)
    torch.manual_seed(3)
    shifted = create(f"{MODEL}+tsm", 5, size=64)
    assert torch.rand(1) == after
    assert all(module.training for module in shifted.modules())
    assert plain.state_dict().keys() == shifted.state_dict().keys()
    assert all(torch.equal(tensor, plain.state_dict()[n]) for n, tensor in shifted.state_dict().items())
    hooks = [len(m._forward_pre_hooks) + len(m._forward_hooks) for m in shifted.modules()]
    assert sum(hooks) == 4 + 1, "one for each block, one for the normalisation of inputs"
    # timm's own file, one network inside the other.
    torch.save(timm.create_model("resnet10t", num_classes=5).state_dict(), tmp_path / "timm.pth")
    loaded = [create(name, 5, size=64, weights=tmp_path / "timm.pth") for name in (MODEL, f"{MODEL}+tsm")]
    first, second = (network.state_dict() for network in loaded)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_compiled_code_computes_the_same_for_clips_of_any_length() -> None:
    _, shifted = pair()
    stage = shifted.get_submodule("network.layer1")
    network = FrameAverage(nn.Sequential(stage, nn.AdaptiveAvgPool2d(1), nn.Flatten())).eval()
    compiled = torch.compile(copy.deepcopy(network), backend="eager", fullgraph=True)
    for frames in (4, 3):
        clip = torch.randn(2, 64, frames, 8, 8)
        assert_close(compiled(clip), network(clip))


def test_activation_checkpointing_recomputes_with_the_length_of_its_own_pass() -> None:
    """Clips of another length may pass in between, as those of a view at another speed do."""
    _, straight = pair("timm/resnet18")
    saving = copy.deepcopy(straight)
    save_activations(saving)
    long, short = torch.randn(1, 3, 4, 32, 32), torch.randn(2, 3, 2, 32, 32)

    def gradients(network: nn.Module) -> list[Tensor]:
        (network(long).square().sum() + network(short).sum()).backward()
        return [parameter.grad for parameter in network.parameters() if parameter.grad is not None]

    for expected, found in zip(gradients(straight), gradients(saving), strict=True):
        assert_close(found, expected)
