"""What is shown of a video is what training is fed."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ssl_video.data.frames.store import FrameStore
from ssl_video.data.pool import Pool, requests
from ssl_video.data.views.augment import restore
from ssl_video.data.views.sampling import ClipShape
from ssl_video.errors import InputError
from ssl_video.networks import assemble
from ssl_video.spec import build
from ssl_video.training.view_strips import strips


def resolved(**values: object) -> assemble.Spec:
    return assemble.resolve(build({"size": 16, "frames": 4, "stride": 2, **values}), torch.device("cpu"))


@pytest.fixture(scope="module")
def video(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("video") / "one.mkv", 20, 30, 40)


def test_frames_are_those_whose_numbers_stand_below(
    video: Path, frame_numbers: Callable[[np.ndarray], list[int]]
) -> None:
    made = strips(resolved(algorithm="cmpl"), video, 3)
    assert [len(draw) for draw in made] == [6] * 3
    for draw in made:
        for strip in draw:
            fast = strip.title.endswith("auxiliary")
            assert len(strip.numbers) == (8 if fast else 4)
            assert set(np.diff(strip.numbers)) == {1 if fast else 2}
            assert strip.facts[1] == ("8 frames, stride 1" if fast else "4 frames, stride 2")
            if "strong" not in strip.title:
                assert frame_numbers(strip.frames) == list(strip.numbers)
    kinds = [strip.facts[0] for strip in made[0]]
    assert kinds[:2] == ["labeled, weak"] * 2
    assert sorted(kinds[2:]) == ["unlabeled, strong"] * 2 + ["unlabeled, weak"] * 2
    # Draws differ.
    assert len({(*draw[0].numbers, draw[0].frames.tobytes()) for draw in made}) > 1


@pytest.mark.parametrize(("fps", "distance"), [(None, 2), (5.0, 4), (10.0, 2), (20.0, 1)])
def test_frames_by_time(
    make_video: Callable[..., Path],
    frame_numbers: Callable[[np.ndarray], list[int]],
    tmp_path: Path,
    fps: float | None,
    distance: int,
) -> None:
    video = make_video(tmp_path / "twenty.mkv", 20, 30, 40, fps=20)
    (draw,) = strips(resolved(algorithm="supervised", fps=fps), video, 1)
    assert [strip.title for strip in draw] == ["weak"], "it reads no unlabeled clips"
    assert set(np.diff(frame_numbers(draw[0].frames))) == {distance}


def test_what_sets_a_view_apart_is_said(video: Path) -> None:
    (draw,) = strips(resolved(algorithm="meanteacher"), video, 1)
    assert {strip.title: strip.facts[2:] for strip in draw} == {
        "weak": (),
        "teacher": (),
        "student": ("transformed again (1)",),
    }


def test_frames_of_all_parts(video: Path) -> None:
    """20 frames in four parts of five."""
    draws = strips(resolved(algorithm="fixmatch", sampling="segments"), video, 5)
    for strip in (strip for draw in draws for strip in draw):
        assert strip.facts[1] == "4 frames, one of each part"
        assert (np.array(strip.numbers) // 5).tolist() == [0, 1, 2, 3]
    assert len({tuple(draw[0].numbers) for draw in draws}) == 5


def test_pixels_are_those_of_training(video: Path) -> None:
    spec = resolved(algorithm="fixmatch", seed=5)
    algorithm = assemble.check(spec, 2)
    store = FrameStore([str(video)], 18, limit=0)
    shapes = {"model": ClipShape(4, 2)}
    pool = Pool("unlabeled", np.array([0]), requests(algorithm.unlabeled, shapes), 1, 16, 5, store)
    for step, draw in enumerate(strips(spec, video, 2)):
        shown = {strip.title: strip.frames for strip in draw if strip.facts[0].startswith("unlabeled")}
        fed = pool.clips(step)
        assert shown.keys() == fed.keys() == {"weak", "strong"}
        assert all(np.array_equal(shown[name], restore(fed[name][0])) for name in fed)


def test_broken_video_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    with pytest.raises(InputError, match=r"broken\.mp4: "):
        strips(resolved(algorithm="fixmatch"), broken, 1)
