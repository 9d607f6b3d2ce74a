"""The weights of a fitted head are scikit-learn's."""

from typing import Any

import numpy as np
import pytest
import torch
from helpers.input_errors import problems
from sklearn.linear_model import LogisticRegression

from ssl_video import backbones
from ssl_video.algorithms.logistic import Logistic
from ssl_video.backbones.probe import Probe
from ssl_video.contract import Task

CLASSES = 4


def made(**options: Any) -> Logistic:
    torch.manual_seed(0)
    network = backbones.create("tiny3d", CLASSES, width=0.125, frames=2, size=8)
    return Logistic(Task(CLASSES, 0), Probe(network, "linear", CLASSES, frames=2, size=8), **options)


def probabilities(algorithm: Logistic, features: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return algorithm.model(features).double().softmax(-1).numpy()


def clips(algorithm: Logistic, labels: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    channels = algorithm.model.head[1].in_features  # type: ignore[index, union-attr]
    generator = torch.Generator().manual_seed(1)
    centres = torch.randn(CLASSES, channels, generator=generator)
    chosen = torch.tensor(labels)
    return centres[chosen] + torch.randn(len(labels), channels, generator=generator), chosen


@pytest.mark.parametrize("labels", [[0, 1, 2, 3] * 3, [1, 3] * 4], ids=["all classes", "two of four"])
@pytest.mark.parametrize("penalty", [0.1, 1.0])
def test_probabilities_are_scikit_learn_s(labels: list[int], penalty: float) -> None:
    """The binary case has a single row of weights there."""
    algorithm = made(penalty=penalty)
    features, chosen = clips(algorithm, labels)
    algorithm.fit(features, chosen)
    # Normalised per clip, as the head does it.
    x = features.double().numpy()
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    expected = LogisticRegression(C=penalty, max_iter=10_000).fit(x, labels)
    found = probabilities(algorithm, features)
    known = sorted(set(labels))
    np.testing.assert_allclose(found[:, known], expected.predict_proba(x), atol=1e-4)
    assert found[:, [n for n in range(CLASSES) if n not in known]].sum() == 0


def test_what_cannot_be_fitted() -> None:
    algorithm = made()
    features, chosen = clips(algorithm, [2, 2])
    assert "at least two classes" in problems(algorithm.fit, features, chosen)[0]
    plain = Logistic(Task(CLASSES, 0), torch.nn.Linear(3, CLASSES))
    assert "give --probe linear" in problems(plain.fit, features, chosen)[0]
