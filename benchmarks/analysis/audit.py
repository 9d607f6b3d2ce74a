"""What a run's pseudo-labels were worth: over time, by class, against another network's; the same mistakes.

All numbers come from the labels that a run kept (`ssl_video.engine.pseudo_labels`), where every time that a
step saw an unlabeled clip is an entry. Coverage and precision are those of `ssl_video.engine.audit`, over
windows instead of single steps: windows are of equal length and as many as wanted, W; their arrays start with
an axis of them. A share of nothing is nan. Never imports torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from ssl_video.engine.pseudo_labels import PseudoLabels

RIGHT, WRONG, UNUSED = range(3)


@dataclass(frozen=True)
class OverTime:
    """One network's pseudo-labels in windows of steps, arrays (W,).

    Attributes:
        starts: the first step of each window.
        seen: labels that it gave.
        coverage: share of them that are used.
        precision: share of the used ones that are right, weighted.
        misled: share of all that are used and wrong: what confirmation bias feeds on.
        imbalance: share of the used ones, weighted, that would have to be of other classes for these to be as
            frequent as in truth among all clips seen; 0 to 1.
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
        seen: labels given to clips of the class.
        coverage: share of these that are used.
        recall: share of the used ones of these that are right, weighted.
        precision: share of the used labels that say this class that are right, weighted.
        given: share of all used labels that say this class, weighted.
        share: share of all clips seen that are of this class; where `given` is larger, it draws in others.
    """

    starts: np.ndarray
    seen: np.ndarray
    coverage: np.ndarray
    recall: np.ndarray
    precision: np.ndarray
    given: np.ndarray
    share: np.ndarray


@dataclass(frozen=True)
class Agreement:
    """Two networks' labels of the same clips at the same steps.

    Attributes:
        one, other: the networks.
        starts: the first step of each window, (W,).
        counts: (W, 3, 3) clips seen, by what became of the label of `one` and of that of `other`, each
            RIGHT (used and right), WRONG (used and wrong) or UNUSED.
        same_wrong: (W,) those of counts[:, WRONG, WRONG] whose labels are the same.
        right: (W, 2, 2) clips seen, by whether the label of `one` is right and whether that of `other` is
            (0: no, 1: yes), used or not: what each could tell the other.
    """

    one: str
    other: str
    starts: np.ndarray
    counts: np.ndarray
    same_wrong: np.ndarray
    right: np.ndarray


class Mistake(NamedTuple):
    """A clip that a network labeled wrong again and again.

    Attributes:
        clip: its name.
        truth: its class.
        label: the wrong class that it was given most often.
        wrong: how often a wrong label of it was used.
        seen: how often the network labeled it.
    """

    clip: str
    truth: str
    label: str
    wrong: int
    seen: int


def over_time(made: "PseudoLabels", windows: int = 10) -> dict[str, OverTime]:
    """Coverage, precision and balance of every network's labels in windows of steps."""
    found = {}
    for network, of_class in by_class(made, windows).items():
        seen = of_class.seen.sum(1)
        entries = _Entries.of(made, network, windows)
        right = entries.sums(entries.weights * entries.right)
        found[network] = OverTime(
            of_class.starts,
            seen,
            _share(entries.sums(entries.used), seen),
            _share(right, entries.sums(entries.weights)),
            _share(entries.sums(entries.used & ~entries.right), seen),
            np.abs(of_class.given - of_class.share).sum(1) / 2,
        )
    return found


def by_class(made: "PseudoLabels", windows: int = 1) -> dict[str, ByClass]:
    """Coverage, recall, precision and frequency of every class among each network's labels."""
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
            _share(used, seen),
            _share(right, theirs),
            _share(right, given),
            _share(given, given.sum(1, keepdims=True)),
            _share(seen, seen.sum(1, keepdims=True)),
        )
    return found


def agreement(made: "PseudoLabels", one: str, other: str, windows: int = 1) -> Agreement:
    """What became of two networks' labels of the same clips: used and right, used and wrong, not used."""
    truths = made.truths[made.positions]
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
    """The clips of which wrong labels were used most often, at most `most`; of equal ones by their name."""
    labels, used = made.labels[network], made.weights[network] > 0
    wrong = used & (labels != made.truths[made.positions])
    times = np.bincount(made.positions[wrong], minlength=len(made.clips))
    seen = np.bincount(made.positions[labels >= 0], minlength=len(made.clips))
    order = np.lexsort((made.clips, -times))[: min(most, int((times > 0).sum()))]
    found = []
    for clip in order.tolist():
        labeled = np.bincount(labels[wrong & (made.positions == clip)])
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
    """Used labels by the class of their clips and the class that they say, (classes, classes)."""
    used = made.weights[network] > 0
    counts = np.zeros((len(made.classes), len(made.classes)), np.int64)
    np.add.at(counts, (made.truths[made.positions][used], made.labels[network][used]), 1)
    return counts


def pooled(runs: Sequence["PseudoLabels"]) -> "PseudoLabels":
    """The labels of several runs of one configuration on one data set as if they were of one run.

    Shares of the pool are shares of all its labels, so that a run that uses more of them weighs more in their
    precision. A mean over runs would have nothing to average where a run uses none, and cannot show the
    clips that all runs get wrong.
    """
    assert len({tuple(made.classes) for made in runs}) == 1
    first = runs[0]
    clips, rows, where = np.unique(
        np.concatenate([made.clips for made in runs]), return_index=True, return_inverse=True
    )
    starts = np.cumsum([0, *(len(made.clips) for made in runs)])
    positions = [where[start + made.positions] for start, made in zip(starts, runs, strict=False)]
    return replace(
        first,
        clips=clips,
        truths=np.concatenate([made.truths for made in runs])[rows],
        steps=np.concatenate([made.steps for made in runs]),
        positions=np.concatenate(positions),
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
            made.truths[made.positions][gave],
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
        """Sums of values (N,) by window, (W,), or by window and kind, (W, kinds)."""
        values = np.broadcast_to(np.asarray(values, np.float64), self.window.shape)
        size = self.windows * max(kinds, 1)
        summed = np.bincount(self.window * max(kinds, 1) + kind, values, minlength=size)
        return summed.reshape(self.windows, kinds) if kinds else summed


def _steps(made: "PseudoLabels") -> int:
    return int(made.steps.max(initial=0)) + 1


def _window(made: "PseudoLabels", windows: int) -> np.ndarray:
    """The window of every entry, (N,)."""
    window: np.ndarray = made.steps.astype(np.int64) * windows // _steps(made)
    return window


def _starts(made: "PseudoLabels", windows: int) -> np.ndarray:
    """The first step of every window: the least s with s * W // steps = its number."""
    starts: np.ndarray = -(-np.arange(windows) * _steps(made) // windows)
    return starts


def _share(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """A quotient; nan where there is nothing to divide by."""
    return np.divide(above, below, out=np.full(np.broadcast(above, below).shape, np.nan), where=below != 0)
