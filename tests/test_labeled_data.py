"""Data and batches for a training loop of one's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ssl_video as sv
from ssl_video.algorithms.cmpl import CMPL
from ssl_video.algorithms.supervised import Supervised
from ssl_video.data.pool import evaluation_clips
from ssl_video.networks.memory_format import place
from ssl_video.spec import build
from ssl_video.training.execution import Execution
from ssl_video.training.loop import fit
from ssl_video.training.run import plan
from ssl_video.training.state import Training

SMALL = {"protocol": "per-class:2", "frames": 2, "stride": 2, "size": 8}
CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def small(video_folder: Path) -> sv.LabeledData:
    """18 videos of 3 classes, 12 to train."""
    return sv.load_data(str(video_folder), **SMALL, test_clips=2)


def test_the_parts(small: sv.LabeledData) -> None:
    assert small.classes == ("bow", "jump", "wave")
    assert (len(small.labeled), len(small.unlabeled), len(small.test), small.validation) == (6, 6, 6, [])
    assert not set(small.labeled) & set(small.unlabeled)
    assert "6 labeled, 6 unlabeled, 6 test" in repr(small)


@pytest.mark.parametrize("own", [{}, {"sampling": "segments", "augmentation": {"flip": 0, "area": 0.9}}])
def test_batches_are_those_of_a_run(video_folder: Path, own: dict[str, Any], tmp_path: Path) -> None:
    """And so is the algorithm: a plain loop comes to the weights of `train`."""
    small = sv.load_data(str(video_folder), **SMALL, **own, test_clips=2)
    values: dict[str, Any] = {**SMALL, **own, "data": str(video_folder), "algorithm": "fixmatch", "steps": 4}
    values |= {"labeled_batch": 3, "unlabeled_batch": 4, "width": 0.125, "options": {"threshold": 0.0}}
    made = plan(build(values), small.data, CPU)
    run = Training(made.spec, made.data, made.partition, tmp_path, Execution("cpu"))
    fit(run)

    algorithm = sv.create("fixmatch", data=small, width=0.125, threshold=0.0)
    place(algorithm, CPU)
    from ssl_video.training.optimizer import clip_gradients, clip_groups, make_optimizer, set_learning_rate

    optimizer = make_optimizer(algorithm, made.spec)
    torch.manual_seed(made.spec.seed)
    for step, (batch, progress) in enumerate(
        small.batches(algorithm.train(), labeled=3, unlabeled=4, steps=4)
    ):
        set_learning_rate(optimizer, made.spec, step)
        assert progress == step / 4
        algorithm(batch, progress).loss.backward()
        clip_gradients(clip_groups(algorithm), made.spec.clip_norm)
        optimizer.step()
        algorithm.after_step(progress)
        optimizer.zero_grad()
    ours, theirs = algorithm.state_dict(), run.algorithm.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    scores = run.test().scores
    tests = made.spec.test_clips
    assert sv.evaluate(algorithm, sv.load_data(str(video_folder), **SMALL, **own, test_clips=tests)) == scores


def test_a_test_samples_frames_as_the_data_says(video_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An algorithm that was created without a word of sampling is tested as it was trained."""
    seen = set[str]()

    def noted(*arguments: Any) -> torch.Tensor:
        seen.add(arguments[-1].sampling)
        return evaluation_clips(*arguments)

    monkeypatch.setattr("ssl_video.inference.prepared.evaluation_clips", noted)
    data = sv.load_data(str(video_folder), **SMALL, sampling="segments")
    sv.evaluate(sv.create("supervised", data=data, width=0.125), data)
    assert seen == {"segments"}


def test_batches_continue_where_a_loop_stopped(small: sv.LabeledData) -> None:
    algorithm = sv.create("fixmatch", data=small, width=0.125)
    whole = [batch for batch, _ in small.batches(algorithm, labeled=2, unlabeled=3, steps=5)]
    rest = list(small.batches(algorithm, labeled=2, unlabeled=3, steps=5, start=3, workers=1))
    assert [progress for _, progress in rest] == [3 / 5, 4 / 5]
    for (batch, _), expected in zip(rest, whole[3:], strict=True):
        assert torch.equal(batch.labels, expected.labels)
        assert torch.equal(batch.unlabeled["strong"], expected.unlabeled["strong"])


def test_an_algorithm_that_its_caller_built(small: sv.LabeledData) -> None:
    """Its roles say how the clips of its networks differ from the data: twice the frame rate here."""
    networks = [sv.create("supervised", data=small, width=0.125).get_submodule("model") for _ in range(2)]
    algorithm = CMPL(sv.Task(3, 6), primary=networks[0], auxiliary=networks[1])
    batch, _ = next(small.batches(algorithm, labeled=2, unlabeled=2, steps=1))
    frames = {name: clip.shape[2] for name, clip in batch.labeled.items()}
    assert sorted(set(frames.values())) == [2, 4]
    assert set(sv.evaluate(algorithm, small)) == {"primary", "auxiliary"}


def test_what_does_not_fit(small: sv.LabeledData, video_folder: Path) -> None:
    with pytest.raises(sv.InputError, match="built for 5 classes, and the data has 3"):
        next(small.batches(sv.create("supervised", num_classes=5), steps=1))
    with pytest.raises(sv.InputError, match="built for 5 classes, and the data has 3"):
        sv.evaluate(sv.create("supervised", num_classes=5), small)
    with pytest.raises(sv.InputError, match="built for 2 unlabeled clips, and the data has 6"):
        next(small.batches(sv.create("flexmatch", num_classes=3, num_unlabeled=2, size=8), steps=1))
    everything = sv.load_data(str(video_folder), **SMALL | {"protocol": "per-class:4"})
    with pytest.raises(sv.InputError, match="leaves none: use labeled_in_unlabeled=True"):
        next(everything.batches(sv.create("fixmatch", num_classes=3), steps=1))
    with pytest.raises(sv.InputError, match="no clip in its part 'validation'"):
        sv.evaluate(sv.create("supervised", num_classes=3), small, part="validation")
    with pytest.raises(sv.InputError, match="unknown key 'protocl'; did you mean protocol"):
        sv.load_data("demo", protocl="per-class:1")


def test_a_stride_that_a_role_cannot_divide(video_folder: Path) -> None:
    odd = sv.load_data(str(video_folder), **SMALL | {"stride": 1})
    network = sv.create("supervised", num_classes=3, size=8).get_submodule("model")
    algorithm = CMPL(sv.Task(3, 6), primary=network, auxiliary=network)
    with pytest.raises(
        sv.InputError, match=r"stride 1 cannot be divided by 2: load_data\(\.\.\., stride=2\)"
    ):
        next(odd.batches(algorithm, steps=1))


def test_supervised_reads_no_unlabeled_clip(small: sv.LabeledData) -> None:
    algorithm = Supervised(sv.Task(3, 6), sv.create("supervised", data=small).get_submodule("model"))
    batch, _ = next(small.batches(algorithm, labeled=2, steps=1))
    assert batch.unlabeled == {}
    assert len(batch.indices) == 0
    assert np.isfinite(algorithm(batch, 0.0).loss.item())


def test_buffers_of_networks_are_no_memory(small: sv.LabeledData) -> None:
    """Though one is as long as the number of unlabeled clips happens to be."""
    assert any(len(b) == 4 for b in sv.create("fixmatch", 3, width=0.125).buffers() if b.ndim)
    algorithm = sv.create("fixmatch", num_classes=3, num_unlabeled=4, width=0.125, size=8, frames=2, stride=2)
    next(small.batches(algorithm, labeled=2, unlabeled=2, steps=1))


def test_what_cannot_be_drawn_is_reported_before_videos_are_decoded(
    video_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ssl_video.labeled_data.load", None)
    with pytest.raises(sv.InputError, match="99 labeled clips of each class"):
        sv.load_data(str(video_folder), **SMALL | {"protocol": "per-class:99"})
