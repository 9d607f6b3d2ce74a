"""What methods ask for, as their papers do: what a run builds and decodes, which no loss shows."""

import pytest

from ssl_video.contract import Algorithm, Network, View
from ssl_video.registry import algorithms


def declared(name: str) -> type[Algorithm]:
    entry = algorithms.get(name)
    assert isinstance(entry, type)
    return entry


@pytest.mark.parametrize(
    ("name", "networks"),
    [
        # A quarter of the width; the paper's networks have different frame rates.
        ("cmpl", {"primary": Network(), "auxiliary": Network(width=0.25, rate=2)}),
        # Another architecture, at another frame rate.
        ("actnetformer", {"primary": Network(), "auxiliary": Network(backbone="timesformer_s", rate=2)}),
        # Features are aligned, so both are the same.
        ("ltg", {"model": Network(), "gradient": Network()}),
        ("timebalance", dict.fromkeys(("model", "invariant", "distinctive"), Network())),
    ],
)
def test_networks(name: str, networks: dict[str, Network]) -> None:
    assert list(declared(name).roles.items()) == list(networks.items())


@pytest.mark.parametrize(
    ("name", "views"),
    [
        ("supervised", {}),
        ("pseudolabel", {"weak": View("weak")}),
        ("fixmatch", {"weak": View("weak"), "strong": View("strong")}),
        # Two augmentations of one clip: teacher and student; the two that a guess is averaged over.
        ("meanteacher", {"teacher": View("weak"), "student": View("weak", copy=1)}),
        ("mixmatch", {"first": View("weak"), "second": View("weak", copy=1)}),
        # Half the frames over the same time is twice the speed.
        ("tcl", {"base": View("weak"), "auxiliary": View("weak", rate=0.5, copy=1)}),
        ("svformer", {"weak": View("weak"), "strong": View("strong"), "warped": View("strong+timewarp")}),
    ],
)
def test_views_of_unlabeled_clips(name: str, views: dict[str, View]) -> None:
    assert declared(name).unlabeled == views
