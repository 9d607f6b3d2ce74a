"""The temporal gradient against differences worked out by hand.

Grey, pixel 0.5, is (0.5 - 0.45) / 0.225 = 2 / 9 in a normalised clip.
"""

import pytest
import torch
from helpers.numbers import close

from ssl_video.algorithms.parts.temporal_gradient import temporal_gradient
from ssl_video.errors import InputError


def test_each_frame_becomes_half_the_change_from_the_next_one() -> None:
    """Frames 1, 4, 9, 16 change by 3, 5, 7; the fourth has no successor, and 7 stands there again."""
    clip = torch.tensor([1.0, 4.0, 9.0, 16.0]).view(1, 1, 4, 1, 1).expand(2, 3, 4, 5, 6)
    found = temporal_gradient(clip)
    assert found.shape == clip.shape
    assert found[1, 2, :, 4, 5].tolist() == close([2 / 9 - change / 2 for change in (3, 5, 7, 7)])


def test_places_and_channels_stay_apart() -> None:
    clip = torch.zeros(1, 3, 2, 2, 2)
    clip[0, 1, 1, 0, 1] = 5
    found = temporal_gradient(clip)
    assert found[0, 1, :, 0, 1].tolist() == close([2 / 9 - 2.5] * 2)
    assert (found - 2 / 9).sum().item() == close(-5.0)


def test_it_is_the_picture_that_ltg_stores_normalised_like_a_frame() -> None:
    """Of pixels 200 and 50, LTG's extraction stores (200 - 50 + 255) / 2 = 202.5; of 0 and 255, 0."""
    pixels = torch.tensor([[200.0, 50.0], [0.0, 255.0]])
    normalised = (pixels / 255 - 0.45) / 0.225
    found = temporal_gradient(normalised.view(2, 1, 2, 1, 1).expand(-1, 3, -1, -1, -1))[:, 0, 0, 0, 0]
    assert ((found * 0.225 + 0.45) * 255).tolist() == pytest.approx([202.5, 0.0], abs=1e-3)


def test_a_single_frame_has_none() -> None:
    with pytest.raises(InputError, match="choose 2 frames or more"):
        temporal_gradient(torch.zeros(1, 3, 1, 4, 4))
