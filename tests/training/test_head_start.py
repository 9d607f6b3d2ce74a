"""Heads that start as a logistic regression on the features of the labeled clips."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.methods import by_steps
from helpers.numbers import close
from helpers.resumed import ONCE
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from ssl_video import Teacher
from ssl_video.data.pool import evaluation_clips
from ssl_video.errors import InputError
from ssl_video.registry import algorithms
from ssl_video.training.head_start import fitted, start_heads
from ssl_video.training.loop import fit
from ssl_video.training.run import Plan, Stopped, run
from ssl_video.training.state import Training

LOGISTIC = {"head_start": "logistic", "learning_rate": 0.01, "steps": 3}
NETWORK = '''
from torch import nn
from ssl_video import backbone


@backbone("{name}")
def {name}(num_classes, *, frames, size):
    """Logits are {what}."""
    return nn.Sequential(
        nn.Conv3d(3, 4, 3, padding=1), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(4, num_classes),
        {more},
    )
'''


def written(folder: Path, name: str, more: str) -> dict[str, Any]:
    """Keys of a network in a file of its own, with weights."""
    (folder / f"{name}.py").write_text(NETWORK.format(name=name, what=name, more=more))
    network = nn.Sequential(nn.Conv3d(3, 4, 3, padding=1), nn.Flatten(), nn.Flatten(), nn.Linear(4, 3))
    torch.save(network.state_dict(), folder / f"{name}.pt")
    return {"backbone": f"{folder}/{name}.py:{name}", "width": 1, "weights": str(folder / f"{name}.pt")}


@pytest.fixture(scope="session")  # the registry takes a name once per process
def linear(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    torch.manual_seed(4)
    return written(tmp_path_factory.mktemp("linear"), "linear_head", "nn.Identity()")


@pytest.fixture(scope="session")
def curved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return written(tmp_path_factory.mktemp("curved"), "curved_head", "nn.Tanh()")


def settings(name: str, own: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {"algorithm": name, "networks": dict.fromkeys(algorithms.get(name).roles, own)} | LOGISTIC | values


def reference(features: Tensor, labels: np.ndarray, new: Tensor) -> np.ndarray:
    """Probabilities (N, classes) of features `new` by scikit-learn alone."""
    mean = features.double().mean(1, keepdim=True)
    scale = (features.double() - mean).pow(2).mean().sqrt()
    model = LogisticRegression(C=1.0, max_iter=10_000).fit(
        ((features.double() - mean) / scale).numpy(), labels
    )
    return np.asarray(
        model.predict_proba(((new.double() - new.double().mean(1, keepdim=True)) / scale).numpy())
    )


def test_the_layer_equals_scikit_learn() -> None:
    """On features with an offset that differs from clip to clip, which the weights take out themselves."""
    torch.manual_seed(1)
    features, labels = 5 * torch.rand(12, 1) + torch.rand(12, 6), np.arange(12) % 3
    head = fitted(features.numpy(), labels, 3)
    found = (features @ head.weight.T + head.bias).softmax(1).numpy()
    np.testing.assert_allclose(found, reference(features, labels, features), atol=1e-4)
    shifted = (features + 100) @ head.weight.T + head.bias
    np.testing.assert_allclose(shifted.softmax(1).numpy(), found, atol=1e-3)


def test_a_class_without_labels_is_the_least_likely_and_can_be_learned() -> None:
    features, labels = np.random.default_rng(0).random((8, 5), np.float32), np.array([0, 2] * 4)
    head = fitted(features, labels, 4)
    assert head.weight[[1, 3]].abs().max() == 0
    assert head.bias[1] == head.bias[3] == head.bias.min()
    assert head.weight[0].tolist() == close((-head.weight[2]).tolist())


def test_labels_of_one_class_are_refused() -> None:
    with pytest.raises(InputError, match=r"head_start logistic needs labeled clips of at least two classes"):
        fitted(np.zeros((2, 3), np.float32), np.array([1, 1]), 3)


@pytest.mark.parametrize("name", by_steps())
def test_every_network_and_its_teacher_start_fitted(
    make_training: Callable[..., Training], linear: dict[str, Any], name: str
) -> None:
    """The logits of each network are those of a regression on its own features, the teachers' likewise."""
    made = make_training(**settings(name, linear, ema=0.5, test_clips=2))
    start_heads(made)
    rows = made.partition.labeled
    labels = made.labels[rows].repeat(2)
    teachers = [m.network for m in made.algorithm.modules() if isinstance(m, Teacher)]
    assert made.assembly.average is not None
    for role in made.algorithm.roles:
        network = made.algorithm.get_submodule(role).eval()
        shape = made.assembly.shape_for(role)
        clips = torch.stack(
            [c for row in rows for c in evaluation_clips(made.data.store, row, shape, made.spec)]
        )
        with torch.no_grad():
            features = network[:3](clips)
            found = network(clips).softmax(1).numpy()
        np.testing.assert_allclose(found, reference(features, labels, features), atol=1e-3)
        teachers = [t for t in teachers if not torch.equal(t[3].weight, network[3].weight)]
    assert not teachers
    first = made.algorithm.get_submodule(next(iter(made.algorithm.roles)))
    assert torch.equal(made.assembly.average.network[3].weight, first[3].weight)
    assert made.seconds > 0


def test_a_head_behind_a_curve_is_refused(
    make_training: Callable[..., Training], curved: dict[str, Any]
) -> None:
    made = make_training(**settings("supervised", curved))
    with pytest.raises(
        InputError, match=r"logits are one linear layer of pooled features, and those of model"
    ):
        start_heads(made)


def test_a_resumed_run_is_not_fitted_again(
    make_plan: Callable[..., Plan], linear: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(**settings("supervised", linear))
    fitting = iter([False])
    with pytest.raises(Stopped):
        run(plan, tmp_path, ONCE, stopping=lambda: next(fitting, True))
    monkeypatch.setattr("ssl_video.training.loop.start_heads", lambda *_: pytest.fail("fitted again"))
    assert run(plan, tmp_path, ONCE).steps == 3


def test_the_head_alone_moves_from_there(
    make_training: Callable[..., Training], linear: dict[str, Any]
) -> None:
    """A step so small that the fitted head is still recognised."""
    made, fresh = (make_training(**settings("supervised", linear, learning_rate=1e-6)) for _ in range(2))
    start_heads(fresh)
    fit(made)
    one, other = (t.algorithm.get_submodule("model")[3].weight for t in (made, fresh))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-4)
    assert not torch.equal(one, other)
