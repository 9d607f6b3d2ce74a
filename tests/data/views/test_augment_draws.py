"""What recipes draw: how often and how far, and that nothing is forgotten."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.transforms import draws, noise

from ssl_video.data.views import augment
from ssl_video.data.views.augment import GEOMETRY, RECIPES, Transform, apply
from ssl_video.data.views.colour import OPERATIONS


def test_flip_is_as_frequent_as_the_recipe_says() -> None:
    # Mirroring turns the sign of the first number. 400 draws at 1/2: 200, six deviations are 60.
    flipped = [t.matrix[0, 0] < 0 for t in draws(RECIPES["weak"], 400)]
    assert 140 < sum(flipped) < 260


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


def test_cutout_is_drawn_up_to_its_largest_side() -> None:
    boxes = np.array([t.box for t in draws(RECIPES["strong"], 300)])
    assert boxes[:, 2].max() <= 0.5
    assert boxes[:, 2].max() > 0.45
    assert boxes[:, 2].min() < 0.05
    assert boxes[:, :2].min() < 0.05
    assert boxes[:, :2].max() > 0.95
    assert abs(np.corrcoef(boxes.T)[np.triu_indices(3, 1)]).max() < 6 / np.sqrt(300)


def test_draw_is_a_function_of_the_generator_and_the_frame() -> None:
    first, again = draws(RECIPES["strong"], 20), draws(RECIPES["strong"], 20)
    for a, b in zip(first, again, strict=True):
        assert np.array_equal(a.matrix, b.matrix)
        assert (a.colours, a.box) == (b.colours, b.box)
    assert len({t.matrix.tobytes() for t in first}) == 20


def test_magnitudes_are_multiplied_by_the_strength() -> None:
    full, half = (draws(replace(RECIPES["strong"], strength=strength), 100) for strength in (1.0, 0.5))
    for one, other in zip(full, half, strict=True):
        assert [(name, magnitude / 2) for name, magnitude in one.colours] == list(other.colours)
    assert any(transform.colours for transform in full)


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
    assert len(RECIPES) == 9
    for name in ("none", "weak", "strong"):
        assert RECIPES[name].temporal is None
        assert augment.spatial(name) == name
        for temporal in ("timewarp", "reversal"):
            assert RECIPES[f"{name}+{temporal}"] == replace(RECIPES[name], temporal=temporal)
            assert augment.spatial(f"{name}+{temporal}") == name


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
