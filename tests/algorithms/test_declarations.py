"""What methods ask for, as their papers do: what a run builds and decodes, which no loss shows."""

import pytest
from helpers.input_errors import problems

from ssl_video.contract import Algorithm, Network, View
from ssl_video.registry import algorithms
from ssl_video.spec import check_options


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
        ("sefar", {"weak": View("weak"), "strong": View("strong+reversal")}),
        ("simmatch", {"weak": View("weak"), "strong": View("strong")}),
        ("distill", {"strong": View("strong")}),
        ("comatch", {"weak": View("weak"), "strong": View("strong"), "strong/again": View("strong", copy=1)}),
    ],
)
def test_views_of_unlabeled_clips(name: str, views: dict[str, View]) -> None:
    assert declared(name).unlabeled == views


def test_what_looks_at_a_batch_as_a_whole() -> None:
    """By contrast, averages or a memory; or clips are mixed at random, which the check does not see."""
    contrast = {"actnetformer", "ltg", "tcl", "timebalance"}
    expected = (
        contrast
        | {"comatch", "simmatch"}
        | {"flexmatch", "freematch", "softmatch"}
        | {"cutmix", "mixmatch", "sefar", "svformer"}
    )
    assert {name for name in algorithms.builtin() if declared(name).whole_batch} == expected


def test_what_works_on_pixels() -> None:
    """By mixing clips, by differences of their frames, or by cutting them into halves."""
    expected = {"cutmix", "ltg", "mixmatch", "mvpl", "sefar", "svformer", "timebalance"}
    assert {name for name in algorithms.builtin() if declared(name).works_on_pixels} == expected


@pytest.mark.parametrize("name", algorithms.builtin())
def test_options_that_make_no_sense_are_refused(name: str) -> None:
    """A negative weight or temperature would be trained on to the end, and 0 is the least of all numbers."""
    options = check_options(name, declared(name), {})
    numbers = [n for n, value in options.items() if type(value) in (int, float)]
    sentences = problems(check_options, name, declared(name), dict.fromkeys(numbers, -1)) if numbers else ()
    assert [sentence.split(": ")[1] for sentence in sentences] == numbers
    fractions = [n for n in options if n in ("threshold", "decay", "ramp", "supervised_fraction")]
    sentences = (
        problems(check_options, name, declared(name), dict.fromkeys(fractions, 1.5)) if fractions else ()
    )
    assert [sentence.split(": ")[1] for sentence in sentences] == fractions


@pytest.mark.parametrize(
    ("name", "option"),
    [
        # Hard labels, no mixing, the weight 1 for all, a ramp that is over at once.
        *(("uda", "temperature"), ("mixmatch", "temperature"), ("mixmatch", "concentration")),
        *(("softmatch", "sigmas"), ("timebalance", "ramp"), ("fixmatch", "weight")),
    ],
)
def test_zero_has_a_meaning(name: str, option: str) -> None:
    assert check_options(name, declared(name), {option: 0})[option] == 0.0
