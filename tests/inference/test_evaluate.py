import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.numbers import close
from torch import Tensor, nn

from ssl_video.data.dataset import Data
from ssl_video.data.frames.store import FrameStore
from ssl_video.data.pool import evaluation_clips
from ssl_video.data.views.sampling import ClipShape
from ssl_video.errors import InputError
from ssl_video.inference.evaluate import accuracy, probabilities
from ssl_video.networks.precision import autocast
from ssl_video.spec import Spec, build

CPU = torch.device("cpu")
SHORT, LONG = ClipShape(2, 2), ClipShape(4, 1)
MakeSpec = Callable[..., Spec]

# -- accuracy


def test_accuracy_by_hand() -> None:
    """Seven classes; the ranks of the labels are 0, 0, 1, 5, 4 (0 is best).

    Top-1: 2 of 5. Top-5 (ranks 0 to 4): 4 of 5.
    Class 0: 1 of 2 right; class 1: 1 of 1; class 6: 0 of 2; others do not occur: (0.5 + 1 + 0) / 3 = 0.5
    """
    scores = np.array(
        [
            [0.9, 0.1, 0.0, 0.0, 0.0, 0.0, 0.0],  # label 0: first
            [0.1, 0.6, 0.3, 0.0, 0.0, 0.0, 0.0],  # label 1: first
            [0.4, 0.6, 0.0, 0.0, 0.0, 0.0, 0.0],  # label 0: second
            [0.3, 0.2, 0.2, 0.1, 0.1, 0.0, 0.05],  # label 6: sixth
            [0.3, 0.2, 0.2, 0.1, 0.05, 0.0, 0.08],  # label 6: fifth
        ]
    )
    assert accuracy(scores, np.array([0, 1, 0, 6, 6])) == close({"top1": 0.4, "top5": 0.8, "mean_class": 0.5})


def test_ties_go_to_the_lower_class() -> None:
    """A network that says nothing is right for class 0 alone, not for all."""
    scores = np.full((3, 3), 1 / 3)
    assert accuracy(scores, np.array([0, 1, 2]))["top1"] == close(1 / 3)
    assert accuracy(scores, np.array([2, 2, 2]))["top1"] == 0
    assert accuracy(np.array([[0.2, 0.4, 0.4]]), np.array([1]))["top1"] == 1
    assert accuracy(np.array([[0.2, 0.4, 0.4]]), np.array([2]))["top1"] == 0
    # Six classes alike: class 5 is the sixth.
    assert accuracy(np.full((2, 6), 1 / 6), np.array([4, 5]))["top5"] == 0.5


def test_five_classes_have_no_top5() -> None:
    """Every guess would be right."""
    assert accuracy(np.eye(5), np.array([4, 3, 2, 1, 0])) == {"top1": 0.2, "top5": None, "mean_class": 0.2}
    assert accuracy(np.eye(6), np.array([4, 3, 2, 1, 0, 5]))["top5"] == 1


# -- probabilities


class Colour(nn.Module):
    """Logits are the clip's mean colours, sharpened, so that they differ from clip to clip."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: set[tuple[int, ...]] = set()

    def forward(self, clip: Tensor) -> Tensor:
        self.shapes.add(tuple(clip.shape[1:]))
        assert not self.training
        return clip.mean((2, 3, 4)) * 4


@pytest.mark.parametrize("crops", [1, 3])
@pytest.mark.parametrize("clips", [2, 40])
def test_the_softmax_is_averaged_over_clips_and_crops(
    data: Data, small_spec: MakeSpec, clips: int, crops: int
) -> None:
    """Against one clip at a time. 40 clips are more than go through the network at once."""
    spec = small_spec(test_clips=clips, test_crops=crops)
    rows = [4, 11, 7]
    (found,) = probabilities({"model": Colour()}, lambda _: SHORT, data.store, rows, spec, CPU).values()
    for row, scores in zip(rows, found, strict=True):
        views = evaluation_clips(data.store, row, SHORT, spec)
        assert len(views) == clips * crops
        single = [(view.mean((1, 2, 3)) * 4).double().softmax(0).numpy() for view in views]
        assert scores == close(np.mean(single, axis=0))
        assert scores.sum() == close(1)
    assert np.ptp(found, axis=0).max() > 1e-3, "the videos must differ for this test to mean anything"


def test_each_predictor_is_fed_its_own_clips(data: Data, small_spec: MakeSpec) -> None:
    short, long = Colour(), Colour()
    shapes = {"short": SHORT, "long": LONG}
    found = probabilities(
        {"short": short, "long": long}, shapes.__getitem__, data.store, [0, 1], small_spec(), CPU
    )
    assert (short.shapes, long.shapes) == ({(3, 2, 8, 8)}, {(3, 4, 8, 8)})
    assert {name: scores.shape for name, scores in found.items()} == {"short": (2, 3), "long": (2, 3)}


def decoding() -> int:
    return sum(thread.name.startswith("prepare-clips") for thread in threading.enumerate())


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_no_number_and_every_read_is_counted(
    data: Data, small_spec: MakeSpec, threads: int
) -> None:
    """31 clips per video: each group is one video, so there are more groups than threads."""
    spec, rows = small_spec(test_clips=31), [4, 11, 7, 2, 0, 9]
    shapes = {"short": SHORT, "long": LONG}
    predictors = {"short": Colour(), "long": Colour()}
    data.store.take()
    alone = probabilities(predictors, shapes.__getitem__, data.store, rows, spec, CPU)
    reads, done = data.store.take(), list[int]()
    found = probabilities(
        *(predictors, shapes.__getitem__, data.store, rows, spec, CPU),
        progress=lambda number, _: done.append(number),
        threads=threads,
    )
    assert all((found[name] == alone[name]).all() for name in predictors)
    assert done == [1, 2, 3, 4, 5, 6]
    assert sum(data.store.take()[:2]) == sum(reads[:2]) == 12
    assert decoding() == 0


def test_threads_end_with_an_error(data: Data, small_spec: MakeSpec, tmp_path: Path) -> None:
    spec = small_spec(test_clips=31)
    with pytest.raises(KeyboardInterrupt):
        probabilities({"model": Failing()}, lambda _: SHORT, data.store, [0, 1, 2], spec, CPU, threads=2)
    assert decoding() == 0
    (tmp_path / "broken.mp4").write_text("no video")
    store = FrameStore([*data.store.paths[:3], str(tmp_path / "broken.mp4")], 8, limit=0)
    with pytest.raises(InputError, match=r"broken\.mp4"):
        probabilities({"model": Colour()}, lambda _: SHORT, store, [0, 3, 1, 2], spec, CPU, threads=2)
    assert decoding() == 0


class Failing(Colour):
    def forward(self, clip: Tensor) -> Tensor:
        raise KeyboardInterrupt


@pytest.mark.parametrize("network", [Colour(), Failing()])
def test_every_module_gets_its_mode_back(data: Data, small_spec: MakeSpec, network: nn.Module) -> None:
    """Also where a part was in evaluation mode inside one in training mode, and after an error."""
    network.frozen, network.free = nn.Dropout(0.5), nn.Dropout(0.5)
    network.train()
    network.frozen.eval()
    if isinstance(network, Failing):
        with pytest.raises(KeyboardInterrupt):
            probabilities({"model": network}, lambda _: SHORT, data.store, [0], small_spec(), CPU)
    else:
        probabilities({"model": network}, lambda _: SHORT, data.store, [0], small_spec(), CPU)
    assert (network.training, network.free.training, network.frozen.training) == (True, True, False)


def test_outputs_that_are_not_finite_are_no_accuracy(data: Data, small_spec: MakeSpec) -> None:
    """Ranked as they are, they would count as right: nothing is larger than nan."""

    class Broken(nn.Module):
        def forward(self, clip: Tensor) -> Tensor:
            return torch.full((len(clip), 3), float("nan"))

    with pytest.raises(InputError, match="the network 'model' gives outputs that are not finite"):
        probabilities({"model": Broken()}, lambda _: SHORT, data.store, [0], small_spec(), CPU)


def test_progress_counts_videos(data: Data, small_spec: MakeSpec) -> None:
    seen: list[tuple[int, int]] = []
    probabilities(
        {"model": Colour()},
        lambda _: SHORT,
        data.store,
        [0, 1, 2, 3, 4],
        small_spec(test_clips=16),
        CPU,
        lambda done, total: seen.append((done, total)),
    )
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_a_pass_without_gradient_leaves_the_next_one_its_gradient() -> None:
    """Up to torch 2.9, the cache of converted weights gave the second pass what the first had put into it."""
    layer, clips = nn.Linear(3, 2), torch.ones(1, 3)
    with autocast(build({"precision": "bfloat16"}), torch.device("cpu")):
        assert not torch.is_autocast_cache_enabled()
        with torch.no_grad():
            layer(clips)
        output = layer(clips)
    assert output.dtype == torch.bfloat16
    output.sum().backward()
    assert layer.weight.grad is not None
