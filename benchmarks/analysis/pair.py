"""Comparison of two finished runs, from their records only: settings, clips, classes, curves."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import bdtr

from ssl_video.benchmarks.running import watch
from ssl_video.errors import InputError, unknown
from ssl_video.runs.archive import in_archive
from ssl_video.runs.folder import RESULT, RunFolder
from ssl_video.runs.predictions import Predictions, read
from ssl_video.spec import flat

_LAST = 0.1  # a curve's mean is over this final fraction of the steps


@dataclass(frozen=True)
class Side:
    """One network of one run.

    Attributes:
        name: the run's name.
        network: the predictor to compare.
        spec: every setting, flattened.
        labels: the fingerprint of its partition.
        predicted: predictions on the test clips.
        curves: the mean of every metric over the last tenth of the steps.
    """

    name: str
    network: str
    spec: dict[str, Any]
    labels: str
    predicted: Predictions
    curves: dict[str, float]

    @property
    def right(self) -> np.ndarray:
        """Correctness of the first guess, boolean (N,)."""
        right: np.ndarray = self.predicted.guesses[self.network][:, 0] == self.predicted.labels
        return right


@dataclass(frozen=True)
class Pair:
    """Two sides whose test clips are the same, in the same order."""

    a: Side
    b: Side

    def differences(self) -> list[tuple[str, str, str]]:
        """Return every setting in which they differ: key, A's value, B's value."""
        keys = dict.fromkeys([*self.a.spec, *self.b.spec])
        values = [(key, *(str(side.spec.get(key, "not set")) for side in (self.a, self.b))) for key in keys]
        return [(key, a, b) for key, a, b in values if a != b]

    def counts(self) -> tuple[int, int, int, int]:
        """Return the numbers of test clips that both, only A, only B, and neither predict right."""
        a, b = self.a.right, self.b.right
        return int((a & b).sum()), int((a & ~b).sum()), int((~a & b).sum()), int((~a & ~b).sum())

    def chance(self) -> float:
        """Return the two-sided p-value of the disagreement under equally good networks.

        McNemar's test ("Note on the Sampling Error of the Difference Between Correlated Proportions",
        Psychometrika 12, 1947, 153-157) in its exact form: of the n clips that only one network predicts
        right, the number of A's is binomial with probability 1/2. 1 for n = 0.
        """
        _, only_a, only_b, _ = self.counts()
        return min(1.0, 2 * float(bdtr(min(only_a, only_b), only_a + only_b, 0.5)))

    def classes(self) -> list[tuple[str, int, float, float]]:
        """Return name, clips, A's and B's accuracy of each class with test clips, A's largest gain first."""
        labels = self.a.predicted.labels
        rows = []
        for number in np.unique(labels).tolist():
            own = labels == number
            a, b = (float(side.right[own].mean()) for side in (self.a, self.b))
            rows.append((str(self.a.predicted.classes[number]), int(own.sum()), a, b))
        return sorted(rows, key=lambda row: (row[3] - row[2], row[0]))

    def metrics(self) -> list[tuple[str, float, float]]:
        """Return every metric's mean over the last tenth of the steps, for A and for B; nan: not logged."""
        names = dict.fromkeys([*self.a.curves, *self.b.curves])
        return [(n, self.a.curves.get(n, math.nan), self.b.curves.get(n, math.nan)) for n in names]

    def disagreements(self) -> Iterator[tuple[str, str, tuple[str, float], tuple[str, float]]]:
        """Yield the clips that only one predicts right, surest first: clip, class, guesses, confidences."""
        where = np.flatnonzero(self.a.right != self.b.right)
        sure = [side.predicted.confidences[side.network][where, 0] for side in (self.a, self.b)]
        for row in where[np.argsort(-np.maximum(*sure), kind="stable")].tolist():
            predicted = self.a.predicted
            yield (
                str(predicted.clips[row]),
                str(predicted.classes[predicted.labels[row]]),
                _guess(self.a, row),
                _guess(self.b, row),
            )


def compare(
    run_a: str | PathLike[str] | RunFolder,
    run_b: str | PathLike[str] | RunFolder,
    *,
    predictor_a: str | None = None,
    predictor_b: str | None = None,
) -> Pair:
    """Compare two finished runs, or two networks of one: settings, test clips, classes, curves.

    Args:
        run_a: the folder of a run; or ARCHIVE/RUN, a run of an archive of records.
        run_b: the folder of another run on the same test clips, or the same folder.
        predictor_a: the network of the first run; None: the headline.
        predictor_b: the network of the second run; None: the headline.

    Raises:
        InputError: a run is not finished or does not have the network, or the test clips differ.
    """
    return load(Path(run_a), Path(run_b), (predictor_a, predictor_b))


def load(a: Path, b: Path, networks: tuple[str | None, str | None] = (None, None)) -> Pair:
    """Load two runs from their folders, with the networks to compare; None: the headline.

    Raises:
        InputError: a run is not finished or does not have the network, or the test clips differ.
    """
    problems, sides = list[str](), list[Side]()
    for folder, network in zip((a, b), networks, strict=True):
        try:
            sides.append(_side(folder, network))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*dict.fromkeys(problems))
    ours, theirs = (side.predicted for side in sides)
    if not (
        np.array_equal(ours.clips, theirs.clips)
        and np.array_equal(ours.classes[ours.labels], theirs.classes[theirs.labels])
    ):
        raise InputError(
            f"{a.name} and {b.name} were tested on different clips or classes ({len(ours.clips)} and "
            f"{len(theirs.clips)} clips): only runs on one data set can be compared clip by clip"
        )
    return Pair(*sides)


def _side(folder: Path, network: str | None) -> Side:
    folder = in_archive(folder)
    run = watch.runs(folder)[0]
    if run.folder != folder:
        raise InputError(f"{folder} is a results folder: give the folder of one run, such as {run.folder}")
    for _ in run.refresh():
        pass
    # An archive has no metrics, without which nothing is watched.
    result = run.result or RunFolder(folder).finished()
    if result and not result.test:
        raise InputError(f"{folder} has no test clips to compare predictions on")
    predicted = read(folder)
    if not result:
        raise InputError(f"{folder} is not finished: its {RESULT} is missing or damaged")
    network = network or next(iter(predicted.guesses))
    if network not in predicted.guesses:
        raise InputError(unknown(f"network of {folder.name}", network, predicted.guesses))
    return Side(folder.name, network, flat(result.spec), result.fingerprint, predicted, _ends(run))


def _ends(run: watch.Watched) -> dict[str, float]:
    first = run.steps * (1 - _LAST)
    ends = {n: [v for step, v in curve if step >= first] for n, curve in run.curves.items()}
    return {name: sum(values) / len(values) for name, values in ends.items() if values}


def _guess(side: Side, row: int) -> tuple[str, float]:
    number = side.predicted.guesses[side.network][row, 0]
    return str(side.predicted.classes[number]), float(side.predicted.confidences[side.network][row, 0])
