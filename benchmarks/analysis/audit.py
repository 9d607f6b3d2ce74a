"""Audit of a run's pseudo-labels: quality over time, by class, and compared with another network's.

All numbers come from the labels stored with a run (`ssl_video.runs.pseudo_labels`), with one entry per step
and unlabeled clip. Coverage and precision are those of `ssl_video.training.pseudo_label_log`, over W windows
of equal length instead of single steps. Arrays over windows have them as their first axis. A fraction of
nothing is nan. Never imports torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from ssl_video.runs.pseudo_labels import PseudoLabels

RIGHT, WRONG, UNUSED = range(3)


@dataclass(frozen=True)
class OverTime:
    """One network's pseudo-labels in windows of steps, arrays (W,).

    Attributes:
        starts: the first step of each window.
        seen: number of labels that the network gave.
        coverage: fraction of them that are used.
        precision: weighted fraction of the used ones that are right.
        misled: fraction of all labels that are used and wrong, the source of confirmation bias.
        imbalance: weighted fraction of the used labels that would have to change their class to match the
            true class frequencies of all clips seen; 0 to 1. It is the total variation distance.
    """

    starts: np.ndarray
    seen: np.ndarray
    coverage: np.ndarray
    precision: np.ndarray
    misled: np.ndarray
    imbalance: np.ndarray


@dataclass(frozen=True)
class ByClass:
    """One network's pseudo-labels by class and window, arrays (W, classes).

    Attributes:
        starts: the first step of each window, (W,).
        seen: number of labels given to clips of the class.
        coverage: fraction of these that are used.
        recall: weighted fraction of the used ones of these that are right.
        precision: weighted fraction of the used labels of this class that are right.
        label_fraction: weighted fraction of all used labels that are of this class.
        clip_fraction: fraction of all clips seen that are of this class; if `label_fraction` is larger, the
            class attracts clips of others.
    """

    starts: np.ndarray
    seen: np.ndarray
    coverage: np.ndarray
    recall: np.ndarray
    precision: np.ndarray
    label_fraction: np.ndarray
    clip_fraction: np.ndarray


@dataclass(frozen=True)
class Agreement:
    """Two networks' labels of the same clips at the same steps.

    Attributes:
        one, other: the networks.
        starts: the first step of each window, (W,).
        counts: (W, 3, 3) clips seen, by the state of the label of `one` and of that of `other`: RIGHT (used
            and right), WRONG (used and wrong) or UNUSED.
        same_wrong: (W,) those of counts[:, WRONG, WRONG] whose labels are the same.
        right: (W, 2, 2) clips seen, by the correctness of the label of `one` and of that of `other` (0:
            wrong, 1: right), used or not: each network's potential to correct the other.
    """

    one: str
    other: str
    starts: np.ndarray
    counts: np.ndarray
    same_wrong: np.ndarray
    right: np.ndarray


class Mistake(NamedTuple):
    """A clip that a network labeled wrong repeatedly.

    Attributes:
        clip: its name.
        truth: its class.
        label: its most frequent wrong label.
        wrong: number of times that a wrong label of it was used.
        seen: number of times that the network labeled it.
    """

    clip: str
    truth: str
    label: str
    wrong: int
    seen: int


def over_time(made: "PseudoLabels", windows: int = 10) -> dict[str, OverTime]:
    """Return coverage, precision and balance of every network's labels in windows of steps."""
    found = {}
    for network, of_class in by_class(made, windows).items():
        seen = of_class.seen.sum(1)
        entries = _Entries.of(made, network, windows)
        right = entries.sums(entries.weights * entries.right)
        found[network] = OverTime(
            of_class.starts,
            seen,
            _fraction(entries.sums(entries.used), seen),
            _fraction(right, entries.sums(entries.weights)),
            _fraction(entries.sums(entries.used & ~entries.right), seen),
            np.abs(of_class.label_fraction - of_class.clip_fraction).sum(1) / 2,
        )
    return found


def by_class(made: "PseudoLabels", windows: int = 1) -> dict[str, ByClass]:
    """Return coverage, recall, precision and frequency of every class among each network's labels."""
    classes, found = len(made.classes), {}
    for network in made.labels:
        entries = _Entries.of(made, network, windows)
        seen, used = (entries.sums(part, entries.truths, classes) for part in (1.0, entries.used))
        given = entries.sums(entries.weights, entries.labels, classes)
        theirs = entries.sums(entries.weights, entries.truths, classes)
        right = entries.sums(entries.weights * entries.right, entries.truths, classes)
        found[network] = ByClass(
            _starts(made, windows),
            seen.astype(np.int64),
            _fraction(used, seen),
            _fraction(right, theirs),
            _fraction(right, given),
            _fraction(given, given.sum(1, keepdims=True)),
            _fraction(seen, seen.sum(1, keepdims=True)),
        )
    return found


def agreement(made: "PseudoLabels", one: str, other: str, windows: int = 1) -> Agreement:
    """Return the joint states of two networks' labels: used and right, used and wrong, not used."""
    truths = made.truths[made.indices]
    rights = [made.labels[network] == truths for network in (one, other)]
    used = [made.weights[network] > 0 for network in (one, other)]
    states = [np.where(u, np.where(r, RIGHT, WRONG), UNUSED) for u, r in zip(used, rights, strict=True)]
    window = _window(made, windows)
    counts, right = np.zeros((windows, 3, 3), np.int64), np.zeros((windows, 2, 2), np.int64)
    np.add.at(counts, (window, *states), 1)
    np.add.at(right, (window, *(r.astype(np.int64) for r in rights)), 1)
    same = (states[0] == WRONG) & (states[1] == WRONG) & (made.labels[one] == made.labels[other])
    same_wrong = np.bincount(window[same], minlength=windows)
    return Agreement(one, other, _starts(made, windows), counts, same_wrong, right)


def mistakes(made: "PseudoLabels", network: str, most: int = 10) -> list[Mistake]:
    """Return at most `most` clips whose wrong labels were used most often; ties are ordered by name."""
    labels, used = made.labels[network], made.weights[network] > 0
    wrong = used & (labels != made.truths[made.indices])
    times = np.bincount(made.indices[wrong], minlength=len(made.clips))
    seen = np.bincount(made.indices[labels >= 0], minlength=len(made.clips))
    order = np.lexsort((made.clips, -times))[: min(most, int((times > 0).sum()))]
    found = []
    for clip in order.tolist():
        labeled = np.bincount(labels[wrong & (made.indices == clip)])
        found.append(
            Mistake(
                str(made.clips[clip]),
                str(made.classes[made.truths[clip]]),
                str(made.classes[labeled.argmax()]),
                int(times[clip]),
                int(seen[clip]),
            )
        )
    return found


def confusion(made: "PseudoLabels", network: str) -> np.ndarray:
    """Return the counts of used labels by true class and labeled class, (classes, classes)."""
    used = made.weights[network] > 0
    counts = np.zeros((len(made.classes), len(made.classes)), np.int64)
    np.add.at(counts, (made.truths[made.indices][used], made.labels[network][used]), 1)
    return counts


def pooled(runs: Sequence["PseudoLabels"]) -> "PseudoLabels":
    """Pool the labels of several runs of one configuration on one data set as if they were of one run.

    Fractions are taken over all labels of the pool, so a run that uses more labels has more weight in the
    precision. A mean over runs would be undefined for a run that uses none, and could not show the clips that
    all runs label wrong.
    """
    assert len({tuple(made.classes) for made in runs}) == 1
    first = runs[0]
    clips, rows, where = np.unique(
        np.concatenate([made.clips for made in runs]), return_index=True, return_inverse=True
    )
    starts = np.cumsum([0, *(len(made.clips) for made in runs)])
    indices = [where[start + made.indices] for start, made in zip(starts, runs, strict=False)]
    return replace(
        first,
        clips=clips,
        truths=np.concatenate([made.truths for made in runs])[rows],
        steps=np.concatenate([made.steps for made in runs]),
        indices=np.concatenate(indices),
        labels={name: np.concatenate([made.labels[name] for made in runs]) for name in first.labels},
        weights={name: np.concatenate([made.weights[name] for made in runs]) for name in first.weights},
    )


class _Entries(NamedTuple):
    """The entries in which one network gave a label, each (N,), and the number of windows."""

    window: np.ndarray
    truths: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    windows: int

    @staticmethod
    def of(made: "PseudoLabels", network: str, windows: int) -> "_Entries":
        gave = made.labels[network] >= 0
        return _Entries(
            _window(made, windows)[gave],
            made.truths[made.indices][gave],
            made.labels[network][gave],
            made.weights[network][gave].astype(np.float64),
            windows,
        )

    @property
    def right(self) -> np.ndarray:
        right: np.ndarray = self.labels == self.truths
        return right

    @property
    def used(self) -> np.ndarray:
        used: np.ndarray = self.weights > 0
        return used

    def sums(self, values: np.ndarray | float, kind: np.ndarray | int = 0, kinds: int = 0) -> np.ndarray:
        """Return sums of values (N,) by window, (W,), or by window and kind, (W, kinds)."""
        values = np.broadcast_to(np.asarray(values, np.float64), self.window.shape)
        size = self.windows * max(kinds, 1)
        summed = np.bincount(self.window * max(kinds, 1) + kind, values, minlength=size)
        return summed.reshape(self.windows, kinds) if kinds else summed


def _steps(made: "PseudoLabels") -> int:
    return int(made.steps.max(initial=0)) + 1


def _window(made: "PseudoLabels", windows: int) -> np.ndarray:
    """Return the window of every entry, (N,)."""
    window: np.ndarray = made.steps.astype(np.int64) * windows // _steps(made)
    return window


def _starts(made: "PseudoLabels", windows: int) -> np.ndarray:
    """Return the first step of every window: the least s with s * W // steps = its number."""
    starts: np.ndarray = -(-np.arange(windows) * _steps(made) // windows)
    return starts


def _fraction(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return a quotient; nan for zero denominators."""
    return np.divide(above, below, out=np.full(np.broadcast(above, below).shape, np.nan), where=below != 0)
