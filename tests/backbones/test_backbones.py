"""The contract that every backbone keeps, and the errors of `create`."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.ops import StochasticDepth

from ssl_video.backbones import create, find
from ssl_video.backbones.timesformer import SpaceTimeBlock
from ssl_video.errors import InputError
from ssl_video.networks.memory_format import place
from ssl_video.registry import backbones

SINGLE = sorted(backbones.describe().keys() - {"timm", "transformers"})
NAMES = [*SINGLE, "timm/resnet10t", "timm/resnet10t+tsm"]
WIDE = {
    *("c2d_r50", "csn_r101", "i3d_r50", "mvit_base_16x4", "mvit_base_32x3", "r2plus1d_r50", "slow_r50"),
    *("slowfast_16x8_r101_50_50", "slowfast_r101", "slowfast_r50", "swin3d_b", "swin3d_s", "swin3d_t"),
    *("timesformer_b", "timesformer_s", "timesformer_tiny", "x3d_l", "x3d_m", "x3d_s", "x3d_xs"),
    *("granular_b", "granular_s", "granular_tiny"),
}
# These run in float32. CSN's depthwise 3D convolutions in bfloat16 have given gradients that are not finite,
# in 3 of 25 repeats of one backward pass on the CPU (torch 2.15): they read memory that nobody has written.
# The ResNets have one width, and many processors compute wide 3D convolutions in bfloat16 far slower.
FLOAT32 = {"csn_r101", "mc3_18", "r2plus1d_18", "r3d_18"}
# Of its last block MViTv2 reads the class token alone, which has no position and is not pooled.
IDLE = {
    "mvit_v2_s": [
        f"blocks.15.attn.{part}" for part in ("rel_pos_h", "rel_pos_w", "rel_pos_t", "pool_q.pool.weight")
    ]
}


@pytest.fixture(autouse=True)
def _one_seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def narrow(name: str, *, frames: int = 8, size: int = 32) -> nn.Module:
    """The backbone at the least cost, with 5 classes."""
    return create(name, 5, width=0.125 if name in WIDE else 1.0, frames=frames, size=size)


def wake(network: nn.Module) -> None:
    """No block left out, and random values where the last layer of a block's part starts at 0."""
    for module in network.modules():
        if isinstance(module, StochasticDepth):
            module.p = 0.0
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
        if isinstance(module, SpaceTimeBlock):
            nn.init.normal_(module.temporal_fc.weight, std=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_clips_to_logits_in_training_and_evaluation(name: str) -> None:
    network = narrow(name)
    assert network.training
    clip = torch.randn(2, 3, 8, 32, 32)
    for mode in (True, False):
        logits = network.train(mode)(clip)
        assert logits.shape == (2, 5)
        # Probabilities would add up to 1 in every row.
        assert not torch.allclose(logits.sum(1), torch.ones(2), atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_all_parameters_in_bfloat16_and_channels_last(name: str) -> None:
    # At 32 pixels S3D's last norms see one value a clip: of two clips they pass on nothing but signs.
    size = 64 if name == "s3d" else 32
    network = place(narrow(name, size=size), torch.device("cpu"))
    wake(network)
    clip = torch.randn(2, 3, 8, size, size).to(memory_format=torch.channels_last_3d)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=name not in FLOAT32):
        logits = network(clip)
    nn.functional.cross_entropy(logits.float(), torch.tensor([1, 3])).backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == IDLE.get(name, [])
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", NAMES)
def test_can_be_built_without_memory(name: str) -> None:
    with torch.device("meta"):
        network = create(name, 5, frames=8, size=64)
    assert {p.device.type for p in network.parameters()} == {"meta"}


def test_unknown_names_come_with_the_nearest_known() -> None:
    with pytest.raises(InputError, match="unknown backbone 'slow_r05'; did you mean slow_r50"):
        create("slow_r05", 5)
    with pytest.raises(InputError, match=r"unknown backbone 'slow_r50/x'; slow_r50 is a single network"):
        find("slow_r50/x")
    with pytest.raises(InputError, match=r"write 'timm/<model>'"):
        find("timm")


def test_width_of_a_backbone_without_one() -> None:
    with pytest.raises(InputError, match=r"r3d_18 has only one width, so 0\.25 is not possible") as caught:
        create("r3d_18", 5, width=0.25)
    offered = str(caught.value).split("width: ")[1].split(", ")
    assert WIDE.issubset(offered)
    assert {"r3d_18", "timm", "transformers"}.isdisjoint(offered)


def test_all_bad_numbers_at_once() -> None:
    with pytest.raises(InputError) as caught:
        create("slow_r50", 0, width=float("nan"), frames=0, size=-1)
    assert len(caught.value.problems) == 4


def test_a_backbone_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from ssl_video import backbone\n"
        "from torch import nn\n"
        "@backbone('mine')\n"
        "def mine(num_classes, *, width, frames, size):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(3 * frames * size**2, int(width * num_classes)))\n"
    )
    network = create(f"{file}:mine", 5, width=2.0, frames=2, size=4)
    assert network(torch.zeros(7, 3, 2, 4, 4)).shape == (7, 10)


@pytest.mark.parametrize(
    ("signature", "problem"),
    [
        ("num_classes, *, size", "unexpected keyword argument 'frames'"),
        ("*, frames, size", "too many positional arguments"),
        ("num_classes, depth, *, frames, size", "missing a required argument: 'depth'"),
    ],
)
def test_a_function_that_cannot_be_called(tmp_path: Path, signature: str, problem: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f"from ssl_video import backbone\n@backbone('mine')\ndef mine({signature}): ...\n")
    with pytest.raises(InputError, match=f"has to take num_classes, and frames and size.*{problem}"):
        create(f"{file}:mine", 5)


def test_importing_the_adapters_imports_no_library() -> None:
    code = (
        "import sys\n"
        "from ssl_video.backbones import mvit, pytorchvideo, timm, torchvision, transformers\n"
        "libraries = {'torchvision', 'pytorchvideo', 'timm', 'safetensors', 'transformers'}\n"
        "print(libraries & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
