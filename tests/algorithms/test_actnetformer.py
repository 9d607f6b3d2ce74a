"""ActNetFormer is CMPL with a contrast between its two networks."""

import math

import pytest
import torch
from helpers.feature_reader import Reader, show
from helpers.numbers import close
from torch import nn

from ssl_video.algorithms.actnetformer import ActNetFormer
from ssl_video.algorithms.cmpl import CMPL
from ssl_video.algorithms.parts.passes import Passes
from ssl_video.contract import Batch, Task

E = math.e
TASK = Task(num_classes=3, num_unlabeled=10)
EAST, NORTH, UP = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


@pytest.fixture
def batch() -> Batch:
    """Two videos, of whose weak clips alone the features of the two networks agree, in direction."""
    return Batch(
        {"primary": show(EAST, UP, UP, frames=2), "auxiliary": show(UP, UP, NORTH, frames=4)},
        torch.tensor([0, 1, 2]),
        {
            "weak/primary": show(EAST, NORTH, frames=2),
            "weak/auxiliary": show(EAST, (0.0, 5.0, 0.0), frames=4),
            "strong/primary": show(UP, UP, frames=2),
            "strong/auxiliary": show(EAST, NORTH, frames=4),
        },
        torch.arange(2),
    )


def pair() -> tuple[nn.Module, nn.Module]:
    """Of the same features, the auxiliary one has logits twice as large."""
    return Reader(), Reader(2 * torch.eye(3))


@pytest.mark.parametrize("passes", ["separate", "joint"])
def test_the_terms_of_cmpl_and_the_contrast_of_weak_clips(batch: Batch, passes: Passes) -> None:
    """Temperature 1, weight 3, heads that change nothing: each row finds its partner, -ln(e / (e + 2))."""
    networks, options = pair(), {"threshold": 0.5, "weight": 2.0, "passes": passes}
    made = ActNetFormer(TASK, *networks, contrast_weight=3.0, temperature=1.0, **options)
    made.heads = nn.ModuleList([nn.Identity(), nn.Identity()])
    output, plain = made(batch, 0.5), CMPL(TASK, *networks, **options)(batch, 0.5)
    found = {name: term.item() for name, term in output.terms.items()}
    contrast = found.pop("unlabeled/contrast")
    assert contrast == close(3 * (math.log(E + 2) - 1))
    assert found == {name: term.item() for name, term in plain.terms.items()}
    assert any(found[name] > 0 for name in found if name.startswith("unlabeled"))
    assert output.pseudo.keys() == plain.pseudo.keys()


@pytest.mark.parametrize("passes", ["separate", "joint"])
def test_both_networks_learn_from_the_contrast_with_a_head_each(batch: Batch, passes: Passes) -> None:
    made = ActNetFormer(TASK, *pair(), passes=passes)
    clips = {view: clip.clone().requires_grad_() for view, clip in batch.unlabeled.items()}
    made(batch._replace(unlabeled=clips), 0.5).terms["unlabeled/contrast"].backward()
    reached = {view for view, clip in clips.items() if clip.grad is not None and clip.grad.any()}
    assert reached == {"weak/primary", "weak/auxiliary"}
    for head in made.heads:
        assert all(parameter.grad.any() for parameter in head.parameters() if parameter.ndim > 1)


def test_the_auxiliary_network_is_a_transformer_at_another_frame_rate() -> None:
    request = ActNetFormer.roles["auxiliary"]
    assert (request.backbone, request.rate, request.width) == ("timesformer_s", 2, 1)
    assert ActNetFormer.roles["primary"].backbone is None
