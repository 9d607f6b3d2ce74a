"""Transforms: geometry against positions worked by hand, one draw for all frames, and nothing forgotten."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from ssl_video.data.views import augment
from ssl_video.data.views.augment import GEOMETRY, RECIPES, Recipe, Transform, apply, centre, draw, restore
from ssl_video.data.views.colour import OPERATIONS
from ssl_video.data.views.sampling import Stream

IDENTITY = np.eye(3)[:2]
GREY = (127 / 255 - 0.45) / 0.225  # normalised


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def levels(view: Tensor) -> Tensor:
    """Normalised (N, 3, T, H, W) -> levels in [0, 255] as (N, T, H, W, 3), the layout of frames."""
    return ((view * 0.225 + 0.45) * 255).permute(0, 2, 3, 4, 1)


def one(frames: np.ndarray, transform: Transform, size: int) -> Tensor:
    """The only clip's result, as levels (T, S, S, 3)."""
    return levels(apply([frames], [transform], size))[0]


def draws(recipe: Recipe, number: int, height: int = 40, width: int = 40) -> list[Transform]:
    return [draw(recipe, Stream(0, "augment", n), height, width) for n in range(number)]


def same(ours: Tensor, expected: np.ndarray, tolerance: float = 0.01) -> bool:
    return bool((ours - torch.from_numpy(np.ascontiguousarray(expected)).float()).abs().max() < tolerance)


# Geometry


def test_square_frame_of_the_right_size_keeps_its_pixels() -> None:
    frames = noise(3, 17, 17, 3)
    assert same(one(frames, draw(RECIPES["none"], Stream(0, "x"), 17, 17), 17), frames)
    assert same(one(frames, centre(17, 17), 17), frames)


def test_flip_is_the_mirror_image() -> None:
    frames = noise(2, 16, 16, 3)
    recipe = Recipe(area=(1.0, 1.0), aspect=(1.0, 1.0), flip=1.0)
    assert same(one(frames, draw(recipe, Stream(0, "x"), 16, 16), 16), frames[:, :, ::-1])
    assert same(one(frames, draw(replace(recipe, flip=0.0), Stream(0, "x"), 16, 16), 16), frames)


def test_flip_is_as_frequent_as_the_recipe_says() -> None:
    # Mirroring turns the sign of the first number. 400 draws at 1/2: 200, six deviations are 60.
    flipped = [t.matrix[0, 0] < 0 for t in draws(RECIPES["weak"], 400)]
    assert 140 < sum(flipped) < 260


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


def test_normalisation_can_be_undone() -> None:
    every = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    view = apply([every], [centre(16, 16)], 16)
    assert np.array_equal(restore(view)[0], every)
    assert np.array_equal(restore(view[0]), every)


def test_normalised_grey_lies_outside() -> None:
    outside = apply([noise(1, 8, 8, 3)], [Transform(augment._warp("translate_x", 1.0)[:2])], 4)
    assert torch.allclose(outside, torch.tensor(GREY), atol=1e-6)


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


@pytest.mark.parametrize(("height", "width"), [(40, 40), (36, 64), (64, 20), (3, 200)])
def test_random_crops_lie_inside_the_frame(height: int, width: int) -> None:
    corners = np.array([[x, y, 1] for x in (-1, 1) for y in (-1, 1)]).T
    areas = []
    for transform in draws(RECIPES["weak"], 200, height, width):
        assert np.abs(transform.matrix @ corners).max() < 1 + 1e-9
        # Scales are shares of the frame's sides.
        share_x, share_y = abs(transform.matrix[0, 0]), transform.matrix[1, 1]
        across, down = share_x * width, share_y * height
        assert across == pytest.approx(round(across))
        assert down == pytest.approx(round(down))
        # Sides are rounded to whole pixels.
        assert across - 0.51 < 4 / 3 * (down + 0.51) or share_y == pytest.approx(1)
        assert down - 0.51 < 4 / 3 * (across + 0.51) or share_x == pytest.approx(1)
        areas.append(share_x * share_y)
    assert max(areas) <= 1 + 1e-9
    if height == width:
        # Square frames are seldom cut to the frame, so most shares are what was drawn, from .5 to 1.
        assert min(areas) > 0.5 - 0.02
        assert 0.65 < np.mean(areas) < 0.8
        assert max(areas) > 0.9


def test_crops_reach_every_border() -> None:
    reach = np.array([t.matrix[:, 2] for t in draws(RECIPES["weak"], 300)])
    assert reach.min() < -0.15
    assert reach.max() > 0.15
    assert np.abs(reach.mean(0)).max() < 0.05


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


def test_cutout_is_drawn_up_to_its_largest_side() -> None:
    boxes = np.array([t.box for t in draws(RECIPES["strong"], 300)])
    assert boxes[:, 2].max() <= 0.5
    assert boxes[:, 2].max() > 0.45
    assert boxes[:, 2].min() < 0.05
    assert boxes[:, :2].min() < 0.05
    assert boxes[:, :2].max() > 0.95
    assert abs(np.corrcoef(boxes.T)[np.triu_indices(3, 1)]).max() < 6 / np.sqrt(300)


# Draws


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


def test_draw_is_a_function_of_the_generator_and_the_frame() -> None:
    first, again = draws(RECIPES["strong"], 20), draws(RECIPES["strong"], 20)
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a.matrix, b.matrix)
        assert (a.colours, a.box) == (b.colours, b.box)
    assert len({t.matrix.tobytes() for t in first}) == 20


def test_every_operation_is_drawn_with_all_magnitudes() -> None:
    # 28 places for 14 names in 700 draws of two: 100 of each, six deviations are 60.
    found: dict[str, list[float]] = {}
    for transform in draws(RECIPES["strong"], 700):
        for name, magnitude in transform.colours:
            found.setdefault(name, []).append(magnitude)
    assert set(found) == set(OPERATIONS)
    for magnitudes in found.values():
        assert 40 < len(magnitudes) < 160
        assert 0 <= min(magnitudes) < 0.15
        assert 0.85 < max(magnitudes) < 1


@pytest.mark.parametrize("name", GEOMETRY)
def test_every_warp_is_drawn_in_both_directions_up_to_its_largest(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    warp = augment._warp
    monkeypatch.setattr(augment, "_warp", lambda drawn, amount: asked.append(amount) or warp(drawn, amount))
    monkeypatch.setattr(augment, "GEOMETRY", {name: GEOMETRY[name]})
    draws(RECIPES["strong"], 300)
    share = np.array(asked) / GEOMETRY[name]
    assert -1 < share.min() < -0.8
    assert 0.8 < share.max() < 1


def test_names_are_a_spatial_recipe_and_a_temporal_augmentation() -> None:
    assert len(RECIPES) == 6
    for name in ("none", "weak", "strong"):
        assert RECIPES[name].temporal is None
        assert RECIPES[f"{name}+timewarp"] == replace(RECIPES[name], temporal="timewarp")
        assert augment.spatial(f"{name}+timewarp") == augment.spatial(name) == name


def test_strong_is_more_than_geometry() -> None:
    # There is code in use whose RandAugment silently never ran. Of two places for 14 names, 8 of them colour
    # operations, 1 - (6 / 14)^2 = 82% of clips have one; some change little at the middle of their range.
    frames = [noise(2, 6, 6, 3, seed=n).repeat(8, 1).repeat(8, 2) // 2 + 40 for n in range(100)]
    strong = draws(RECIPES["strong"], 100, 48, 48)
    bare = [Transform(t.matrix) for t in strong]
    with_colours = apply(frames, [replace(t, box=None) for t in strong], 16)
    difference = (with_colours - apply(frames, bare, 16)).abs().amax((1, 2, 3, 4)) * 0.225 * 255
    assert (difference > 10).float().mean() > 0.6
    weak = draws(RECIPES["weak"], 100, 48, 48)
    assert not any(t.colours or t.box for t in weak)


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
