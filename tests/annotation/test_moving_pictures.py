"""Clips as sheets of frames: which frames these are, and where they lie in the sheet."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssl_video.annotation import moving_pictures
from ssl_video.annotation.moving_pictures import FRAMES, LONGEST
from ssl_video.data.video import stream


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> str:
    """29 frames in 2.9 seconds."""
    return str(make_video(tmp_path_factory.mktemp("clip") / "a, b.mkv", 29))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> str:
    """29 frames in 290 seconds."""
    return str(make_video(tmp_path_factory.mktemp("clip") / "day.mkv", 29, fps=Fraction(1, 10)))


def test_frames_of_a_short_clip_are_evenly_spaced(video: str, frame_numbers: Any) -> None:
    pictures, seconds, problem = moving_pictures.frames(video, None, None)
    numbers = frame_numbers(np.stack(pictures))
    assert (len(numbers), numbers[0], numbers[-1]) == (FRAMES, 0, 28)
    assert set(np.diff(numbers)) == {1, 2}
    assert (round(seconds, 3), problem) == (2.9, "")


@pytest.mark.parametrize(
    ("part", "start", "end", "expected"),
    [
        ("", 0.5, 1.0, range(5, 10)),
        ("", 2.5, None, range(25, 29)),
        ("", None, 0.25, range(3)),
        ("#t=0.5,1", None, None, range(5, 10)),
        ("#f=3,7", None, None, range(3, 7)),
    ],
)
def test_a_part_of_a_file_is_shown_alone(
    video: str, part: str, start: float | None, end: float | None, expected: range, frame_numbers: Any
) -> None:
    pictures, seconds, problem = moving_pictures.frames(video + part, start, end)
    assert frame_numbers(np.stack(pictures)) == list(expected)
    assert seconds == pytest.approx(len(expected) / 10)
    assert problem == ""


def test_long_clips_are_read_by_seeking(
    recording: str, frame_numbers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = list[float]()
    original = stream.frames

    def counted(*arguments: Any) -> Iterator[stream.Timed]:
        for timed in original(*arguments):
            read.append(timed[0])
            yield timed

    monkeypatch.setattr(stream, "frames", counted)
    pictures, seconds, _ = moving_pictures.frames(recording, None, None)
    # Every 290 / 24 seconds, the next of the frames, which are 10 seconds apart.
    expected = [-(-(290 * place) // 240) for place in range(FRAMES)]
    assert frame_numbers(np.stack(pictures)) == expected
    assert seconds == pytest.approx(290)
    assert len(read) == FRAMES


def test_a_part_of_a_recording_is_not_read_from_the_beginning(recording: str, frame_numbers: Any) -> None:
    pictures, seconds, _ = moving_pictures.frames(recording, 200, 230)
    assert frame_numbers(np.stack(pictures)) == [20, 21, 22]
    assert seconds == pytest.approx(30)


def test_few_frames_are_held_at_once() -> None:
    """Of 1000 frames at uneven times, those nearest to evenly spaced times."""
    held = moving_pictures._Thinned()
    times = [number / 10 if number < 500 else 50 + (number - 500) / 5 for number in range(1000)]
    held.add((seconds, np.array([number])) for number, seconds in enumerate(times))
    assert len(held._kept) < 4 * FRAMES
    chosen = [times[int(pixels[0])] for pixels in held.pictures]
    assert len(chosen) == FRAMES
    assert np.allclose(chosen, np.linspace(0, times[-1], FRAMES), atol=3.2)


def test_a_clip_that_cannot_be_read_has_a_reason(tmp_path: Path, video: str) -> None:
    broken = tmp_path / "broken.avi"
    broken.write_bytes(b"no video")
    made = moving_pictures.write(tmp_path / "0001", str(broken), None, None)
    assert (made.frames, made.problem) == (0, "invalid data found when processing input")
    made = moving_pictures.write(tmp_path / "0001", str(tmp_path / "gone.mp4"), None, None)
    assert (made.frames, made.problem) == (0, "no such file or directory")
    made = moving_pictures.write(tmp_path / "0001", video, 7.5, 9.0)
    assert (made.frames, made.problem) == (0, "the clip begins at 7.5 s and has no frame")
    made = moving_pictures.write(tmp_path / "0001", f"{video}#f=40", None, None)
    assert (made.frames, made.problem) == (0, "the clip begins at frame 40 and has no frame")
    assert not list(tmp_path.glob("0001*"))


def test_a_damaged_clip_is_shown_up_to_the_damage(
    video: str, monkeypatch: pytest.MonkeyPatch, frame_numbers: Any
) -> None:
    original = stream.frames

    def damaged(*arguments: Any) -> Iterator[stream.Timed]:
        for number, timed in enumerate(original(*arguments)):
            if number == 4:
                raise moving_pictures.DecodeError("damaged, after 4 frames")
            yield timed

    monkeypatch.setattr(stream, "frames", damaged)
    pictures, seconds, problem = moving_pictures.frames(video, None, None)
    assert frame_numbers(np.stack(pictures)) == [0, 1, 2, 3]
    assert (round(seconds, 3), problem) == (0.4, "damaged, after 4 frames")


def test_frames_lie_in_the_sheet_row_by_row(
    tmp_path: Path, make_video: Callable[..., Path], frame_numbers: Any
) -> None:
    video = make_video(tmp_path / "a.mkv", 8, height=40, width=60)
    made = moving_pictures.write(tmp_path / "0001", str(video), None, None)
    assert made == (8, 60, 40, 0.8, "")
    sheet = np.asarray(Image.open(tmp_path / "0001.webp").convert("RGB"))
    assert sheet.shape == (80, 360, 3)
    tiles = [sheet[40 * (n // 6) :, 60 * (n % 6) :][5:35, 5:55] for n in range(8)]
    assert frame_numbers(np.stack(tiles)) == list(range(8))
    still = np.asarray(Image.open(tmp_path / "0001.jpg").convert("RGB"))
    assert frame_numbers(still[None]) == [4]


def test_large_frames_are_made_small(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    video = make_video(tmp_path / "a.mkv", 2, height=800, width=1200)
    assert moving_pictures.write(tmp_path / "1", str(video), None, None)[:3] == (2, 300, 200)
    video = make_video(tmp_path / "b.mkv", 2, height=16, width=4000)
    assert moving_pictures.write(tmp_path / "1", str(video), None, None)[:3] == (2, LONGEST, 5)


def test_folders_of_pictures_are_clips(tmp_path: Path) -> None:
    for number in range(10):
        Image.new("RGB", (30, 20), (number, 0, 0)).save(tmp_path / f"{number}.png")
    pictures, seconds, problem = moving_pictures.frames(str(tmp_path), 1.0, 2.0, 5.0)
    assert [int(pixels[0, 0, 0]) for pixels in pictures] == [5, 6, 7, 8, 9]
    assert (seconds, problem) == (pytest.approx(1.0), "")
