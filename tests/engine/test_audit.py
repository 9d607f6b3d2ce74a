import math

import torch

from ssl_video.contract import Pseudo
from ssl_video.engine.audit import audit
from ssl_video.engine.record import Ratio


def values(found: dict[str, Ratio]) -> dict[str, float]:
    return {name: float(torch.as_tensor(above) / below) for name, (above, below) in found.items()}


HIDDEN = torch.tensor([0, 1, 2, 1])


def test_by_hand() -> None:
    """Weights 1, 0, 0.5, 0.5 on right, wrong, right, wrong labels.

    Coverage: 3 of 4 are used. Precision: (1 + 0.5) / (1 + 0.5 + 0.5) = 0.75.
    """
    pseudo = Pseudo(torch.tensor([0, 0, 2, 2]), torch.tensor([1.0, 0.0, 0.5, 0.5]))
    found = audit({"model": pseudo}, HIDDEN)
    assert values(found) == {"coverage/model": 0.75, "precision/model": 0.75}


def test_parts_of_a_batch_add_up() -> None:
    """3 clips and 1 clip: their coverages 2 / 3 and 1 do not average to 3 / 4, nor 1 / 1.5 and 0 to 1 / 2."""
    label, weight = torch.tensor([0, 0, 2, 2]), torch.tensor([1.0, 0.0, 0.5, 0.5])
    first = audit({"model": Pseudo(label[:3], weight[:3])}, HIDDEN[:3])
    second = audit({"model": Pseudo(label[3:], weight[3:])}, HIDDEN[3:])
    assert values({name: first[name].plus(second[name]) for name in first}) == {
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
    assert values(found) == {
        "coverage/primary": 1,
        "precision/primary": 1,
        "coverage/auxiliary": 0.25,
        "precision/auxiliary": 0,
    }


def test_precision_of_no_label_is_unknown() -> None:
    found = audit({"model": Pseudo(HIDDEN, torch.zeros(4))}, HIDDEN)
    assert values(found)["coverage/model"] == 0
    assert math.isnan(values(found)["precision/model"])


def test_nothing_to_audit() -> None:
    assert audit({}, torch.empty(0)) == {}


def test_no_gradient_is_kept() -> None:
    weight = torch.ones(4, requires_grad=True)
    assert not audit({"model": Pseudo(HIDDEN, weight)}, HIDDEN)["precision/model"].above.requires_grad
    assert not audit({"model": Pseudo(HIDDEN, weight)}, HIDDEN)["precision/model"].below.requires_grad  # type: ignore[union-attr]
