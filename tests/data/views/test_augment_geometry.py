"""Crops, flips and warps against positions worked by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.transforms import noise, one, same

from ssl_video.data.views import augment
from ssl_video.data.views.augment import RECIPES, Recipe, Transform, centre, draw
from ssl_video.data.views.sampling import Stream


def test_square_frame_of_the_right_size_keeps_its_pixels() -> None:
    frames = noise(3, 17, 17, 3)
    assert same(one(frames, draw(RECIPES["none"], Stream(0, "x"), 17, 17), 17), frames)
    assert same(one(frames, centre(17, 17), 17), frames)


def test_flip_is_the_mirror_image() -> None:
    frames = noise(2, 16, 16, 3)
    recipe = Recipe(area=(1.0, 1.0), aspect=(1.0, 1.0), flip=1.0)
    assert same(one(frames, draw(recipe, Stream(0, "x"), 16, 16), 16), frames[:, :, ::-1])
    assert same(one(frames, draw(replace(recipe, flip=0.0), Stream(0, "x"), 16, 16), 16), frames)


def test_centre_is_cut_from_the_longer_side_and_keeps_the_aspect_ratio() -> None:
    # 8 x 14: 6 columns too many; 3 are left off on each side, or all at one side.
    wide = noise(2, 8, 14, 3)
    assert same(one(wide, centre(8, 14), 8), wide[:, :, 3:11])
    assert same(one(wide, centre(8, 14, 0.0), 8), wide[:, :, :8])
    assert same(one(wide, centre(8, 14, 1.0), 8), wide[:, :, 6:])
    tall = noise(2, 14, 8, 3)
    assert same(one(tall, centre(14, 8), 8), tall[:, 3:11])
    assert same(one(tall, centre(14, 8, 0.0), 8), tall[:, :8])
    assert same(one(tall, centre(14, 8, 1.0), 8), tall[:, 6:])


def test_crop_box_is_mapped_from_pixels() -> None:
    # Rows 2 to 5 and columns 4 to 9 of 8 x 16 onto 6 x 6: the columns as they are, the rows 1.5 times as
    # large. Output row centres (0.5 to 5.5) / 1.5 lie at .333, 1, 1.667, 2.333, 3, 3.667 of the box; less the
    # half pixel, between its rows 0 (its border), .5, 1.167, 1.833, 2.5, 3 (border).
    frames = noise(1, 8, 16, 3)
    box = augment._box(2, 4, 4, 6, 8, 16)[:2]
    rows = np.array([0, 0.5, 1.1667, 1.8333, 2.5, 3])
    below = np.minimum(np.floor(rows), 2).astype(int)
    part = (rows - below)[:, None, None]
    inside = frames[0, 2:6, 4:10]
    expected = inside[below] * (1 - part) + inside[below + 1] * part
    # Whole levels, and the weights are whole 256ths or finer.
    assert same(one(frames, Transform(box), 6)[0], expected, 1.01)


def test_reduced_crop_counts_every_pixel() -> None:
    # White columns at every fourth of 32 pixels, reduced to 8: without antialiasing some results would be
    # white or black; with it all inside are near the mean, 255 / 4.
    frames = np.zeros((1, 32, 32, 3), np.uint8)
    frames[:, :, ::4] = 255
    assert (one(frames, centre(32, 32), 8)[:, :, 1:-1] - 255 / 4).abs().max() < 8


def test_turned_crop_takes_the_four_nearest_pixels() -> None:
    # A quarter turn of a reduction to a quarter: output centres lie on corners of four pixels.
    frames = noise(1, 32, 32, 3)
    turned = one(frames, Transform(augment._warp("rotate", 90)[:2]), 8)
    nearest = frames.astype(float).reshape(1, 8, 4, 8, 4, 3)[:, :, 1:3, :, 1:3].mean((2, 4))
    assert same(turned, np.rot90(nearest, 1, (1, 2)), 0.51)


def test_translation_moves_by_a_share_of_the_side_and_leaves_grey() -> None:
    # A quarter of 8 pixels: two columns; what comes in from outside is grey, 127.
    frames = noise(1, 8, 8, 3)
    moved = one(frames, Transform(augment._warp("translate_x", 0.25)[:2]), 8)
    assert same(moved[:, :, :6], frames[:, :, 2:])
    assert torch.allclose(moved[:, :, 6:], torch.tensor(127.0), atol=0.01)
    moved = one(frames, Transform(augment._warp("translate_y", -0.25)[:2]), 8)
    assert same(moved[:, 2:], frames[:, :6])
    assert torch.allclose(moved[:, :2], torch.tensor(127.0), atol=0.01)


def test_quarter_turn_is_exact() -> None:
    # The output at (x, y) is the source at (-y, x): what is at the right, (1, 0), comes from (0, 1), the
    # bottom. So the bottom row becomes the right column: a turn against the clock.
    frames = noise(2, 9, 9, 3)
    assert same(one(frames, Transform(augment._warp("rotate", 90)[:2]), 9), np.rot90(frames, 1, (1, 2)))
    assert same(one(frames, Transform(augment._warp("rotate", -90)[:2]), 9), np.rot90(frames, -1, (1, 2)))


def test_shear_moves_each_row_by_its_height() -> None:
    # x' = x + .5 y. The rows of 8 lie at y = -7/8, -5/8, ... and one pixel is 2/8: moves of .5 y / (2/8) are
    # -1.75, -1.25, -.75, -.25, .25 ... pixels. On a ramp of 10 a column that adds ten times as many levels.
    ramp = np.tile((100 + 10 * np.arange(8, dtype=np.uint8))[None, None, :, None], (1, 8, 1, 3))
    sheared = one(ramp, Transform(augment._warp("shear_x", 0.5)[:2]), 8)[0, :, :, 0]
    moves = torch.tensor([-17.5, -12.5, -7.5, -2.5, 2.5, 7.5, 12.5, 17.5])
    assert torch.allclose(sheared[:, 3], 130 + moves, atol=0.51)
    other = one(ramp.swapaxes(1, 2), Transform(augment._warp("shear_y", 0.5)[:2]), 8)[0, :, :, 0]
    assert torch.allclose(other[3], 130 + moves, atol=0.51)


class Script(Stream):
    """A stream whose numbers are given: integers, and shares."""

    def __init__(self, integers: list[int], shares: list[float]) -> None:
        self.integers, self.shares = iter(integers), iter(shares)

    def integer(self, count: int) -> int:
        return next(self.integers)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * next(self.shares)


def test_operations_follow_each_other_in_the_order_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "GEOMETRY", {"rotate": 90.0, "translate_x": 0.25})
    recipe = Recipe(area=(1.0, 1.0), aspect=(1.0, 1.0), operations=2)
    frames = noise(1, 8, 8, 3)
    # The crop is the whole frame: two shares and two integers. Flip no; then for each operation its largest
    # magnitude and its sign, positive.
    shares = [0.0, 0.0, 0.9, 1, 0, 1, 0]
    turn_and_shift = one(frames, draw(recipe, Script([0, 0, 0, 1], shares), 8, 8), 8)
    assert same(turn_and_shift[:, :, :6], np.rot90(frames, 1, (1, 2))[:, :, 2:])
    assert torch.allclose(turn_and_shift[:, :, 6:], torch.tensor(127.0), atol=0.01)
    # The other order: the two columns that are left free at the right are turned to the top.
    shift_and_turn = one(frames, draw(recipe, Script([0, 0, 1, 0], shares), 8, 8), 8)
    assert same(shift_and_turn[:, 2:], np.rot90(frames, 1, (1, 2))[:, :6])
    assert torch.allclose(shift_and_turn[:, :2], torch.tensor(127.0), atol=0.01)


def test_warp_sees_what_lies_beside_the_crop() -> None:
    # A crop to the left half, shifted by half a side: what comes in is no grey, but columns 4 to 11 of 16.
    frames = noise(1, 8, 16, 3)
    matrix = augment._box(0, 0, 8, 8, 8, 16) @ augment._warp("translate_x", 0.5)
    assert same(one(frames, Transform(matrix[:2]), 8), frames[:, :, 4:12])


@pytest.mark.parametrize("flip", [1, -1])
def test_crop_that_leaves_the_frame_on_two_sides(flip: int) -> None:
    # Rows -2 to 5 and columns 4 to 11 of 8 x 8, each pixel as it is.
    frames = noise(2, 8, 8, 3)
    expected = np.full_like(frames, 127)
    expected[:, 2:, :4] = frames[:, :6, 4:]
    matrix = augment._box(-2, 4, 8, 8, 8, 8) @ np.diag([flip, 1, 1])
    assert same(one(frames, Transform(matrix[:2]), 8), expected[:, :, ::flip])


@pytest.mark.parametrize("shift", [-2, -1.1, 1.1, 2])
def test_crop_outside_the_frame_is_grey(shift: float) -> None:
    frames = noise(1, 6, 9, 3)
    for name in ("translate_x", "translate_y"):
        gone = one(frames, Transform(augment._warp(name, shift)[:2]), 5)
        assert torch.allclose(gone, torch.tensor(127.0), atol=0.01)


def test_turned_frame_leaves_grey_corners() -> None:
    turned = one(np.full((2, 16, 16, 3), 200, np.uint8), Transform(augment._warp("rotate", 45)[:2]), 16)
    assert torch.allclose(turned[:, [0, 0, -1, -1], [0, -1, 0, -1]], torch.tensor(127.0), atol=0.01)
    assert torch.allclose(turned[:, 5:11, 5:11], torch.tensor(200.0), atol=0.01)


def test_enlarged_frame_keeps_its_border() -> None:
    # Twice as large: the outermost row lies beyond the centres of the source's outermost pixels, and is still
    # the frame, not half grey.
    white = np.full((1, 4, 4, 3), 255, np.uint8)
    assert torch.allclose(one(white, centre(4, 4), 8), torch.tensor(255.0), atol=0.01)
