"""Colour operations against numbers worked by hand and against torchvision's."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from ssl_video.data.views.colour import OPERATIONS


def clip(*levels: int, frames: int = 1) -> np.ndarray:
    """A grey clip of one row a frame: uint8 (frames, 1, len(levels) / frames, 3)."""
    return np.repeat(np.array(levels, np.uint8).reshape(frames, 1, -1, 1), 3, axis=3)


def run(name: str, frames: np.ndarray, magnitude: float = 0.5) -> np.ndarray:
    out = OPERATIONS[name](frames, magnitude)
    assert out.dtype == np.uint8
    assert out.shape == frames.shape
    assert out.flags.writeable
    return out


def levels(frames: np.ndarray, colour: int = 0) -> list[int]:
    return frames[..., colour].ravel().tolist()


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def picture(seed: int = 0, size: int = 96) -> np.ndarray:
    """An image of blurred patches and some noise, with levels from 20 to 250: uint8 (size, size, 3)."""
    coarse = torch.from_numpy(20 + noise(seed, 1, 3, 6, 6) * (205 / 255))
    smooth = (
        torch.nn.functional.interpolate(coarse, (size, size), mode="bilinear")[0].permute(1, 2, 0).numpy()
    )
    return (smooth + noise(seed + 1, size, size, 3) * (30 / 255)).astype(np.uint8)


# By hand


def test_autocontrast_stretches_each_colour_to_the_full_range() -> None:
    # (51 - 51) / 153, (102 - 51) / 153, (204 - 51) / 153 of 255.
    assert levels(run("autocontrast", clip(51, 102, 204))) == [0, 85, 255]
    # Colours by themselves: the red ramp is stretched, the green constant stays.
    mixed = clip(51, 102, 204)
    mixed[..., 1] = 102
    stretched = run("autocontrast", mixed)
    assert levels(stretched) == [0, 85, 255]
    assert levels(stretched, 1) == [102] * 3


def test_equalize_gives_each_level_the_share_of_pixels_below_it() -> None:
    # 510 pixels of 40, of 80 and of 200 each: a step is (1530 - 510) / 255 = 4 pixels. Below 40 are none,
    # below 80 510, below 200 1020; half a step is added: 2 / 4, 512 / 4, 1022 / 4, cut off.
    frames = np.repeat(clip(40, 80, 200), 510, axis=2)
    assert np.unique(run("equalize", frames)).tolist() == [0, 128, 255]
    assert levels(run("equalize", frames))[::510] == [0, 128, 255]
    # Colours by themselves: a constant stays.
    frames[..., 2] = 33
    assert set(levels(run("equalize", frames), 2)) == {33}


def test_brightness_is_a_blend_with_black() -> None:
    # Factors .1 + 1.8 m: .1, 1 and 1.9; 380 is cut to 255.
    assert levels(run("brightness", clip(0, 100, 200), 0.0)) == [0, 10, 20]
    assert levels(run("brightness", clip(0, 100, 200), 0.5)) == [0, 100, 200]
    assert levels(run("brightness", clip(0, 100, 200), 1.0)) == [0, 190, 255]
    # Rounded, not cut off: 1.9 * 3 = 5.7.
    assert levels(run("brightness", clip(3), 1.0)) == [6]


def test_contrast_is_a_blend_with_the_mean_grey() -> None:
    # The luma weights add up to .9999, so the mean grey of 50 and 150 is 99.99. At factor .1:
    # 99.99 + .1 * (50 - 99.99) = 94.991 and 99.99 + .1 * (150 - 99.99) = 104.991.
    assert levels(run("contrast", clip(50, 150), 0.0)) == [95, 105]
    assert levels(run("contrast", clip(50, 150), 0.5)) == [50, 150]
    # Red 200 is .2989 * 200 = 59.78 of luma: 59.78 + .1 * (200 - 59.78) = 73.8; .9 * 59.78 = 53.8.
    red = np.array([200, 0, 0], np.uint8).reshape(1, 1, 1, 3)
    assert run("contrast", red, 0.0).ravel().tolist() == [74, 54, 54]


def test_saturation_is_a_blend_with_the_grey_clip() -> None:
    red = np.array([[200, 0, 0], [0, 0, 0]], np.uint8).reshape(1, 1, 2, 3)
    # Grey .2989 * 200 = 59.78. At factor .1: 59.78 + .1 * 140.22 = 73.802; 59.78 + .1 * -59.78 = 53.802.
    assert run("saturation", red, 0.0).reshape(2, 3).tolist() == [[74, 54, 54], [0, 0, 0]]
    # At 1.9: 59.78 + 1.9 * 140.22 = 326, and 59.78 - 1.9 * 59.78 = -54; both are cut.
    assert run("saturation", red, 1.0).reshape(2, 3).tolist() == [[255, 0, 0], [0, 0, 0]]


def test_sharpness_is_a_blend_with_the_smoothed_clip_whose_border_stays() -> None:
    dot = np.zeros((1, 5, 5, 3), np.uint8)
    dot[:, 2, 2] = 130
    # Smoothed: 5 / 13 of 130 in the centre, 1 / 13 around it. At factor .1: 50 + .1 * (130 - 50) = 58, and
    # 10 + .1 * (0 - 10) = 9; twice as far from the smoothed clip, at 1.9: 50 + 1.9 * 80 = 202, 10 - 19 = -9.
    smooth, sharp = (run("sharpness", dot, magnitude)[0, ..., 0] for magnitude in (0.0, 1.0))
    assert (smooth[2, 2], smooth[1, 1]) == (58, 9)
    assert (sharp[2, 2], sharp[3, 2]) == (202, 0)
    assert not smooth[0].any()
    corner = np.zeros((2, 4, 4, 3), np.uint8)
    corner[0, 0, 0] = 255
    # It is smoothed with its neighbours in its own frame and colour, and stays itself.
    smooth = run("sharpness", corner, 0.0)
    assert smooth[0, 0, 0].tolist() == [255] * 3
    assert smooth[0, 1, 1, 0] == round(0.9 * 255 / 13)
    assert not smooth[1].any()
    dot[..., 1:] = 0
    assert not run("sharpness", dot, 0.0)[..., 1:].any()


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 7), (7, 2), (3, 3)])
def test_frames_without_an_inside_are_not_sharpened(height: int, width: int) -> None:
    frames = noise(0, 2, height, width, 3)
    changed = (run("sharpness", frames, 1.0) != frames).any(-1).sum()
    assert changed == (2 if (height, width) == (3, 3) else 0)


def test_posterize_keeps_the_highest_bits() -> None:
    # 8 bits at magnitude 0, 6 at .5 (multiples of 4), 4 at 1 (multiples of 16).
    every = clip(*range(256))
    assert levels(run("posterize", every, 0.0)) == list(range(256))
    assert levels(run("posterize", every, 0.5)) == [v // 4 * 4 for v in range(256)]
    assert levels(run("posterize", every, 1.0)) == [v // 16 * 16 for v in range(256)]


def test_solarize_inverts_what_is_above_the_threshold() -> None:
    # At magnitude .4 the threshold is .6 * 255 = 153: 152 stays, 154 becomes 101.
    assert levels(run("solarize", clip(0, 152, 154, 255), 0.4)) == [0, 152, 101, 0]
    assert levels(run("solarize", clip(0, 1, 254, 255), 0.0)) == [0, 1, 254, 0]
    assert levels(run("solarize", clip(0, 1, 254, 255), 1.0)) == [255, 254, 1, 0]


# For all


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("level", [0, 1, 77, 255])
def test_constant_clips_stay_constant(name: str, level: int) -> None:
    constant = clip(*[level] * 16, frames=2)
    for magnitude in (0.01, 0.5, 0.9):
        out = run(name, constant, magnitude)
        assert out.max() == out.min()
    if name in ("autocontrast", "equalize"):
        assert np.array_equal(run(name, constant), constant)


@pytest.mark.parametrize("name", OPERATIONS)
def test_given_clip_is_left_alone(name: str) -> None:
    frames = noise(1, 2, 7, 5, 3)
    before = frames.copy()
    run(name, frames, 0.9)[:] = 0
    assert np.array_equal(frames, before)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_is_the_same_in_every_frame(name: str) -> None:
    # Two frames of different brightness: equal pixels stay equal, whichever frame they are in. A statistic of
    # each frame by itself would tear the two 100s apart.
    two = np.repeat(clip(100, 20, 100, 240, frames=2), 300, axis=1)
    out = run(name, two, 0.2)[:, 0, :, 0]
    assert out[0, 0] == out[1, 0]
    assert out[0, 1] != out[1, 1]


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "sharpness"])
def test_middle_magnitude_changes_nothing(name: str) -> None:
    frames = noise(0, 2, 6, 6, 3)
    assert np.array_equal(run(name, frames, 0.5), frames)


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
    expected = reference(name)(torch.from_numpy(image).permute(2, 0, 1), magnitude).permute(1, 2, 0).int()
    ours = torch.from_numpy(run(name, image[None], magnitude)[0]).int()
    assert (ours - expected).abs().max() <= tolerance
    # Few bits are lost at small magnitudes; all others change what they are compared on.
    assert (expected - torch.from_numpy(image).int()).abs().max() > 4 or name == "posterize"
