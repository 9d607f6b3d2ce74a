"""Contact sheets: every frame stands in the picture, unchanged, and nothing lies over anything."""

import numpy as np
import pytest
from PIL import Image

from ssl_video.data.views.contact_sheet import Strip, draw


def strip(frames: int, size: int, seed: int, facts: tuple[str, ...] = ("one line", "another")) -> Strip:
    pixels = np.random.default_rng(seed).integers(0, 256, (frames, size, size, 3), np.uint8)
    return Strip(f"strip {seed}", facts, pixels, list(range(100, 100 + frames)))


def places(sheet: np.ndarray, frame: np.ndarray) -> list[tuple[int, int]]:
    """Where a picture stands in a sheet: its top left corners."""
    height, width = frame.shape[:2]
    corners = np.argwhere((sheet[: 1 - height or None, : 1 - width or None] == frame[0, 0]).all(-1))
    return [(y, x) for y, x in corners if np.array_equal(sheet[y : y + height, x : x + width], frame)]


@pytest.mark.parametrize(
    ("size", "enlarged"),
    # As large as it gets by a whole factor: 112 / 32 is 3.5, rounded to 4; 64 to 2; from 80 on itself.
    [(32, 4), (64, 2), (80, 1), (112, 1), (150, 1)],
)
def test_every_frame_is_shown_pixel_for_pixel(size: int, enlarged: int) -> None:
    groups = [("first", [strip(5, size, 0), strip(11, size, 1)]), ("second", [strip(2, size, 2)])]
    sheet = np.asarray(draw("heading", groups))
    taken = np.zeros(sheet.shape[:2], int)
    corners = []
    for _, members in groups:
        for member in members:
            for frame in member.frames:
                shown = frame.repeat(enlarged, 0).repeat(enlarged, 1)
                ((y, x),) = places(sheet, shown)
                taken[y : y + len(shown), x : x + len(shown)] += 1
                corners.append((y, x))
    assert taken.max() == 1
    # From left to right; the ninth of eleven frames begins another line; clips follow each other downwards.
    rows = [y for y, _ in corners]
    assert rows == sorted(rows)
    assert len(set(rows)) == 1 + 2 + 1
    assert [len(set(rows[a:b])) for a, b in ((0, 5), (5, 13), (13, 16), (16, 18))] == [1] * 4
    assert len({x for _, x in corners}) == 8


def test_large_frames_are_reduced() -> None:
    small, large = draw("x", [("a", [strip(8, 112, 0)])]), draw("x", [("a", [strip(8, 224, 0)])])
    assert small.size == large.size


def test_text_has_room() -> None:
    plain = draw("x", [("a", [strip(1, 112, 0, ())])])
    wordy = draw("x", [("a", [strip(1, 112, 0, ("a rather long line of facts " * 3,))])])
    assert wordy.width > plain.width + 200
    many = draw("x", [("a", [strip(1, 112, 0, ("line",) * 12)])])
    assert many.height > plain.height + 100
    # What is beside the frames stays left of them: between the text and the frame paper is left.
    sheet = np.asarray(wordy)
    frame = strip(1, 112, 0).frames[0]
    ((y, x),) = places(sheet, frame)
    assert (sheet[y : y + 112, x - 6 : x] == 255).all()
    assert (sheet[y : y + 112, :x] < 100).any()
    assert isinstance(wordy, Image.Image)
