"""Distillation against numbers worked out by hand."""

import pytest
import torch
from helpers.losses import LABELS, LN2, TASK, Clips, Network, terms
from helpers.numbers import close
from torch import Tensor, nn

from ssl_video.algorithms.distill import Distill
from ssl_video.contract import Batch
from ssl_video.testing.networks import Small


def batch(labeled: dict[str, Tensor], clips: Clips) -> Batch:
    """Two clips with the predictions (2/3, 1/3, 0) and (0.6, 0.3, 0.1) of another model."""
    strong = clips((0.5, 0.25, 0.25), (0.5, 0.25, 0.25))
    predictions = torch.tensor([[2 / 3, 1 / 3, 0], [0.6, 0.3, 0.1]])
    return Batch(labeled, LABELS, {"strong": strong}, torch.arange(2), predictions)


def test_strong_clips_learn_the_predictions(
    readout: Network, labeled: dict[str, Tensor], clips: Clips
) -> None:
    """Weight 3: (2/3 + 1/3 * 2) LN2 + (0.6 + 0.4 * 2) LN2 = (4/3 + 1.4) LN2, times 3 / 2."""
    algorithm = Distill(TASK, readout(), weight=3.0)
    assert terms(algorithm, batch(labeled, clips)) == close(
        {"labeled": 1.5 * LN2, "unlabeled": 1.5 * (4 / 3 + 1.4) * LN2}
    )


def test_of_confident_predictions_sharpened(
    readout: Network, labeled: dict[str, Tensor], clips: Clips
) -> None:
    """Threshold 0.65, temperature 0.5: squared, 4 to 1; 0.8 LN2 + 0.2 * 2 LN2, of two clips."""
    algorithm = Distill(TASK, readout(), threshold=0.65, temperature=0.5)
    assert terms(algorithm, batch(labeled, clips))["unlabeled"] == close(0.6 * LN2)
    pseudo = algorithm(batch(labeled, clips), 0.5).pseudo["teacher"]
    assert pseudo.label.tolist() == [0, 0]
    assert pseudo.weight.tolist() == [1, 0]


def test_strong_clips_do_not_move_the_averages(labeled: dict[str, Tensor], clips: Clips) -> None:
    """Those of batch norm are of labeled clips alone."""
    network = Small(norm=True)
    Distill(TASK, network).train()(batch(labeled, clips), 0.5)
    counts = {m.num_batches_tracked.item() for m in network.modules() if isinstance(m, nn.BatchNorm3d)}
    assert counts == {1}


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [(0.0, [1, 0, 0]), (2.0, [0.5857864, 0.4142136, 0]), (1.0, [2 / 3, 1 / 3, 0])],
)
def test_targets_are_sharpened_or_softened(
    readout: Network, labeled: dict[str, Tensor], clips: Clips, temperature: float, expected: list[float]
) -> None:
    """Temperature 2: square roots, of which 2/3 and 1/3 give sqrt(2) to 1. A probability of 0 stays."""
    pseudo = Distill(TASK, readout(), temperature=temperature)(batch(labeled, clips), 0.5).pseudo["teacher"]
    assert pseudo.distribution is not None
    assert pseudo.distribution[0].tolist() == close(expected)
