"""The temporal gradient against differences worked out by hand."""

import pytest
import torch

from ssl_video.algorithms.parts.temporal_gradient import temporal_gradient
from ssl_video.errors import InputError


def test_each_frame_becomes_the_change_to_the_next_one() -> None:
    """Frames 1, 4, 9, 16 change by 3, 5, 7; the fourth has no successor, and 7 stands there again."""
    clip = torch.tensor([1.0, 4.0, 9.0, 16.0]).view(1, 1, 4, 1, 1).expand(2, 3, 4, 5, 6)
    found = temporal_gradient(clip)
    assert found.shape == clip.shape
    assert found[1, 2, :, 4, 5].tolist() == [3, 5, 7, 7]


def test_places_and_channels_stay_apart() -> None:
    clip = torch.zeros(1, 3, 2, 2, 2)
    clip[0, 1, 1, 0, 1] = 5
    found = temporal_gradient(clip)
    assert found[0, 1, :, 0, 1].tolist() == [5, 5]
    assert found.sum() == 10


def test_a_single_frame_has_none() -> None:
    with pytest.raises(InputError, match="choose 2 frames or more"):
        temporal_gradient(torch.zeros(1, 3, 1, 4, 4))
