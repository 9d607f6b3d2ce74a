"""What networks cannot take is said at once, with numbers that would do."""

import pytest

from ssl_video.backbones.limits import check_clip, scaled
from ssl_video.errors import InputError


def test_a_clip_that_fits_passes() -> None:
    check_clip("net", 8, 32, "why", at_least=(8, 32), multiples_of=(4, 16))


def test_all_problems_of_a_clip_at_once() -> None:
    with pytest.raises(InputError) as caught:
        check_clip("net", 3, 37, "it is so", at_least=(4, 1), multiples_of=(2, 4))
    assert caught.value.problems == (
        "net: it is so, so frames must be at least 4, not 3",
        "net: it is so, so frames must be a multiple of 2, not 3: try 2 or 4",
        "net: it is so, so size must be a multiple of 4, not 37: try 36 or 40",
    )


def test_no_multiple_of_zero_is_offered() -> None:
    with pytest.raises(InputError, match=r"not 3: try 4$"):
        check_clip("net", 3, 8, "it is so", multiples_of=(4, 1))


@pytest.mark.parametrize(("width", "channels"), [(1, 24), (0.125, 3), (1.5, 36)])
def test_widths_are_eighths(width: float, channels: int) -> None:
    assert scaled(24, width) == channels


@pytest.mark.parametrize("width", [0.3, 0.01])
def test_other_widths_are_refused(width: float) -> None:
    with pytest.raises(InputError, match=rf"width {width}: .* multiples of 1/8"):
        scaled(64, width)
