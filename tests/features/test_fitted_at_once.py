"""Runs that fit the weights to stored features in place of steps."""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.input_errors import problems
from helpers.processes import side_by_side
from sklearn.linear_model import LogisticRegression
from torch import nn

import ssl_video as sv
from ssl_video.algorithms.logistic import Logistic
from ssl_video.benchmarks.running import arguments
from ssl_video.data.features import store
from ssl_video.networks.assemble import resolve
from ssl_video.runs import checkpoint
from ssl_video.runs.folder import RunFolder
from ssl_video.spec import build, setting
from ssl_video.training import loop
from ssl_video.training.execution import Execution
from ssl_video.training.run import Plan, run
from ssl_video.training.state import Training

SETTINGS = {"algorithm": "logistic", "probe": "linear", "backbone": "tiny3d", "width": 0.125}


@pytest.mark.parametrize("kind", ["linear", "attentive"])
def test_predictions_are_scikit_learn_s(
    make_training: Callable[..., Training],
    make_plan: Callable[..., Plan],
    weights: str,
    cache: Path,
    tmp_path: Path,
    kind: str,
) -> None:
    """On the features of clips without augmentation. Other heads than a linear one are replaced by it."""
    given = SETTINGS | {"probe": kind, "weights": weights, "test_clips": 2, "ema": 0.5}
    result = run(make_plan(**given), tmp_path, Execution("cpu"))
    assert {found.about["view"]["augmentation"] for found in store.survey(cache)} == {"test"}
    made = make_training(**given)
    labeled, test = made.partition.labeled, made.partition.test
    read = [made.features.of_videos("model", rows.tolist()) for rows in (labeled, test)]
    x, x_test = (made.algorithm.model.head[0](features).numpy() for features in read)  # type: ignore
    fitted = LogisticRegression(max_iter=10_000).fit(x, made.labels[labeled].repeat(2))
    expected = fitted.predict_proba(x_test).reshape(len(test), 2, -1).mean(1)
    assert set(result.predictors) == {"model", "ema"}
    for accuracies in result.predictors.values():
        assert accuracies.top1 == np.mean(expected.argmax(1) == made.labels[test])
    assert result.clips_seen == len(labeled)
    assert result.spec["networks"]["model"]["probe"] == "linear"
    assert result.setting == setting(make_plan(**given | {"algorithm": "supervised"}).spec)
    assert result.setting == setting(resolve(build(result.spec), torch.device("cpu")))
    # Of a fitted run, no step is recorded; commands that read records take that.
    folder = RunFolder(tmp_path)
    assert folder.metrics.empty
    assert run(make_plan(**given), tmp_path, Execution("cpu")) == result


@pytest.mark.parametrize("name", ["logistic", "propagation"])
def test_a_fitted_run_that_was_stopped_before_its_test(
    make_plan: Callable[..., Plan], weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    given = SETTINGS | {"weights": weights, "algorithm": name}
    whole = run(make_plan(**given), tmp_path / "whole", Execution("cpu"))
    with monkeypatch.context() as patch:
        patch.setattr(Training, "test", lambda *_: (_ for _ in ()).throw(loop.Stopped()))
        with pytest.raises(loop.Stopped):
            run(make_plan(**given), tmp_path / "stopped", Execution("cpu"))
    again = run(make_plan(**given), tmp_path / "stopped", Execution("cpu"))
    assert again.predictors == whole.predictors
    files = [os.path.join(tmp_path, name, checkpoint.FINAL) for name in ("whole", "stopped")]
    one, other = (checkpoint.load(Path(file))["algorithm"] for file in files)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", ["logistic", "propagation"])
def test_without_a_frozen_network(video_folder: Path, weights: str, tmp_path: Path, name: str) -> None:
    given = {
        "data": str(video_folder),
        "protocol": "per-class:2",
        "backbone": "tiny3d",
        "frames": 2,
        "size": 8,
    }
    given |= {"results": tmp_path, "width": 0.125}
    assert "give --recipe probe" in problems(sv.train, name, **given)[0]
    (problem,) = problems(sv.train, name, **given, weights=weights, probe="linear", feature_copies=0)
    assert "leave out --feature-copies 0" in problem


def test_tables_of_probes_have_it(weights: str) -> None:
    """Next to supervised, unless no baseline is wanted."""

    def algorithms(*named: Any, baseline: str | None = "supervised", **settings: object) -> list[str]:
        _, specs, _ = arguments.benchmark(list(named), data="clips", baseline=baseline, seeds=1, **settings)
        return [spec.algorithm for spec in specs]

    probe = {"backbones": ["tiny3d"], "weights": weights, "probe": "mlp"}
    assert algorithms("fixmatch", **probe) == ["supervised", "logistic", "fixmatch"]
    assert algorithms("fixmatch", "logistic", **probe) == ["supervised", "logistic", "fixmatch"]
    assert algorithms("fixmatch", baseline=None, **probe) == ["fixmatch"]
    assert algorithms("fixmatch", **probe, feature_copies=0) == ["supervised", "fixmatch"]
    assert algorithms("fixmatch", backbones=["tiny3d"]) == ["supervised", "fixmatch"]
    assert "logistic" not in algorithms("all", backbones=["tiny3d"])
    assert algorithms("all", **probe).count("logistic") == 1
    # A method with a probe of its own, beside a logistic without one.
    own = {"algorithm": "fixmatch", "probe": "linear", "weights": weights}
    assert algorithms(own, backbones=["tiny3d"]) == ["supervised", "fixmatch"]
    trained = probe | {"overrides": {"networks.model.probe": "none"}}
    assert algorithms("fixmatch", **trained) == ["supervised", "fixmatch"]
    one = {"backbones": ["tiny3d"], "weights": weights, "overrides": {"networks.model.probe": "linear"}}
    assert algorithms("fixmatch", **one) == ["supervised", "logistic", "fixmatch"]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the processes are forked")
def test_all_processes_have_the_weights_of_the_first(
    make_plan: Callable[..., Plan], weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a solver that depends on the process, as the sums of several threads may."""

    def differently(algorithm: Logistic, *_: object) -> None:
        linear = algorithm.model.head[1]  # type: ignore[index, union-attr]
        nn.init.constant_(linear.weight, 1.0 + int(os.environ["LOCAL_RANK"]))

    monkeypatch.setattr(Logistic, "fit", differently)
    plan, two = make_plan(**SETTINGS, weights=weights, ema=0.5), Execution("cpu", devices=2)

    def work() -> list[float]:
        made = Training(plan.spec, plan.data, plan.partition, tmp_path, two)
        loop.fit(made)
        assert made.assembly.average is not None
        networks = (made.algorithm.model, made.assembly.average.network)
        return [float(network.head[1].weight.mean()) for network in networks]  # type: ignore

    assert side_by_side(two, work) == [[1.0, 1.0], [1.0, 1.0]]
