"""The clips of a draw: a function of the draw's number and of names alone.

A clip's place in a draw is a hash of the draw, its class and its file's name without folders and extension.
So a draw depends neither on the data's location nor on the order in which it was read. A clip that is missing
on one machine changes nothing about the others. Draws are nested: a smaller one is the start of a larger one.
"""

import hashlib
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from ssl_video.data.columns import Strings
from ssl_video.data.index import Index
from ssl_video.data.partitions.protocols import Percent, PerClass
from ssl_video.data.partitions.stems import hashes, stems
from ssl_video.errors import InputError, counted, some


def choose(index: Index, rule: PerClass | Percent, draw: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return the labeled clips of a rule.

    Returns:
        Sorted rows of the labeled clips; sorted rows that are not used because clips of their source video
        are labeled; sentences for the user.

    Raises:
        InputError: the index has too few clips of some classes, or no source videos.
    """
    if rule.groups and index.groups is None:
        raise InputError(
            "protocol with +groups: the source videos of the clips are not known; give a manifest with a "
            "column named group"
        )
    train = index.rows("train")
    quotas, notes = _quotas(index, rule)
    everywhere = isinstance(rule, Percent) and rule.scope == "global"
    order, units = _order(index, train, draw, by_unit=rule.groups, by_class=not everywhere)
    if everywhere:
        taken = np.arange(len(train)) < quotas.sum()
    else:
        label = index.labels[train][order]
        taken = _position(label) < quotas[label]
    chosen = train[order[taken]]
    if not rule.groups:
        return np.sort(chosen), train[:0], notes
    cut = train[order[~taken & np.isin(units, units[taken])]]
    if len(cut):
        notes.append(
            f"{len(cut)} training clips are not used: other clips of their source videos are labeled"
        )
    return np.sort(chosen), np.sort(cut), notes


def hold_out(index: Index, labeled: np.ndarray, amount: float, draw: int) -> tuple[np.ndarray, list[str]]:
    """Hold out a validation part of labeled clips: the last of each class in the order of a draw.

    If source videos are known, whole ones are taken until the number is reached, so that none is on both
    sides. The first one of each class always stays labeled.

    Args:
        index: the clips.
        labeled: their rows, sorted.
        amount: a fraction of each class below 1 (rounded half up, at least one), or a number per class.
        draw: number of the draw.

    Returns:
        Sorted rows, and sentences for the user.

    Raises:
        InputError: no class has two labeled clips of different source videos.
    """
    order, units = _order(index, labeled, draw, by_unit=True, by_class=True)
    label = index.labels[labeled][order]
    counts = np.bincount(label, minlength=len(index.classes))
    fraction = Percent(Fraction(str(amount)) * 100, "class", "half-up", False)
    wanted = np.array([fraction.of(count) if amount < 1 else int(amount) for count in counts.tolist()])
    # Number of clips of the class after each clip's unit
    last = np.flatnonzero(np.append(units[1:] != units[:-1], True))
    end = last[np.searchsorted(last, np.arange(len(units)))]
    after = np.cumsum(counts)[label] - 1 - end
    first = units == units[np.cumsum(counts)[label] - counts[label]]
    held = (after < wanted[label]) & ~first
    got = np.bincount(label[held], minlength=len(index.classes))
    kind = "source video" if index.groups else "clip"
    if not held.any():
        raise InputError(
            f"validation {amount:g}: no class has two labeled {kind}s, one of which could be kept"
        )
    lacking = [index.classes[number] for number in np.flatnonzero((counts > 0) & (got == 0)).tolist()]
    notes = (
        [f"{counted(len(lacking), 'class', 'have')} no validation clip: {some(lacking)}"] if lacking else []
    )
    return np.sort(labeled[order[held]]), notes


def _quotas(index: Index, rule: PerClass | Percent) -> tuple[np.ndarray, list[str]]:
    """Return the number of labeled clips of each class, (classes,), or in total, (1,); and notes."""
    counts = index.counts("train").tolist()
    if isinstance(rule, Percent) and rule.scope == "class":
        raised = [
            name for name, n in zip(index.classes, counts, strict=True) if n and _rounds_to_none(rule, n)
        ]
        percent = f"{float(rule.percent):g} %"
        classes = counted(len(raised), "class", "have")
        notes = [f"{classes} one labeled clip where {percent} rounds to none: {some(raised)}"]
        return np.array([min(n, rule.of(n)) for n in counts]), notes if raised else []
    if isinstance(rule, Percent) and rule.scope == "global":
        return np.array([rule.of(sum(counts))]), []
    number = rule.of(Fraction(sum(counts), len(counts))) if isinstance(rule, Percent) else rule.count
    scarce = [f"{name} ({n})" for name, n in zip(index.classes, counts, strict=True) if n < number]
    if scarce:
        raise InputError(
            f"{number} labeled clips of each class are wanted, and {counted(len(scarce), 'class', 'have')} "
            f"fewer training clips: {some(scarce, 10)}; choose fewer, --protocol per-class:N, or all"
        )
    return np.full(len(counts), number), []


def _rounds_to_none(rule: Percent, count: int) -> bool:
    exact = count * rule.percent / 100
    return {"floor": exact < 1, "half-up": exact < Fraction(1, 2), "ceil": False}[rule.rounding]


def _order(
    index: Index, rows: np.ndarray, draw: int, *, by_unit: bool, by_class: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions in `rows` in the order of a draw, and the unit of each in that order.

    Args:
        index: the clips.
        rows: (n,) rows of the index.
        draw: number of the draw.
        by_unit: keep the clips of a source video together, if source videos are known.
        by_class: order class by class; otherwise ignore classes.
    """
    label = index.labels[rows]
    place = hashes(stems(index.ids[rows]), _seeds(index.classes, f"{draw}")[label])
    units = np.arange(len(rows))
    order = np.argsort(place, kind="stable")
    if by_unit and index.groups is not None:
        # The same name stands for different source videos in different classes.
        pairs, units = np.unique(
            label * len(index.groups.names) + index.groups.codes[rows], return_inverse=True
        )
        label_of, group_of = np.divmod(pairs, len(index.groups.names))
        names: Strings = index.groups.names[group_of]
        first = hashes(names, _seeds(index.classes, f"{draw}\0group")[label_of])
        rank = np.empty(len(pairs), np.int64)
        rank[np.argsort(first, kind="stable")] = np.arange(len(pairs))
        order = order[np.argsort(rank[units[order]], kind="stable")]
    if by_class:
        small = label.astype(np.min_scalar_type(len(index.classes)))  # 16 bits sort many times as fast
        order = order[np.argsort(small[order], kind="stable")]
    return order, units[order]


def _seeds(classes: Sequence[str], purpose: str) -> np.ndarray:
    """Return a number for each class, (classes,) uint64."""
    digests = b"".join(hashlib.sha256(f"{purpose}\0{name}".encode()).digest()[:8] for name in classes)
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def _position(labels: np.ndarray) -> np.ndarray:
    """Return the place of each element among its equals, for sorted labels: [3, 3, 7] -> [0, 1, 0]."""
    return np.arange(len(labels)) - np.searchsorted(labels, labels)
