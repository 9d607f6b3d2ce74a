"""Pixels of clips and batches: levels, colours, cutout, and one transform for all frames."""

import numpy as np
import pytest
import torch
from helpers.transforms import GREY, IDENTITY, draws, noise, one

from ssl_video.data.views import augment
from ssl_video.data.views.augment import RECIPES, Transform, apply, centre, draw, restore
from ssl_video.data.views.sampling import Stream

# Levels and colours


def test_normalisation_can_be_undone() -> None:
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    view = apply([every], [centre(16, 16)], 16)
    assert np.array_equal(restore(view)[0], every)
    assert np.array_equal(restore(view[0]), every)


def test_normalised_grey_lies_outside() -> None:
    outside = apply([noise(1, 8, 8, 3)], [Transform(augment._warp("translate_x", 1.0)[:2])], 4)
    assert torch.allclose(outside, torch.tensor(GREY), atol=1e-6)


def test_colour_operations_follow_each_other_in_the_order_given() -> None:
    # Brightness at factor .1, then 4 bits: 200 is 20 is 16. The other way round: 200 is 192 is 19.2, rounded.
    frames = np.full((1, 4, 4, 3), 200, np.uint8)
    darker, coarser = ("brightness", 0.0), ("posterize", 1.0)
    assert one(frames, Transform(IDENTITY, (darker, coarser)), 4).mean().item() == pytest.approx(16, abs=1e-3)
    assert one(frames, Transform(IDENTITY, (coarser, darker)), 4).mean().item() == pytest.approx(19, abs=1e-3)


def test_colours_stay_in_their_range_between_operations() -> None:
    # Factor 1.9 makes 380 of 200, cut to 255; factor .1 of that is 25.5, rounded up to 26,
    # where 38 would not have been cut.
    frames = np.full((1, 4, 4, 3), 200, np.uint8)
    twice = Transform(IDENTITY, (("brightness", 1.0), ("brightness", 0.0)))
    assert one(frames, twice, 4).mean().item() == pytest.approx(26, abs=1e-3)


# Cutout


def test_cutout_greys_a_square_in_all_frames() -> None:
    # Centre at 5 and 2 of 10, side 4: rows 3 to 6, columns 0 to 3.
    view = apply([noise(3, 10, 10, 3)], [Transform(IDENTITY, box=(0.5, 0.2, 0.4))], 10)[0]
    plain = apply([noise(3, 10, 10, 3)], [Transform(IDENTITY)], 10)[0]
    assert torch.allclose(view[:, :, 3:7, 0:4], torch.tensor(GREY), atol=1e-6)
    view[:, :, 3:7, 0:4] = plain[:, :, 3:7, 0:4]
    assert torch.equal(view, plain)


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        # Centre 0, side 4: from -2 to 1, cut to two rows. Centre 10: from 8 to 11, cut to two columns.
        ((0.0, 1.0, 0.4), slice(0, 2), slice(8, 10)),
        ((1.0, 0.0, 0.4), slice(8, 10), slice(0, 2)),
        ((0.0, 0.0, 0.1), slice(0, 1), slice(0, 1)),
        # Less than half a pixel is none.
        ((0.0, 0.5, 0.04), slice(0, 0), slice(0, 0)),
    ],
)
def test_cutout_is_cut_by_the_border(box: tuple[float, float, float], rows: slice, columns: slice) -> None:
    white = np.full((1, 10, 10, 3), 255, np.uint8)
    expected = torch.full((10, 10), 255.0)
    expected[rows, columns] = 127.0
    assert torch.allclose(one(white, Transform(IDENTITY, box=box), 10)[0, ..., 1], expected, atol=0.01)


# Clips and batches


@pytest.mark.parametrize("recipe", ["weak", "strong"])
def test_one_transform_for_all_frames(recipe: str) -> None:
    still = np.repeat(noise(1, 20, 24, 3), 4, axis=0)
    for transform in draws(RECIPES[recipe], 60, 20, 24):
        view = apply([still], [transform], 16)[0]
        assert torch.equal(view, view[:, :1].expand_as(view))


def test_frames_keep_their_order() -> None:
    moving = np.stack([np.full((6, 6, 3), 10 * t, np.uint8) for t in range(5)])
    assert one(moving, centre(6, 6), 4)[:, 0, 0, 0].tolist() == pytest.approx([0, 10, 20, 30, 40], abs=0.01)


def test_colours_keep_their_order() -> None:
    red = np.zeros((1, 6, 6, 3), np.uint8)
    red[..., 0], red[..., 2] = 200, 7
    assert apply([red], [centre(6, 6)], 4)[0, :, 0, 0, 0].tolist() == pytest.approx(
        [(200 / 255 - 0.45) / 0.225, -2, (7 / 255 - 0.45) / 0.225], abs=1e-4
    )


def test_clips_of_a_batch_do_not_touch_each_other() -> None:
    shapes = [(20, 20), (12, 30), (33, 17), (20, 20), (12, 30), (20, 20)]
    clips = [noise(3, h, w, 3, seed=n) for n, (h, w) in enumerate(shapes)]
    before = [clip.copy() for clip in clips]
    transforms = [draw(RECIPES["strong"], Stream(1, "x", n), h, w) for n, (h, w) in enumerate(shapes)]
    assert len({len(t.colours) for t in transforms}) > 1
    together = apply(clips, transforms, 14)
    for n, (clip, transform) in enumerate(zip(clips, transforms, strict=True)):
        assert torch.equal(together[n : n + 1], apply([clip], [transform], 14))
    assert all(np.array_equal(a, b) for a, b in zip(clips, before, strict=True))


@pytest.mark.parametrize("recipe", RECIPES)
def test_result_is_float_and_channels_last(recipe: str) -> None:
    clips = [noise(4, 20, 30, 3, seed=n) for n in range(3)]
    view = apply(clips, draws(RECIPES[recipe], 3, 20, 30), 16)
    assert view.shape == (3, 3, 4, 16, 16)
    assert view.dtype == torch.float32
    assert view.is_contiguous(memory_format=torch.channels_last_3d)
    # Pixels in [0, 1] stand between -.45 / .225 and .55 / .225.
    assert view.min() >= -2 - 1e-5
    assert view.max() <= 0.55 / 0.225 + 1e-5


def test_made_in_inference_mode_first() -> None:
    # Evaluation runs in inference mode; nothing that is kept from it may spoil training afterwards.
    augment._centres.cache_clear()
    with torch.inference_mode():
        apply([noise(1, 8, 8, 3)], [centre(8, 8)], 8)
    view = apply([noise(1, 8, 8, 3)], [centre(8, 8)], 8)
    weight = torch.ones((), requires_grad=True)
    (view * weight).sum().backward()
    assert weight.grad is not None
