"""Colour operations against numbers worked by hand and against torchvision's."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ssl_video.data.colour import OPERATIONS


def clip(*levels: float, frames: int = 1) -> Tensor:
    """A grey clip of one row a frame, from levels in 0 to 255: (1, 3, frames, 1, len(levels) / frames)."""
    row = torch.tensor(levels).view(1, 1, frames, 1, -1) / 255
    return row.expand(1, 3, -1, -1, -1).contiguous()


def run(name: str, clips: Tensor, *magnitudes: float) -> Tensor:
    return OPERATIONS[name](clips, torch.tensor(magnitudes or (0.5,)).view(-1, 1, 1, 1, 1))


def levels(clips: Tensor, colour: int = 0) -> list[float]:
    return (clips[0, colour].flatten() * 255).tolist()


def noise(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def picture(seed: int = 0, size: int = 96) -> Tensor:
    """A uint8 image of blurred patches and some noise, with levels from 20 to 250: (3, size, size)."""
    coarse = 20 + 200 * noise(seed, 1, 3, 6, 6)
    smooth = torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")[0]
    return (smooth + 30 * noise(seed + 1, 3, size, size)).to(torch.uint8)


# By hand


def test_autocontrast_stretches_each_colour_to_the_full_range() -> None:
    # (51 - 51) / 153, (102 - 51) / 153, (204 - 51) / 153 of 255.
    assert levels(run("autocontrast", clip(51, 102, 204))) == pytest.approx([0, 85, 255], abs=1e-3)
    # Colours by themselves: the red ramp is stretched, the green constant stays.
    mixed = clip(51, 102, 204)
    mixed[:, 1] = 0.4
    stretched = run("autocontrast", mixed)
    assert levels(stretched) == pytest.approx([0, 85, 255], abs=1e-3)
    assert torch.equal(stretched[:, 1], mixed[:, 1])


def test_equalize_gives_each_level_the_share_of_pixels_below_it() -> None:
    # Below 10: 0 pixels, below 20: 2, below 90: 3, below 200: 4, of the 4 that are below the highest level.
    flat = run("equalize", clip(10, 10, 20, 90, 200, 200))
    assert levels(flat) == pytest.approx([0, 0, 127.5, 191.25, 255, 255], abs=1e-3)


def test_brightness_is_a_blend_with_black() -> None:
    # Factors .1 + 1.8 m: .1, 1 and 1.9.
    assert levels(run("brightness", clip(0, 100), 0.0)) == pytest.approx([0, 10], abs=1e-3)
    assert levels(run("brightness", clip(0, 100), 0.5)) == pytest.approx([0, 100], abs=1e-3)
    assert levels(run("brightness", clip(0, 100), 1.0)) == pytest.approx([0, 190], abs=1e-3)


def test_contrast_is_a_blend_with_the_mean_grey() -> None:
    # The luma weights add up to .9999, so the mean grey of 50 and 150 is 99.99. At factor .1:
    # 99.99 + .1 * (50 - 99.99) = 94.991 and 99.99 + .1 * (150 - 99.99) = 104.991.
    assert levels(run("contrast", clip(50, 150), 0.0)) == pytest.approx([94.991, 104.991], abs=1e-3)
    assert levels(run("contrast", clip(50, 150), 0.5)) == pytest.approx([50, 150], abs=1e-3)


def test_saturation_is_a_blend_with_the_grey_clip() -> None:
    red = torch.tensor([200.0, 0, 0]).view(1, 3, 1, 1, 1) / 255
    # Grey .2989 * 200 = 59.78. At factor .1: 59.78 + .1 * 140.22 = 73.802; 59.78 + .1 * -59.78 = 53.802.
    less = run("saturation", red, 0.0)
    assert [levels(less, c)[0] for c in range(3)] == pytest.approx([73.802, 53.802, 53.802], abs=1e-3)
    assert torch.allclose(run("saturation", red, 0.5), red, atol=1e-6)


def test_sharpness_is_a_blend_with_the_smoothed_clip_whose_border_stays() -> None:
    dot = torch.zeros(1, 3, 1, 5, 5)
    dot[..., 2, 2] = 130 / 255
    # Smoothed: 5 / 13 of 130 in the centre, 1 / 13 around it. At factor .1: 50 + .1 * (130 - 50) = 58, and
    # 10 + .1 * (0 - 10) = 9; twice as far from the smoothed clip, at 1.9: 50 + 1.9 * 80 = 202, 10 - 19 = -9.
    smooth, sharp = (run("sharpness", dot, m)[0, 0, 0] * 255 for m in (0.0, 1.0))
    assert smooth[2, 2].item() == pytest.approx(58, abs=1e-3)
    assert smooth[1, 1].item() == pytest.approx(9, abs=1e-3)
    assert sharp[2, 2].item() == pytest.approx(202, abs=1e-3)
    assert sharp[3, 2].item() == pytest.approx(-9, abs=1e-3)
    assert not smooth[0].any()
    corner = torch.zeros(1, 3, 1, 4, 4)
    corner[..., 0, 0] = 1
    assert run("sharpness", corner, 0.0)[0, 0, 0, 0, 0] == 1


def test_posterize_keeps_the_highest_bits() -> None:
    # 8 bits at magnitude 0, 6 at .5 (multiples of 4), 4 at 1 (multiples of 16).
    every = clip(*range(256))
    assert levels(run("posterize", every, 0.0)) == pytest.approx(list(range(256)), abs=1e-3)
    assert levels(run("posterize", every, 0.5)) == pytest.approx([v // 4 * 4 for v in range(256)], abs=1e-3)
    assert levels(run("posterize", every, 1.0)) == pytest.approx([v // 16 * 16 for v in range(256)], abs=1e-3)


def test_solarize_inverts_what_is_above_the_threshold() -> None:
    # At magnitude .4 the threshold is .6 * 255 = 153: 152 stays, 154 becomes 101.
    assert levels(run("solarize", clip(0, 152, 154, 255), 0.4)) == pytest.approx([0, 152, 101, 0], abs=1e-3)


# For all


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("level", [0, 1, 77, 255])
def test_constant_clips_survive(name: str, level: int) -> None:
    constant = clip(*[level] * 16, frames=2)
    # What resampling makes of a constant: noise of a few units in the last place.
    noisy = constant * (1 + 2e-7 * (noise(0, *constant.shape) - 0.5))
    for magnitude in (0.01, 0.5, 0.9):
        for given in (constant, noisy):
            out = run(name, given, magnitude)
            assert out.isfinite().all()
            assert out.max() - out.min() < 1e-5
    if name in ("autocontrast", "equalize"):
        assert torch.allclose(run(name, noisy), constant, atol=1e-5)


@pytest.mark.parametrize("name", OPERATIONS)
def test_clips_of_a_batch_do_not_touch_each_other(name: str) -> None:
    clips = torch.stack([noise(seed, 3, 2, 7, 5) * 0.3 * (seed + 1) for seed in range(3)])
    magnitudes = (0.1, 0.6, 0.9)
    together = run(name, clips, *magnitudes)
    before = clips.clone()
    for n, magnitude in enumerate(magnitudes):
        assert torch.equal(together[n : n + 1], run(name, clips[n : n + 1], magnitude))
    assert torch.equal(clips, before)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_is_the_same_in_every_frame(name: str) -> None:
    # Two frames of different brightness: equal pixels stay equal, whichever frame they are in. A statistic of
    # each frame by itself would tear the two 100s apart.
    two = clip(100, 20, 100, 240, frames=2)
    out = run(name, two, 0.2)[0, 0, :, 0]
    assert out[0, 0] == out[1, 0]
    assert out[0, 1] != out[1, 1]


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "sharpness"])
def test_middle_magnitude_changes_nothing(name: str) -> None:
    clips = noise(0, 1, 3, 2, 6, 6)
    assert torch.allclose(run(name, clips, 0.5), clips, atol=1e-6)


def factor(name: str) -> Callable[[Tensor, float], Tensor]:
    functional = pytest.importorskip("torchvision.transforms.v2.functional")
    return lambda image, m: getattr(functional, f"adjust_{name}")(image, 0.1 + 1.8 * m)


def plain(name: str) -> Callable[[Tensor, float], Tensor]:
    functional = pytest.importorskip("torchvision.transforms.v2.functional")
    more: dict[str, Callable[[float], tuple[float, ...]]] = {
        "posterize": lambda m: (8 - round(4 * m),),
        "solarize": lambda m: (255 * (1 - m),),
    }
    return lambda image, m: getattr(functional, name)(image, *more.get(name, lambda m: ())(m))


# The largest difference in levels: torchvision cuts off to whole levels, for saturation twice.
@pytest.mark.parametrize(
    ("name", "reference", "tolerance"),
    [
        ("autocontrast", plain, 1),
        ("equalize", plain, 1),
        ("posterize", plain, 0),
        ("solarize", plain, 0),
        ("brightness", factor, 1),
        ("contrast", factor, 1),
        ("saturation", factor, 2),
        ("sharpness", factor, 1),
    ],
)
@pytest.mark.parametrize("magnitude", [0.05, 0.3, 0.7, 0.97])
def test_still_pictures_come_out_as_torchvisions(
    name: str, reference: Callable[[str], Callable[[Tensor, float], Tensor]], tolerance: int, magnitude: float
) -> None:
    image = picture()
    expected = reference(name)(image, magnitude).int()
    ours = run(name, image[None, :, None] / 255, magnitude).clamp(0, 1)[0, :, 0]
    difference = ((ours * 255).round().int() - expected).abs()
    assert difference.max() <= tolerance
    # Few bits are lost at small magnitudes; all others change what they are compared on.
    assert (expected - image.int()).abs().max() > 4 or name == "posterize"
