"""A partition of an index: its labeled, validation, unlabeled and test clips.

A column or a list has no draws: every draw is the same, except for the validation part held out from it.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ssl_video.data.index import Index
from ssl_video.data.partitions import draws, partition_file, published
from ssl_video.data.partitions import lists as lists_of
from ssl_video.data.partitions.protocols import AVAILABLE, All, ByColumn, Listed, Rule, parse
from ssl_video.errors import InputError, counted, some, unknown
from ssl_video.spec import AUTO

_LABELED = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False, "": False}


@dataclass(frozen=True, eq=False)
class Partition:
    """The parts of an index that a run trains and tests on.

    Attributes:
        protocol: the rule, as given.
        draw: number of the draw, as given.
        labeled_in_unlabeled: the unlabeled part contains the labeled clips, too.
        labeled: (L,) int64 rows of the index, sorted.
        validation: (V,) likewise: clips with a label that are in no other part; empty unless requested.
        unlabeled: (U,) rows: training clips whose label is hidden, sorted, then those without one, sorted.
        test: (T,) likewise.
        notes: sentences for the user.
        fingerprint: 12 hexadecimal digits of a hash of the ids of all parts, the classes of the labeled and
            the validation clips and the list of classes; not of the rule, the order of rows or the machine.
    """

    protocol: str
    draw: int
    labeled_in_unlabeled: bool
    labeled: np.ndarray
    validation: np.ndarray
    unlabeled: np.ndarray
    test: np.ndarray
    notes: tuple[str, ...]
    fingerprint: str


@dataclass
class _Chosen:
    """The training clips that a rule selects, as sorted rows. All others are unlabeled."""

    labeled: np.ndarray
    validation: np.ndarray
    unused: np.ndarray
    notes: list[str]


def check(protocol: str, index: Index | None = None, *, lists: Path | None = None) -> list[str]:
    """Return the problems of a protocol as sentences: of its form, and of its use with an index if given."""
    if protocol == AUTO:
        return []
    try:
        rule = parse(protocol, lists)
        if index is not None:
            _choose(index, rule, 0)
    except InputError as error:
        return list(error.problems)
    return []


def make(
    index: Index,
    protocol: str,
    *,
    draw: int = 0,
    labeled_in_unlabeled: bool = False,
    validation: float = 0,
    lists: Path | None = None,
) -> Partition:
    """Choose the labeled clips; the rest of the training clips are unlabeled.

    Args:
        index: the clips.
        protocol: see `ssl_video.data.partitions.protocols`.
        draw: number of the draw. A clip's place in it depends only on this number and on the names of the
            clip and its class (with +groups also of its source video).
        labeled_in_unlabeled: put the labeled clips into the unlabeled part as well, as FixMatch does. A
            partition file can request the same.
        validation: labeled clips of each class to hold out for validation: a fraction below 1, or a number;
            see `draws.hold_out`.
        lists: folder with the published lists.

    Raises:
        InputError: the protocol is unknown, or the index lacks clips or columns that it needs.
    """
    if validation < 0 or (validation >= 1 and validation != int(validation)):
        raise InputError(
            f"validation {validation:g}: expected a fraction below 1, or a whole number per class"
        )
    rule = parse(protocol, lists)
    if isinstance(rule, Listed) and partition_file.is_one(rule.path):
        return _read_back(index, rule, protocol, draw, labeled_in_unlabeled, validation)
    chosen = _choose(index, rule, draw)
    if validation:
        chosen.validation, notes = draws.hold_out(index, chosen.labeled, validation, draw)
        chosen.labeled = chosen.labeled[~np.isin(chosen.labeled, chosen.validation, assume_unique=True)]
        chosen.notes += notes
    name = protocol.removesuffix(AVAILABLE)
    if name in published.names():
        counts = len(index.rows("train")), len(index.rows("test"))
        chosen.notes += published.load(name).notes(*counts, labeled_in_unlabeled)
    return _finish(index, chosen, protocol, draw, labeled_in_unlabeled)


def _choose(index: Index, rule: Rule, draw: int) -> _Chosen:
    """Return the clips that any rule selects."""
    none = np.empty(0, np.int64)
    if isinstance(rule, ByColumn):
        labeled, notes = _column(index, rule)
        return _Chosen(labeled, none, none, notes)
    if isinstance(rule, Listed):
        labeled, notes = lists_of.rows(index, rule)
        return _Chosen(labeled, none, none, notes)
    if isinstance(rule, All):
        return _Chosen(index.rows("train"), none, none, [])
    labeled, unused, notes = draws.choose(index, rule, draw)
    return _Chosen(labeled, none, unused, notes)


def _column(index: Index, rule: ByColumn) -> tuple[np.ndarray, list[str]]:
    """Return the rows that a column marks, and notes for the user."""
    name = rule.name
    if name not in index.columns:
        raise InputError(f"protocol column:{name}: {unknown('column', name, index.columns)}")
    column = index.columns[name]
    strange = [text for text in column.names if text.lower() not in _LABELED]
    if strange:
        raise InputError(f"column {name!r} has {some(strange)}; expected 1 or true, 0 or false")
    chosen = column.rows(*(text for text in column.names if _LABELED[text.lower()]))
    without = np.intersect1d(chosen, np.flatnonzero(index.labels < 0))
    if len(without):
        clips = counted(len(without), "clip")
        raise InputError(f"column {name!r} labels {clips} without a class: {some(index.ids[without])}")
    tested, unused = (np.intersect1d(chosen, index.rows(part)) for part in ("test", ""))
    if len(tested):
        raise InputError(
            f"column {name!r} labels {counted(len(tested), 'clip')} for testing (is it for another split?): "
            f"{some(index.ids[tested])}"
        )
    if len(unused) and not rule.available:
        raise InputError(
            f"column {name!r} labels {counted(len(unused), 'clip')} not in use (quarantined, or of another "
            f"split?): {some(index.ids[unused])}; to leave them out, add +available to the protocol"
        )
    left = np.setdiff1d(chosen, unused)
    if not len(left):
        raise InputError(f"column {name!r} labels no clip; expected 1 or true for some")
    text = f"left out of {counted(len(chosen), 'clip')} that column {name!r} labels: {len(unused)} not in use"
    return left, [text] if len(unused) else []


def _read_back(
    index: Index, listed: Listed, protocol: str, draw: int, labeled_in_unlabeled: bool, validation: float
) -> Partition:
    """Return the partition in a file."""
    content = partition_file.read(listed.path)
    within = content.labeled_in_unlabeled
    problems = []
    if validation:
        problems.append("which clips are for validation: leave out --validation")
    if labeled_in_unlabeled and not within:
        problems.append("that labeled clips are not in the unlabeled part: leave out --labeled-in-unlabeled")
    if problems:
        again = "or make another file with ssl-video data partition make"
        raise InputError(*(f"{listed.path} says {problem}, {again}" for problem in problems))
    matched, notes = lists_of.match(index, listed, content.paths, content.labels.tolist())

    def of(part: str) -> np.ndarray:
        found = matched[content.parts.rows(part)]
        return np.unique(found[found >= 0])

    chosen = _Chosen(of("labeled"), of("validation"), of("unused"), notes)
    if content.data_set != index.fingerprint:
        notes.append(
            f"{listed.path} was written for other clips: data set {content.data_set}, here "
            f"{index.fingerprint}"
        )
    made = _finish(index, chosen, protocol, draw, within)
    if content.data_set == index.fingerprint and content.fingerprint != made.fingerprint:
        raise InputError(
            f"{listed.path} was changed after ssl-video wrote it: its fingerprint is {content.fingerprint}, "
            f"its clips have {made.fingerprint}; recreate it with ssl-video data partition make"
        )
    return made


def _finish(index: Index, chosen: _Chosen, protocol: str, draw: int, labeled_in_unlabeled: bool) -> Partition:
    """Return a partition, in which all remaining training clips are unlabeled."""
    free = np.zeros(len(index), bool)
    free[index.rows("train")] = True
    free[chosen.labeled] = labeled_in_unlabeled
    free[chosen.validation] = free[chosen.unused] = False
    # Clips without a label come last, so that training does not depend on the folder that they lie in.
    unlabeled, test = np.concatenate([np.flatnonzero(free), index.rows("unlabeled")]), index.rows("test")
    notes = list(chosen.notes)
    count = np.bincount(index.labels[chosen.labeled], minlength=len(index.classes))
    bare = [index.classes[label] for label in np.flatnonzero(count == 0).tolist()]
    if bare:
        notes.append(f"{counted(len(bare), 'class', 'have')} no labeled clip: {some(bare)}")
    if not len(unlabeled):
        notes.append("every training clip is labeled, so no clip is unlabeled")
    return Partition(
        protocol=protocol,
        draw=draw,
        labeled_in_unlabeled=labeled_in_unlabeled,
        labeled=chosen.labeled,
        validation=chosen.validation,
        unlabeled=unlabeled,
        test=test,
        notes=tuple(notes),
        fingerprint=_fingerprint(index, chosen, unlabeled, test),
    )


def _fingerprint(index: Index, chosen: _Chosen, unlabeled: np.ndarray, test: np.ndarray) -> str:
    hasher = hashlib.sha256()
    index.label.names.hash_into(hasher)
    for rows in (chosen.labeled, unlabeled, test):
        index.ids[rows].hash_into(hasher)
    hasher.update(index.labels[chosen.labeled].astype("<i8").tobytes())
    if len(chosen.validation):
        index.ids[chosen.validation].hash_into(hasher)
        hasher.update(index.labels[chosen.validation].astype("<i8").tobytes())
    return hasher.hexdigest()[:12]
