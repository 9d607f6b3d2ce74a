"""Intervals and pairs against numbers worked by hand and against the coverage that they promise."""

import math

import numpy as np
import pytest

from ssl_video.benchmarks.tables.statistics import holm, interval, intervals, paired, paired_groups
from ssl_video.errors import InputError


def test_interval_of_three_values() -> None:
    # Mean .6, deviations -.1, 0, .1: s = sqrt(.02 / 2) = .1; t(2, .975) = 4.302653;
    # half width 4.302653 * .1 / sqrt(3) = .248414.
    mean, half_width, n = interval([0.5, 0.6, 0.7])
    assert mean == pytest.approx(0.6)
    assert half_width == pytest.approx(0.248414, abs=1e-6)
    assert n == 3


def test_confidence_chooses_the_quantile() -> None:
    # Two values .4 and .6: s = sqrt(.02), s / sqrt(2) = .1. With one degree of freedom Student's is
    # Cauchy's distribution with quantiles tan(pi (p - 1/2)): t(1, .95) = 6.313752, t(1, .975) = 12.7062.
    assert interval([0.4, 0.6], 0.9).half_width == pytest.approx(0.1 * math.tan(math.pi * 0.45))
    assert interval([0.4, 0.6]).half_width == pytest.approx(1.27062, abs=1e-5)


def test_one_value_has_no_interval() -> None:
    single = interval([0.52])
    assert (single.mean, single.n) == (0.52, 1)
    assert math.isnan(single.half_width)
    assert math.isnan(paired([0.52], [0.5]).p)


def test_intervals_cover_the_true_mean_as_often_as_promised() -> None:
    # 20,000 samples of 3: the share that covers has a standard error of sqrt(.9 * .1 / 20000) = .002.
    samples = np.random.default_rng(0).normal(0.5, 0.02, (20_000, 3))
    group = np.repeat(np.arange(20_000), 3)
    found = intervals(samples.ravel(), group, 20_000, 0.9)
    covered = np.mean([abs(mean - 0.5) < half_width for mean, half_width, _ in found])
    assert covered == pytest.approx(0.9, abs=0.008)


def test_groups_are_told_apart_in_any_order() -> None:
    values, group = np.array([0.5, 0.9, 0.6, 0.7]), np.array([1, 0, 1, 1])
    first, second = intervals(values, group, 2)
    assert (first.mean, first.n) == (0.9, 1)
    assert math.isnan(first.half_width)
    assert second == pytest.approx(interval([0.5, 0.6, 0.7]))


def test_a_spread_far_below_the_mean_is_not_lost() -> None:
    # Deviations of 1e-8 around .9: a difference of squares would lose all its digits.
    assert interval([0.9 - 1e-8, 0.9, 0.9 + 1e-8]).half_width == pytest.approx(2.48414e-8, rel=1e-6)


def test_paired_differences() -> None:
    # Differences .1, 0, -.1, .2: mean .05; deviations .05, -.05, -.15, .15: s^2 = .05 / 3;
    # t(3, .975) = 3.182446; half width 3.182446 * sqrt(.05 / 3 / 4) = .205426.
    difference, wins, ties, losses, p = paired([0.6, 0.5, 0.4, 0.9], [0.5, 0.5, 0.5, 0.7])
    assert difference.mean == pytest.approx(0.05)
    assert difference.half_width == pytest.approx(0.205426, abs=1e-6)
    assert (difference.n, wins, ties, losses) == (4, 2, 1, 1)
    # t = .05 / sqrt(.05 / 3 / 4) = .774597. With three degrees of freedom and x = t / sqrt(3) = .447214 the
    # distribution is 1/2 + (x / (1 + x^2) + atan x) / pi = .752487, so p = 2 (1 - .752487) = .495025.
    assert p == pytest.approx(0.495025, abs=1e-6)
    assert paired([0.5, 0.5, 0.5, 0.7], [0.6, 0.5, 0.4, 0.9], 0.8).p == pytest.approx(p)


def test_pairing_removes_what_the_pairs_share() -> None:
    # The draws differ by .2, the methods by .02 +- .001: only the paired interval excludes 0. With two
    # degrees of freedom p = 1 - t / sqrt(2 + t^2), t = .02 / (.001 / sqrt(3)) = 34.641: .000832.
    baseline = np.array([0.3, 0.5, 0.7])
    ours = baseline + np.array([0.019, 0.02, 0.021])
    assert paired(ours, baseline).p == pytest.approx(0.000832, abs=1e-6)
    assert paired(baseline, ours).p == pytest.approx(0.000832, abs=1e-6)
    assert interval(ours).half_width > 0.4


def test_equal_differences_prove_nothing() -> None:
    # .52 - .5 and .62 - .6 differ in the last bit, and an interval of width 1e-17 would exclude anything.
    found = paired([0.52, 0.62], [0.5, 0.6])
    assert found.difference.mean == pytest.approx(0.02)
    assert math.isnan(found.p)
    assert not found.difference.known
    assert math.isnan(found.difference.half_width)
    assert math.isnan(paired([0.5, 0.6], [0.5, 0.6]).p)


def test_equal_values_have_no_interval() -> None:
    # .1 + .2 differs from .3 in the last bit. A third value that is 1 / 13,000 away is another accuracy.
    assert not interval([0.3, 0.1 + 0.2]).known
    assert not interval([0.6, 0.6, 0.6], 0.5).known
    assert interval([0.6, 0.6, 0.6 + 1 / 13_000]).known
    assert not interval([0.6]).known
    assert [one.known for one in intervals(np.array([0.5, 0.5, 0.5, 0.6]), np.array([0, 0, 1, 1]), 2)] == [
        False,
        True,
    ]


def test_holm_counts_each_test_as_often_as_tests_are_left() -> None:
    """Of four: .01 * 4 = .04; .02 * 3 = .06; .03 * 2 = .06; .5 * 1. What was not tested does not count."""
    assert holm([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    corrected = holm([0.02, math.nan, 0.01])
    assert corrected[::2] == pytest.approx([0.02, 0.02])
    assert math.isnan(corrected[1])
    # .04 * 2 = .08, then .03 * 1 must not become smaller than it; nothing exceeds 1.
    assert holm([0.04, 0.05]) == pytest.approx([0.08, 0.08])
    assert holm([0.7, 0.9]) == [1, 1]
    assert holm([]) == []


def test_between_equals_holm_finds_a_difference_as_seldom_as_promised() -> None:
    # 2,000 tables of ten tests each: standard error of the share sqrt(.05 * .95 / 2000) = .0049.
    p = np.random.default_rng(0).uniform(size=(2_000, 10))
    found = np.mean([min(holm(table)) < 0.05 for table in p.tolist()])
    assert found == pytest.approx(0.05, abs=0.02)
    assert np.mean(p.min(1) < 0.05) > 0.35  # without the correction: 1 - .95^10 = .40


def test_pairs_in_groups() -> None:
    values, baseline = np.array([0.6, 0.2, 0.5]), np.array([0.5, 0.3, 0.5])
    first, second = paired_groups(values, baseline, np.array([0, 1, 0]), 2)
    assert (first.wins, first.ties, first.losses) == (1, 1, 0)
    assert (second.wins, second.ties, second.losses) == (0, 0, 1)
    assert first.difference == pytest.approx(interval([0.1, 0.0]))


def test_mistakes_are_named() -> None:
    with pytest.raises(InputError, match="found 2 and 1"):
        paired([0.1, 0.2], [0.1])
    with pytest.raises(InputError, match="no values"):
        interval([])
    with pytest.raises(InputError, match=r"confidence is 95.*0\.95"):
        interval([0.1, 0.2], 95)
