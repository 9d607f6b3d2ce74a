"""Counted operations, against numbers worked by hand."""

import pytest
import torch

from ssl_video.engine import operations
from ssl_video.engine.assemble import resolve
from ssl_video.spec import Spec, build

CPU = torch.device("cpu")
SMALL = {"backbone": "tiny3d", "width": 0.25, "frames": 4, "size": 16, "labeled_batch": 3}


def spec(**changes: object) -> Spec:
    return resolve(build(SMALL | changes), CPU)


def test_one_clip_of_a_known_network() -> None:
    # torchvision's r3d_18 on 16 frames of 112 pixels: 40.7 in its documentation.
    counted = operations._forward(spec(backbone="r3d_18", width=1.0, frames=16, size=112), 400)
    assert counted / 1e9 == pytest.approx(40.7, abs=0.05)


def test_a_step_is_forward_and_backward_of_every_pass() -> None:
    supervised = operations.count(spec(algorithm="supervised"), classes=5)
    # Forward, gradients of the weights, and of the inputs, which the first layer does not need.
    assert 2 * 3 < supervised.step / supervised.forward < 3 * 3
    with_gradient = supervised.step / 3
    fixmatch = operations.count(spec(algorithm="fixmatch", unlabeled_batch=6), classes=5)
    assert fixmatch.forward == supervised.forward
    # Strong clips with gradient and weak ones without.
    expected = 3 * with_gradient + 6 * (with_gradient + supervised.forward)
    assert fixmatch.step == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("groups", "forward"), [(1, 8 * 8), (4, 8 * 2), (8, 8)])
def test_backward_of_a_convolution_in_groups(groups: int, forward: int) -> None:
    # 8 -> 8 channels, kernel 3 x 3, 2 images of 5 x 5 places; each gradient costs what the forward pass does.
    layer = torch.nn.Conv2d(8, 8, 3, padding=1, groups=groups, bias=False)
    inputs = torch.randn(2, 8, 5, 5)
    with operations.counter() as counting:
        layer(inputs).sum().backward()
    assert counting.get_total_flops() == 2 * (2 * 25 * 9 * forward) * 2  # the inputs need no gradient
    with operations.counter() as counting:
        layer(inputs.requires_grad_()).sum().backward()
    assert counting.get_total_flops() == 2 * (2 * 25 * 9 * forward) * 3


def test_backward_of_a_transposed_convolution() -> None:
    layer = torch.nn.ConvTranspose2d(8, 4, 3, stride=2, bias=False)
    with operations.counter() as counting:
        layer(torch.randn(2, 8, 5, 5)).sum().backward()
    assert counting.get_total_flops() == 2 * (2 * 25 * 9 * 8 * 4) * 2


def test_counting_draws_nothing_from_torch() -> None:
    before = torch.get_rng_state()
    operations.count(spec(algorithm="supervised"), classes=5)
    assert torch.equal(torch.get_rng_state(), before)
