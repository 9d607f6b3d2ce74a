"""The forecast time of features, with a second for every frame of a pass."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ssl_video.benchmarks.running import feature_costs, prepare
from ssl_video.spec import build

CPU = torch.device("cpu")
PROBE = {"probe": "linear", "weights": "never-read.pt", "frames": 4, "size": 16, "feature_copies": 3}


def checked(algorithm: str, labeled: range, unlabeled: range, **values: Any) -> Any:
    (spec,) = prepare.resolve([build(PROBE | {"algorithm": algorithm, "test_clips": 2} | values)], CPU)
    parts = {"labeled": labeled, "unlabeled": unlabeled, "test": range(90, 95), "validation": range(0)}
    return SimpleNamespace(
        spec=spec, partition=SimpleNamespace(**{name: np.array(rows) for name, rows in parts.items()})
    )


@pytest.fixture(autouse=True)
def second_per_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_costs, "_pass", lambda found, *_: float(found.frames))


def test_each_feature_counts_once() -> None:
    """Test clips: 5 videos of 2 clips of 4 frames."""
    one = checked("supervised", range(2), range(2, 10))
    assert feature_costs.seconds([one], CPU) == 4 * (2 * 3 + 5 * 2)
    # Weak labeled and unlabeled clips are of one set, strong ones of another.
    two = checked("fixmatch", range(2), range(2, 10))
    assert feature_costs.seconds([two], CPU) == 4 * (10 * 3 + 8 * 3 + 5 * 2)
    # With other labels, two more videos are strongly augmented. Supervised-only has nothing of its own.
    three = checked("fixmatch", range(2, 4), range(4, 12), seed=1)
    also = [*range(2), *range(4, 10)]
    strong = len({*range(2, 10), *range(4, 12)})
    assert len(also) == 8
    assert feature_costs.seconds([one, two, three], CPU) == 4 * (12 * 3 + strong * 3 + 5 * 2)


def test_a_second_network_at_twice_the_rate() -> None:
    auxiliary = {"networks": {"auxiliary": {"backbone": "tiny3d"}}}
    run = checked("cmpl", range(2), range(2, 10), **auxiliary)
    of_training = 10 * 3 + 8 * 3
    # The auxiliary network is a predictor as well.
    assert feature_costs.seconds([run], CPU) == (4 + 8) * (of_training + 5 * 2)


def test_every_network_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of equal frames, of which one is wider; a second for each of their parameters."""

    def weights(found: Any, *_: Any) -> float:
        return float(sum(parameter.numel() for parameter in found.network.parameters()))

    monkeypatch.setattr(feature_costs, "_pass", weights)
    networks = {"auxiliary": {"backbone": "tiny3d", "width": 2.0}}
    both = feature_costs.seconds([checked("actnetformer", range(2), range(2, 10), networks=networks)], CPU)
    narrow = feature_costs.seconds(
        [checked("actnetformer", range(2), range(2, 10), networks={"auxiliary": {"backbone": "tiny3d"}})], CPU
    )
    assert both > 1.5 * narrow


def test_an_algorithm_that_is_fitted_at_once() -> None:
    """It reads its clips as test clips: 3 labeled, 7 unlabeled, 5 other videos of 2 clips of 4 frames."""
    for name, unlabeled in (("logistic", 0), ("propagation", 7)):
        run = checked(name, range(3), range(3, 10))
        assert feature_costs.seconds([run], CPU) == 4 * (3 + 5 + unlabeled) * 2


@pytest.mark.parametrize("values", [{"feature_copies": 0}, {"probe": "none"}, {"algorithm": "mixmatch"}])
def test_without_stored_features(values: dict[str, Any]) -> None:
    assert (
        feature_costs.seconds(
            [checked(**({"algorithm": "fixmatch"} | values), labeled=range(2), unlabeled=range(9))], CPU
        )
        == 0
    )
