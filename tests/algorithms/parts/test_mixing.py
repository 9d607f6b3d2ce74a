"""Where clips are mixed, and how much, against numbers worked out by hand."""

import pytest
import torch
from torch import Tensor

from ssl_video.algorithms.parts.mixing import beta_fraction, beta_fractions, box_tube, mix, patch_tube

CLIP = torch.zeros(2, 3, 4, 8, 16)


def centres(monkeypatch: pytest.MonkeyPatch, row: float, column: float) -> None:
    """Boxes have their centre there, as fractions of height and width."""
    monkeypatch.setattr(torch, "rand", lambda count: torch.tensor([row, column]))


def extent(mask: Tensor) -> tuple[list[int], list[int]]:
    """Rows and columns in which the mask is 1, which must be all of their rectangle."""
    inside = mask[0, 0, 0]
    rows, columns = inside.any(1).nonzero().flatten().tolist(), inside.any(0).nonzero().flatten().tolist()
    assert inside.sum() == len(rows) * len(columns)
    return rows, columns


def test_a_box_has_the_clip_s_proportions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of the area is half of each side: 4 of 8 rows around 4, 8 of 16 columns around 6."""
    centres(monkeypatch, 0.5, 0.375)
    mask = box_tube(CLIP, 0.25)
    assert mask.shape == (1, 1, 1, 8, 16)
    assert extent(mask) == ([2, 3, 4, 5], list(range(2, 10)))
    assert mask.mean().item() == 0.25


def test_the_sides_of_a_box_are_even(monkeypatch: pytest.MonkeyPatch) -> None:
    """As CutMix's code: int(8 * 0.6) // 2 = 2 rows and int(16 * 0.6) // 2 = 4 columns to either side."""
    centres(monkeypatch, 0.5, 0.5)
    assert extent(box_tube(CLIP, 0.36)) == ([2, 3, 4, 5], list(range(4, 12)))
    # int(8 * 0.1) // 2 = 0 rows: no box.
    assert not box_tube(CLIP, 0.01).any()


@pytest.mark.parametrize(
    ("centre", "rows", "columns"),
    [((0.0, 0.0), [0, 1], [0, 1, 2, 3]), ((0.99, 0.99), [5, 6, 7], [11, 12, 13, 14, 15])],
)
def test_a_box_is_cut_at_the_edges(
    monkeypatch: pytest.MonkeyPatch, centre: tuple[float, float], rows: list[int], columns: list[int]
) -> None:
    """4 x 8 pixels around pixel (0, 0) lie at -2..1 and -4..3; around (7, 15) at 5..8 and 11..18."""
    centres(monkeypatch, *centre)
    mask = box_tube(CLIP, 0.25)
    assert extent(mask) == (rows, columns)
    assert mask.mean().item() == len(rows) * len(columns) / 128


def test_nothing_and_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    centres(monkeypatch, 0.5, 0.5)
    assert not box_tube(CLIP, 0.0).any()
    assert box_tube(CLIP, 1.0).all()
    assert not patch_tube(CLIP, 4, 0.0).any()
    assert patch_tube(CLIP, 4, 1.0).all()


def test_boxes_are_all_over_the_frame() -> None:
    torch.manual_seed(0)
    seen = torch.stack([box_tube(CLIP, 0.25) for _ in range(300)]).mean(0)[0, 0, 0]
    assert (seen > 0.05).all()
    assert seen.sum() < 0.25 * 128


def test_patches_are_whole_and_as_many_as_asked_for() -> None:
    """8 x 16 pixels are 2 x 4 patches of 4; 0.4 of 8 is 3.2, so 3 of them."""
    torch.manual_seed(0)
    found = set()
    for _ in range(40):
        mask = patch_tube(CLIP, 4, 0.4)
        assert mask.shape == (1, 1, 1, 8, 16)
        patches = mask.view(2, 4, 4, 4).transpose(1, 2).flatten(2)
        assert ((patches == 0).all(-1) | (patches == 1).all(-1)).all()
        assert patches[..., 0].sum() == 3
        found.add(tuple(patches[..., 0].flatten().tolist()))
    assert len(found) > 10


def test_patches_at_the_edge_are_cut_off() -> None:
    """6 x 6 pixels hold 2 x 2 patches of 4, of which one pixel row and column of two pixels is left."""
    torch.manual_seed(0)
    areas = {int(patch_tube(torch.zeros(1, 3, 2, 6, 6), 4, 0.25).sum()) for _ in range(40)}
    assert areas == {16, 8, 4}


def test_masks_have_the_clip_s_type() -> None:
    half = CLIP.bfloat16()
    assert box_tube(half, 0.25).dtype == patch_tube(half, 4, 0.25).dtype == torch.bfloat16


def test_a_mask_chooses_and_a_number_blends() -> None:
    """A quarter of 8 and three quarters of 4 is 5."""
    one, other = torch.full((2, 3, 4, 8, 16), 4.0), torch.full((2, 3, 4, 8, 16), 8.0)
    mask = patch_tube(one, 4, 0.5)
    mixed = mix(one, other, mask)
    assert torch.equal(mixed == 8, mask.bool().expand_as(mixed))
    assert torch.equal(mixed == 4, ~mask.bool().expand_as(mixed))
    assert (mix(one, other, 0.25) == 5).all()


def test_shares_of_a_beta_distribution() -> None:
    """Beta(c, c) has the mean 1/2 and the variance 1 / (8 c + 4); of 0, nothing is mixed."""
    torch.manual_seed(0)
    for concentration in (0.75, 1.0, 10.0):
        drawn = beta_fractions(concentration, 2000)
        assert drawn.mean().item() == pytest.approx(0.5, abs=0.03)
        assert drawn.var().item() == pytest.approx(1 / (8 * concentration + 4), rel=0.1)
    assert beta_fraction(0) == 0
    assert beta_fractions(0, 3).tolist() == [0, 0, 0]


@pytest.mark.parametrize("draw", [lambda: box_tube(CLIP, 0.3), lambda: patch_tube(CLIP, 4, 0.4)])
def test_masks_follow_torch_s_seed(draw: object) -> None:
    assert callable(draw)
    torch.manual_seed(3)
    first = torch.stack([draw() for _ in range(5)])
    torch.manual_seed(3)
    assert torch.equal(torch.stack([draw() for _ in range(5)]), first)
