"""The reference table of the backbones is what they are."""

import functools
import inspect

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode

from ssl_video import reference
from ssl_video.backbones import create
from ssl_video.registry import backbones

TABLE = [row for rows in reference.read().values() for row in rows]
# GFLOPs that fvcore 0.1.5 counted in the networks of pytorchvideo 0.1.5, by width, frames and size.
FVCORE = {
    ("c2d_r50", 1, 8, 224): 19.62,
    ("i3d_r50", 1, 8, 224): 28.54,
    ("slow_r50", 1, 8, 224): 41.92,
    ("slow_r50", 1, 8, 256): 54.75,
    ("slow_r50", 0.5, 8, 224): 10.76,
    ("slow_r50", 0.25, 8, 224): 2.83,
    ("slow_r50", 0.125, 8, 224): 0.78,
    ("slowfast_r50", 1, 32, 224): 50.58,
    ("slowfast_r50", 1, 32, 256): 66.07,
    ("r2plus1d_r50", 1, 16, 224): 57.93,
    ("r2plus1d_r50", 1, 16, 256): 75.67,
    ("csn_r101", 1, 32, 224): 57.04,
    ("csn_r101", 1, 32, 256): 74.50,
    ("x3d_xs", 1, 4, 160): 0.63,
    ("x3d_xs", 1, 4, 182): 0.87,
    ("x3d_s", 1, 13, 160): 2.03,
    ("x3d_s", 1, 13, 182): 2.82,
    ("x3d_m", 1, 16, 224): 4.90,
    ("x3d_m", 1, 16, 256): 6.40,
    ("mvit_base_16x4", 1, 16, 224): 70.80,
}


def measured(row: reference.BackboneRow) -> tuple[int, float, float]:
    """Parameters, GFLOPs without norms and with them, of a network that has no memory."""
    with torch.device("meta"):
        network = create(row.name, 400, width=row.width, frames=row.frames, size=row.size).eval()
        clip = torch.empty(1, 3, row.frames, row.size, row.size)
    of_norms = 0

    def count(features: Tensor, operations: int) -> Tensor:
        nonlocal of_norms
        of_norms += operations * features.numel()
        return features

    for module in network.modules():
        if isinstance(module, _BatchNorm | nn.LayerNorm):
            operations = 2 if isinstance(module, _BatchNorm) else 5
            module.forward = functools.partial(count, operations=operations)  # type: ignore[method-assign]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(clip)
    multiply_adds = counter.get_total_flops() / 2  # torch counts a multiplication and an addition as two
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return parameters, round(multiply_adds / 1e9, 3), round((multiply_adds + of_norms) / 1e9, 3)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.width:g}*{row.name}-{row.frames}x{row.size}")
def test_a_row_is_what_the_network_is(row: reference.BackboneRow) -> None:
    assert (row.parameters, row.gflops, row.gflops_with_norms) == measured(row)


def test_every_single_network_is_in_the_table() -> None:
    single = {
        name
        for name in backbones.builtin()
        if "model" not in inspect.signature(backbones.get(name)).parameters
    }
    assert {row.name for row in TABLE} == single
    homes = [rows[0] for rows in reference.read().values()]
    assert {home.width for home in homes} == {1.0}


def test_no_row_twice() -> None:
    clips = [(row.name, row.width, row.frames, row.stride, row.size) for row in TABLE]
    assert len(set(clips)) == len(clips)


def test_counts_of_fvcore() -> None:
    ours = {(row.name, row.width, row.frames, row.size): row.gflops_with_norms for row in TABLE}
    # At 182 pixels pytorchvideo's X3D-S runs its head at 2 x 2 places, ours once on their average: 0.005.
    assert {clip: ours[clip] for clip in FVCORE} == pytest.approx(FVCORE, abs=0.0065)


@pytest.mark.parametrize(
    "row", [row for row in TABLE if row.gflops_published], ids=lambda row: f"{row.name}-{row.frames}"
)
def test_published_counts_are_one_of_three(row: reference.BackboneRow) -> None:
    """Without norms, with 2 operations per input of a norm (5 of a layer norm), or with 5."""
    assert row.gflops_published is not None
    norms = row.gflops_with_norms - row.gflops
    counts = (row.gflops, row.gflops + norms, row.gflops + 2.5 * norms)
    near = 0.001 if row.source.startswith("torchvision") else 0.02
    assert min(abs(row.gflops_published - count) for count in counts) < near


def test_accuracies_have_their_views_and_source() -> None:
    for row in TABLE:
        assert (row.top1 is None) == (row.top5 is None) == (row.views == ""), row
        if row.top1 is not None and row.top5 is not None:
            assert 50 < row.top1 < row.top5 < 100, row
        assert (row.source == "measured") == (row.top1 is None and row.gflops_published is None), row
