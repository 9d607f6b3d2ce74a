import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.records import result
from torch import Tensor, nn

from ssl_video.data import pool
from ssl_video.data.dataset import Data
from ssl_video.data.views.sampling import ClipShape
from ssl_video.errors import InputError
from ssl_video.inference import prepared, temporal_robustness
from ssl_video.inference.model import Model
from ssl_video.inference.temporal_robustness import CHANGES, ORIGINAL, positions
from ssl_video.runs.folder import DYNAMICS
from ssl_video.runs.result import Environment
from ssl_video.spec import Spec

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("frames", "change", "expected"),
    [
        (8, "original", [0, 1, 2, 3, 4, 5, 6, 7]),
        # Half of the frames, from the middle half of the window: 2 to 5.
        (8, "slowed", [2, 2, 3, 3, 4, 4, 5, 5]),
        (8, "slowed4", [3, 3, 3, 3, 4, 4, 4, 4]),
        (8, "frozen", [3] * 8),
        (8, "reversed", [7, 6, 5, 4, 3, 2, 1, 0]),
        # Three frames are needed to fill five places, two at a quarter of the speed.
        (5, "slowed", [1, 1, 2, 2, 3]),
        (5, "slowed4", [1, 1, 1, 1, 2]),
        (5, "frozen", [2] * 5),
        (2, "slowed", [0, 0]),
        (1, "slowed", [0]),
        (1, "shuffled", [0]),
    ],
)
def test_changes_by_hand(frames: int, change: str, expected: list[int]) -> None:
    assert positions(change, frames, 0, "clip").tolist() == expected


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 7, 8, 16, 32])
def test_frozen_is_the_slowest(frames: int) -> None:
    """And slowing keeps what is shown in the middle of the window, never outside of it."""
    frozen = positions("frozen", frames, 0, "clip")
    for factor in range(1, frames + 3):
        slow = temporal_robustness.slowed(frames, factor)
        assert slow.min() >= 0
        assert slow.max() < frames
        assert set(np.diff(slow)) <= {0, 1}
        before, after = slow.min(), frames - 1 - slow.max()
        assert after - before in (0, 1)
    assert temporal_robustness.slowed(frames, frames).tolist() == frozen.tolist()


def test_shuffled_frames_depend_on_the_seed_and_the_clip_alone() -> None:
    """The first order is pinned: another one would make numbers of old runs incomparable."""
    orders = {(seed, clip): positions("shuffled", 8, seed, clip) for seed in (0, 1) for clip in "abc"}
    assert len({tuple(order) for order in orders.values()}) == 6
    for (seed, clip), order in orders.items():
        assert sorted(order) == list(range(8))
        assert positions("shuffled", 8, seed, clip).tolist() == order.tolist()
    assert orders[0, "a"].tolist() == [7, 5, 2, 3, 6, 1, 0, 4]


# -- what the networks see


class Watching(nn.Module):
    """Notes the frame numbers of the clips that it sees, which colours say; see tests/conftest.py."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[list[int]] = []

    def forward(self, clips: Tensor) -> Tensor:
        assert clips.is_contiguous(memory_format=torch.channels_last_3d)
        red = (clips[:, 0].mean((2, 3)) * 0.225 + 0.45) * 255
        self.seen += ((red - 20) / 8).round().int().tolist()
        return clips.mean((2, 3, 4))


def watched(spec: Spec, data: Data) -> tuple[Model, dict[str, Watching]]:
    networks = {"long": Watching(), "short": Watching()}
    shapes = {"long": ClipShape(8, 1), "short": ClipShape(4, 2)}
    assembly = SimpleNamespace(predictors=lambda: networks, shape_for=shapes.__getitem__)
    return Model(spec, list(data.index.classes), assembly, CPU), networks  # type: ignore[arg-type]


def test_every_network_sees_its_own_clips_changed(
    data: Data, small_spec: Callable[..., Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six test videos, two clips and three crops of each; all change their time, none its place."""
    spec = small_spec(test_clips=2, test_crops=3, seed=5)
    model, networks = watched(spec, data)
    cut: list[int] = []

    def counted(*arguments: Any) -> Tensor:
        cut.append(arguments[1])
        return pool.evaluation_clips(*arguments)

    monkeypatch.setattr(prepared, "evaluation_clips", counted)
    scores = model.sensitivity(data)
    rows = data.index.rows("test").tolist()
    assert sorted(cut) == sorted(rows * 2), "once for each of the two clip shapes"
    assert list(scores) == ["long", "short"]
    for name, network in networks.items():
        assert list(scores[name]) == list(CHANGES)
        seen = np.array(network.seen)
        frames = seen.shape[1]
        # At most 32 clips pass through a network at once: five videos of six, and then one.
        groups = [rows[:5], rows[5:]]
        place = 0
        for group in groups:
            size = len(group) * 6
            original = seen[place : place + size]
            for number, change in enumerate(CHANGES):
                part = seen[place + number * size : place + (number + 1) * size]
                for clip in range(size):
                    order = positions(change, frames, 5, data.index.ids[group[clip // 6]])
                    assert part[clip].tolist() == original[clip][order].tolist(), (name, change)
            place += size * len(CHANGES)
        assert place == len(seen)
        # The mean over time is the same in any order.
        assert scores[name]["reversed"] == scores[name]["shuffled"] == scores[name][ORIGINAL]


def test_original_clips_are_those_of_an_evaluation(data: Data, small_spec: Callable[..., Spec]) -> None:
    model, _ = watched(small_spec(test_clips=2), data)
    expected = model.evaluate(data)
    found = model.sensitivity(data)
    assert {name: theirs[ORIGINAL] for name, theirs in found.items()} == expected
    assert temporal_robustness.differences(found, result(predictors=expected)) == []


# -- the file


def accuracies(top1: float) -> dict[str, float]:
    return {"top1": top1, "top5": 1.0, "mean_class": 0.25}


MADE_WITH = Environment(
    ssl_video="0.1.0",
    torch="2",
    python="3",
    system="Linux",
    device="cpu",
    threads=1,
    processes=1,
    decoder="PyAV 14",
)
SCORES = {"model": {change: accuracies(number / 8) for number, change in enumerate(CHANGES)}}


def test_a_file_comes_back(tmp_path: Path) -> None:
    temporal_robustness.write(tmp_path, SCORES, MADE_WITH)
    assert temporal_robustness.read(tmp_path) == SCORES
    made_with = json.loads((tmp_path / DYNAMICS).read_text())["environment"]
    assert Environment.model_validate(made_with) == MADE_WITH
    assert [file.name for file in tmp_path.iterdir()] == [DYNAMICS]


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ssl-video analyze dynamics"):
        temporal_robustness.read(tmp_path)
    for text in ("{", "[]", '{"predictors": {"model": {"original": {"top1": 1}}}}', '{"predictors": 3}', ""):
        (tmp_path / DYNAMICS).write_text(text)
        with pytest.raises(InputError, match=r"damaged .*--again"):
            temporal_robustness.read(tmp_path)
    with pytest.raises(InputError, match="cannot write"):
        temporal_robustness.write(tmp_path / "nowhere", SCORES, MADE_WITH)


def test_numbers_that_are_not_those_of_the_record_are_said() -> None:
    """A network that the record lacks cannot differ from it."""
    scores = SCORES | {"new": SCORES["model"]}
    same, other = (result(predictors={"model": accuracies(top1)}) for top1 in (0.0, 0.125))
    assert temporal_robustness.differences(scores, same) == []
    (sentence,) = temporal_robustness.differences(scores, other)
    assert "model has top-1 0.00 %" in sentence
    assert "12.50 % in its record" in sentence
