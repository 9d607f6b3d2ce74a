"""Runs of label propagation, whose trained networks hold as many clips as the run has."""

import multiprocessing
import os
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.processes import side_by_side
from torch import Tensor

from ssl_video.algorithms.parts.propagation import Neighbours
from ssl_video.algorithms.propagation import Propagation
from ssl_video.benchmarks.running import arguments
from ssl_video.inference.load import load
from ssl_video.runs import checkpoint
from ssl_video.runs.folder import RunFolder
from ssl_video.training import loop
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan, run
from ssl_video.training.state import Training

CPU = torch.device("cpu")
SETTINGS = {"algorithm": "propagation", "probe": "linear", "backbone": "tiny3d", "width": 0.125}
SETTINGS |= {"options": {"neighbours": 5}}
needs_onnx = pytest.mark.skipif(
    not (util.find_spec("onnxscript") and util.find_spec("onnxruntime")), reason="needs the extra onnx"
)


def head(network: Any) -> Neighbours:
    assert isinstance(network.head, Neighbours)
    return network.head


def test_a_run_from_start_to_prediction(
    make_training: Callable[..., Training], make_plan: Callable[..., Plan], weights: str, tmp_path: Path
) -> None:
    """Fitted to the features of clips without augmentation; finished, loaded and exported as others."""
    given = SETTINGS | {"weights": weights, "ema": 0.5}
    folder = tmp_path / "run"
    result = run(make_plan(**given), folder, Execution("cpu"))
    made = make_training(**given)
    part = made.partition
    rows = (part.labeled, part.unlabeled, part.test)
    labeled, unlabeled, test = (made.features.of_videos("model", some.tolist()) for some in rows)
    assert labeled is not None
    assert test is not None
    algorithm = made.algorithm
    assert isinstance(algorithm, Propagation)
    # Two clips of each video.
    algorithm.fit(labeled, torch.from_numpy(made.labels[part.labeled].repeat(2)), unlabeled)
    with torch.no_grad():
        logits = algorithm.model.eval()(test)
    found = logits.softmax(-1).unflatten(0, (len(part.test), 2)).mean(1).argmax(1).numpy()
    assert set(result.predictors) == {"model", "ema"}
    for accuracies in result.predictors.values():
        assert accuracies.top1 == np.mean(found == made.labels[part.test])
    assert result.clips_seen == len(part.labeled) + len(part.unlabeled) == 12
    assert result.parameters_trained == 0
    assert RunFolder(folder).metrics.empty
    assert run(make_plan(**given), folder, Execution("cpu")) == result

    model = load(folder, CPU)
    saved = checkpoint.load(folder / checkpoint.FINAL)["algorithm"]
    state = model.assembly.algorithm.state_dict()
    assert len(head(model.module).points) == 24
    assert state.keys() == saved.keys() == algorithm.state_dict().keys()
    for name, value in algorithm.state_dict().items():
        assert torch.equal(state[name], saved[name])
        assert torch.equal(state[name], value)
    with torch.no_grad():
        assert torch.equal(model.module(test), logits)


@pytest.mark.parametrize("kind", [".pt2", pytest.param(".onnx", marks=needs_onnx)])
def test_an_exported_file(make_plan: Callable[..., Plan], weights: str, tmp_path: Path, kind: str) -> None:
    run(make_plan(**SETTINGS, weights=weights), tmp_path / "run", Execution("cpu"))
    done = load(tmp_path / "run", CPU).export(tmp_path / f"model{kind}")
    assert done.difference is not None
    assert done.difference < 1e-5


def test_a_clip_in_both_parts_is_one_point(
    make_training: Callable[..., Training], weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the labeled part; without other unlabeled clips there are none."""
    sizes = list[list[int]]()

    def note(_: Propagation, features: Tensor, labels: Tensor, unlabeled: Tensor) -> None:
        sizes.append([len(features), len(labels), len(unlabeled)])

    monkeypatch.setattr(Propagation, "fit", note)
    for protocol in ("per-class:2", "per-class:4"):
        given = SETTINGS | {"weights": weights, "protocol": protocol, "test_clips": 1}
        made = make_training(**given, labeled_in_unlabeled=True)
        assert len(made.partition.unlabeled) == 12
        loop.fit(made)
        assert made.clips_in_all() == 12
    assert sizes == [[6, 6, 6], [12, 12, 0]]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the processes are forked")
def test_all_processes_have_the_points_of_the_first(
    make_plan: Callable[..., Plan], weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differently(algorithm: Propagation, *_: object) -> None:
        value = 1.0 + int(os.environ["LOCAL_RANK"])
        head(algorithm.model).remember(*(torch.full(shape, value) for shape in ((8,), (5, 8), (5, 3))))

    monkeypatch.setattr(Propagation, "fit", differently)
    plan, two = make_plan(**SETTINGS, weights=weights, ema=0.5), Execution("cpu", devices=2)

    def work() -> list[float]:
        made = Training(plan.spec, plan.data, plan.partition, tmp_path, two)
        loop.fit(made)
        assert made.assembly.average is not None
        networks = (made.algorithm.model, made.assembly.average.network)
        return [float(head(network).votes.mean()) for network in networks]

    assert side_by_side(two, work) == [[1.0, 1.0], [1.0, 1.0]]


def test_tables_have_it_if_it_is_named(weights: str) -> None:
    """As a baseline, too; beside logistic regression, which needs no name."""

    def algorithms(*named: Any, baseline: str | None = "supervised") -> list[str]:
        probe = {"backbones": ["tiny3d"], "weights": weights, "probe": "linear"}
        _, specs, _ = arguments.benchmark(list(named), data="clips", baseline=baseline, seeds=1, **probe)
        return [spec.algorithm for spec in specs]

    assert algorithms("fixmatch", baseline="propagation") == ["propagation", "logistic", "fixmatch"]
    assert algorithms("propagation") == ["supervised", "logistic", "propagation"]
    assert "propagation" not in algorithms("all")
