"""A method's mean gain over several sets of labels: its overall effect.

A mean of accuracies over different protocols is meaningless, a mean of paired gains is not. Every column
counts once, for any number of runs, and the interval is over the columns' gains. Runs within a column may
share their labels, or factors that make these labels easy, so they are not independent observations.
"""

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from ssl_video.benchmarks.tables.comparison import Cell
from ssl_video.benchmarks.tables.statistics import Paired, holm, paired
from ssl_video.errors import InputError

NAME = "mean gain"
NOTE = (
    f"{NAME}: over the columns (two or more) in which a method has a gain, each counting once; the interval "
    "is over columns (in brackets: columns with a gain above 0); Holm's correction for all such rows. "
    "The columns share their test clips"
)
NONE = f"no {NAME}: it requires two columns of one data set"


class MeanGain(NamedTuple):
    """The mean of a row's gains, and its p-value after Holm's correction for all rows; nan: not tested."""

    gain: Paired
    corrected_p: float


def over_columns(
    rows: Sequence[Sequence[Cell | None]], confidence: float = 0.95
) -> tuple[MeanGain | None, ...]:
    """Return each row's mean gain over its cells; None: fewer than two cells have a gain.

    Args:
        rows: the cells of each row; None: no run.
        confidence: of the interval.

    Raises:
        InputError: a row's gains are on several data sets, or on several versions of one.
    """
    with_gains = [[cell for cell in cells if cell and cell.gain] for cells in rows]
    for cells in with_gains:
        _check({cell.data for cell in cells})
    gains = [[cell.gain.difference.mean for cell in cells if cell.gain] for cells in with_gains]
    found = [paired(own, np.zeros(len(own)), confidence) if len(own) > 1 else None for own in gains]
    corrected = holm([gain.p if gain else math.nan for gain in found])
    return tuple(MeanGain(gain, p) if gain else None for gain, p in zip(found, corrected, strict=True))


def _check(data: Collection[tuple[str, str]]) -> None:
    """Check that data sets, by name and fingerprint, are one, so that a mean makes sense."""
    if len(data) < 2:
        return
    names, versions = sorted({name for name, _ in data}), sorted(version for _, version in data)
    if len(names) > 1:
        found, choice = " and ".join(names), "--dataset NAME"
    else:
        found = f"{len(versions)} versions of {names[0]}"
        choice = " or ".join(f"--where dataset_fingerprint={version}" for version in versions)
    raise InputError(f"a {NAME} is over columns of one data set, but a row here has {found}: give {choice}")
