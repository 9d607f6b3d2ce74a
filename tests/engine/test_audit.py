import math

import pytest
import torch

from ssl_video.contract import Pseudo
from ssl_video.engine.audit import audit

HIDDEN = torch.tensor([0, 1, 2, 1])


def test_by_hand() -> None:
    """Weights 1, 0, 0.5, 0.5 on right, wrong, right, wrong labels.

    Coverage: 3 of 4 are used. Precision: (1 + 0.5) / (1 + 0.5 + 0.5) = 0.75.
    """
    pseudo = Pseudo(torch.tensor([0, 0, 2, 2]), torch.tensor([1.0, 0.0, 0.5, 0.5]))
    found = audit({"model": pseudo}, HIDDEN)
    assert {name: value.item() for name, value in found.items()} == {
        "coverage/model": 0.75,
        "precision/model": 0.75,
    }


def test_each_network_by_itself() -> None:
    """The second network uses one label, a wrong one."""
    found = audit(
        {
            "primary": Pseudo(HIDDEN, torch.ones(4)),
            "auxiliary": Pseudo(torch.tensor([1, 1, 1, 1]), torch.tensor([1.0, 0, 0, 0])),
        },
        HIDDEN,
    )
    assert {name: value.item() for name, value in found.items()} == {
        "coverage/primary": 1,
        "precision/primary": 1,
        "coverage/auxiliary": 0.25,
        "precision/auxiliary": 0,
    }


def test_precision_of_no_label_is_unknown() -> None:
    found = audit({"model": Pseudo(HIDDEN, torch.zeros(4))}, HIDDEN)
    assert found["coverage/model"] == 0
    assert math.isnan(found["precision/model"])


def test_nothing_to_audit() -> None:
    assert audit({}, torch.empty(0)) == {}


def test_no_gradient_is_kept() -> None:
    weight = torch.ones(4, requires_grad=True)
    assert not audit({"model": Pseudo(HIDDEN, weight)}, HIDDEN)["precision/model"].requires_grad
    assert audit({"model": Pseudo(HIDDEN, weight)}, HIDDEN)["coverage/model"].item() == pytest.approx(1)
