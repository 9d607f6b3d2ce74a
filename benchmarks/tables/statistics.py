"""Means with intervals, and paired differences to a baseline, for small numbers of runs.

The interval of a mean of n values with sample standard deviation s (n - 1 in its denominator) is

    mean ± t(n - 1, (1 + confidence) / 2) * s / sqrt(n),

where t is the quantile of Student's distribution ("The Probable Error of a Mean", Biometrika 6, 1908, 1-25;
modern form: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.2). It assumes independent, normally
distributed values. A paired comparison is the same interval of the differences (ibid., 7.3.1.1): common
factors of two runs, such as an easy draw of labels, cancel. Equal values, and a single one, have no interval:
they do not show how values scatter.

A table holds many comparisons. Of twenty between equal methods, one is expected to look different at 95 %.
Holm's correction ("A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of
Statistics 6, 1979, 65-70) keeps the probability of any false difference below 5 %, for any dependence
between the comparisons.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from ssl_video.errors import InputError

# Accuracies are multiples of 1/clips, so different values differ by far more than this. Equal differences
# differ by less: only by the rounding of a subtraction.
_NO_SPREAD = 1e-9


class Interval(NamedTuple):
    """A mean over `n` values and the half width of its confidence interval.

    The half width is nan for one value and for equal ones: these give no estimate of the variance.
    """

    mean: float
    half_width: float
    n: int

    @property
    def known(self) -> bool:
        """Whether the mean has an interval."""
        return not math.isnan(self.half_width)


class Paired(NamedTuple):
    """Mean difference to a baseline, and the numbers of values above, equal to and below the baseline's.

    `p` is the probability of a difference at least as far from 0 under equality (two-sided t test). It is nan
    for a single difference or equal ones, because these give no estimate of the variance.
    """

    difference: Interval
    wins: int
    ties: int
    losses: int
    p: float


def interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return Student's t interval of the mean of `values` (n,), with n - 1 degrees of freedom.

    Raises:
        InputError: no values, or a confidence outside (0, 1).
    """
    flat = _series(values)
    return intervals(flat, np.zeros(len(flat), np.int64), 1, confidence)[0]


def paired(values: ArrayLike, baseline: ArrayLike, confidence: float = 0.95) -> Paired:
    """Compare `values` (n,) with the `baseline` (n,) of the same labels and seeds, element by element.

    Raises:
        InputError: different lengths, no values, or a confidence outside (0, 1).
    """
    ours, theirs = _series(values), _series(baseline)
    if len(ours) != len(theirs):
        raise InputError(f"pairs need as many values as baselines, found {len(ours)} and {len(theirs)}")
    return paired_groups(ours, theirs, np.zeros(len(ours), np.int64), 1, confidence)[0]


def intervals(
    values: NDArray[np.float64], group: NDArray[np.int64], groups: int, confidence: float = 0.95
) -> list[Interval]:
    """Return the `interval` of many groups at once.

    Args:
        values: (n,).
        group: (n,) index of each value's group in [0, groups); every group has a value.
        groups: number of groups.
        confidence: fraction of such intervals that contain the true mean.

    Raises:
        InputError: a confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence}, expected a fraction between 0 and 1, for example 0.95")
    count = np.bincount(group, minlength=groups)
    assert count.all(), "a group without values has no mean"
    mean = np.bincount(group, values, groups) / count
    # The sum of squared deviations, not of squares: accuracies are similar, so the latter would cancel.
    squares = np.bincount(group, (values - mean[group]) ** 2, groups)
    freedom = np.where(count > 1, count - 1, np.nan)
    deviation = np.sqrt(squares / freedom)
    deviation = np.where(deviation > _NO_SPREAD, deviation, np.nan)
    half_width = stdtrit(freedom, (1 + confidence) / 2) * deviation / np.sqrt(count)
    rows = zip(mean.tolist(), half_width.tolist(), count.tolist(), strict=True)
    return [Interval(*row) for row in rows]


def paired_groups(
    values: NDArray[np.float64],
    baseline: NDArray[np.float64],
    group: NDArray[np.int64],
    groups: int,
    confidence: float = 0.95,
) -> list[Paired]:
    """Return the `paired` comparison of many groups at once; arguments and errors as in `intervals`."""
    differences = intervals(values - baseline, group, groups, confidence)
    # Compared before subtracting: equal accuracies are k / clips and therefore equal bit for bit.
    signs = [
        np.bincount(group[chosen], minlength=groups).tolist()
        for chosen in (values > baseline, values == baseline, values < baseline)
    ]
    tails = [_tail(difference, confidence) for difference in differences]
    return [Paired(*row) for row in zip(differences, *signs, tails, strict=True)]


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values (n,) after Holm's correction, comparable with a single test's level; nan: no test.

    The smallest of m p-values is multiplied by m, the next by m - 1, and so on; none is less than the one
    before it.
    """
    values = np.asarray(p, np.float64)
    order = np.argsort(values)  # nan last
    tests = int((~np.isnan(values)).sum())
    factors = np.maximum(tests - np.arange(len(values)), 1)
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1.0)
    return [float(value) for value in corrected]


def _tail(difference: Interval, confidence: float) -> float:
    """Return the two-sided p-value of a mean difference, from its interval."""
    mean, half_width, n = difference
    if not difference.known:
        return math.nan
    deviations = float(stdtrit(n - 1, (1 + confidence) / 2)) * mean / half_width
    return 2 * float(stdtr(n - 1, -abs(deviations)))


def _series(values: ArrayLike) -> NDArray[np.float64]:
    """Return `values` as an array (n,) with n > 0."""
    flat = np.asarray(values, np.float64).ravel()
    if not len(flat):
        raise InputError("no values: a mean needs at least one finished run")
    return flat
