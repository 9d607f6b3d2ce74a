"""The race between data paths: who runs when, on what, and what is made of the seconds."""

import importlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest
import torch

from ssl_video.benchmarks.speed import data as speed_data
from ssl_video.benchmarks.speed.data import PYAV, PYTORCHVIDEO, Clip, assemble, race, ratio
from ssl_video.errors import InputError

SMALL = Clip(frames=4, stride=2, size=16)


@pytest.fixture(scope="module")
def videos(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("race")
    return [
        str(make_video(folder / f"{n}.mp4", 16, 48, 64, codec="libx264", pixels="yuv420p", clip=n))
        for n in range(3)
    ]


def test_every_contestant_makes_both_views_of_every_video(videos: list[str], tmp_path: Path) -> None:
    pytest.importorskip("pytorchvideo")
    field = assemble(videos, SMALL, tmp_path)
    assert field.absent == {}
    assert list(field.contestants)[-2:] == [PYAV, PYTORCHVIDEO]
    for name, make in field.contestants.items():
        pairs = []
        for number in range(4):
            made = make(videos, number)
            pairs += zip(made["weak"], made["strong"], strict=True) if isinstance(made, dict) else made
        assert len(pairs) == 4 * 3
        for pair in pairs:
            assert len(pair) == 2
            for view in pair:
                # The colours' place is the library's affair.
                assert sorted(view.shape) == [3, 4, 16, 16], name
                assert view.dtype == torch.float32
        # Normalised: levels from 0 to 1 stand between -2 and 2.44.
        weak = torch.stack([weak for weak, _ in pairs])
        assert -2.01 < weak.min() < weak.max() < 2.45
        # Strong is not weak: of twelve clips one at least is changed by more than geometry.
        strong = torch.stack([strong for _, strong in pairs])
        assert (weak.mean((1, 2, 3, 4)) - strong.mean((1, 2, 3, 4))).abs().max() > 0.01


def test_caches_are_measured_as_they_lie_on_disk(videos: list[str], tmp_path: Path) -> None:
    field = assemble(videos, SMALL, tmp_path)
    raw = field.stored["ssl-video, raw cache"]
    # Three videos of 16 frames, 18 x 24 pixels: 16 * 8 / 7 is 18. Whatever stands around them is small.
    assert 3 * 16 * 18 * 24 * 3 < raw.bytes < 3 * 16 * 18 * 24 * 3 + 5000
    assert raw.videos == 3
    assert raw.seconds > 0
    assert set(field.stored) < set(field.contestants)


def test_baseline_without_its_library_is_left_out(
    videos: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = importlib.import_module

    def without(name: str) -> ModuleType:
        if name.startswith("pytorchvideo"):
            raise ImportError(f"No module named {name!r}")
        return real(name)

    monkeypatch.setattr(speed_data.importlib, "import_module", without)
    field = assemble(videos, SMALL, tmp_path)
    assert field.absent == {PYTORCHVIDEO: "No module named 'pytorchvideo.data'"}
    assert PYTORCHVIDEO not in field.contestants


def test_broken_videos_are_named(videos: list[str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(InputError, match=r"broken\.mp4: "):
        assemble([*videos, str(broken)], SMALL, tmp_path / "caches")


def test_contestants_take_turns_on_the_same_videos() -> None:
    calls: list[tuple[str, tuple[str, ...], int]] = []

    def contestant(name: str) -> Callable[[Sequence[str], int], None]:
        return lambda paths, number: calls.append((name, tuple(paths), number))

    done: list[tuple[int, int]] = []
    seconds = race(
        {name: contestant(name) for name in "abc"},
        ["0", "1", "2"],
        rounds=3,
        videos=2,
        progress=lambda *now: done.append(now),
    )
    # Videos go on from round to round; who went first goes last; the first round is not measured.
    assert [name for name, _, _ in calls] == [*"abc", *"bca", *"cab", *"abc"]
    assert [paths for _, paths, _ in calls[::3]] == [("0", "1"), ("2", "0"), ("1", "2"), ("0", "1")]
    assert all(len({call[1:] for call in calls[n : n + 3]}) == 1 for n in range(0, 12, 3))
    assert {name: len(times) for name, times in seconds.items()} == {"a": 3, "b": 3, "c": 3}
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_ratio_is_worked_by_hand() -> None:
    # Ratios 2, 4 and 8: logarithms in steps of log 2 around log 4. Their deviation is log 2, that of the mean
    # log 2 / sqrt(3); Student's t for two degrees of freedom is 4.3027.
    found = ratio([1.0, 1.0, 0.5], [2.0, 4.0, 4.0])
    half = 4.3027 * math.log(2) / math.sqrt(3)
    assert found.mean == pytest.approx(4)
    assert found.low == pytest.approx(4 * math.exp(-half), rel=1e-4)
    assert found.high == pytest.approx(4 * math.exp(half), rel=1e-4)
