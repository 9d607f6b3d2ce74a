"""Algorithms keep their promises when all of their networks are probes."""

import importlib

import pytest
from torch import nn

from ssl_video.backbones.probe import Probe
from ssl_video.registry import algorithms
from ssl_video.testing import results
from ssl_video.testing.networks import CLASSES, Small

# The promises that frozen parts of a network could break; the others do not depend on the network.
NAMES = (
    *("loss-runs", "bfloat16", "stop-gradient", "unlabeled-terms-teach", "all-parameters-learn"),
    *("teachers-rest", "batch-norm", "predictors", "resume", "state-is-saved"),
)
# LTG's alignment compares the features of its two networks, of which none can move here.
IDLE = {("ltg", "unlabeled-terms-teach")}
# Methods without pseudo-labels whose gradient could be stopped, or without unlabeled terms.
NOT_APPLICABLE = {
    *((name, "stop-gradient") for name in ("meanteacher", "mixmatch", "pseudolabel", "supervised", "tcl")),
    *((name, "stop-gradient") for name in ("timebalance", "logistic", "propagation")),
    *((name, "unlabeled-terms-teach") for name in ("logistic", "propagation", "supervised")),
}


@pytest.fixture(autouse=True)
def _probes(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(norm: bool) -> nn.Module:
        return Probe(Small(norm), "linear", CLASSES, frames=4, size=8)

    # A function of the package has the module's name.
    monkeypatch.setattr(importlib.import_module("ssl_video.testing.subject"), "Small", make)


@pytest.mark.parametrize("check", NAMES)
@pytest.mark.parametrize("name", algorithms.builtin())
def test_contract(name: str, check: str) -> None:
    (result,) = results(name, check)
    if (name, check) in IDLE:
        assert "alignment" in result.found
        assert result.outcome == "fail"
    else:
        assert result.outcome == ("not applicable" if (name, check) in NOT_APPLICABLE else "pass"), str(
            result
        )
