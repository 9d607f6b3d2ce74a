"""Which training clips are labeled: a protocol and the number of a draw -> a partition of an index.

    per-class:N     N labeled clips of each class.
    percent:P       P % of each class's training clips, rounded half up, at least one. Papers differ here:
                    VideoSSL takes the floor of P % of the whole set, drawn without regard to classes; TCL
                    rounds up in each class.
    column:NAME     what a column of the manifest says: 1 or true is labeled, 0, false or nothing is not.
    list:PATH       what a published list of labeled clips says; a file's path alone means the same.

Draws are nested: with one draw, per-class:4 is a part of per-class:10, and percent:5 of percent:10. A
column or a list has no draws: every draw is the same.
"""

import csv
import functools
import hashlib
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from ssl_video.data import lists
from ssl_video.data.index import Index, digest
from ssl_video.data.sources import some
from ssl_video.errors import InputError, unknown

_LABELED = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False, "": False}

# Sorted rows of labeled clips and notes, for an index and a draw.
_Rule = Callable[[Index, int], tuple[np.ndarray, list[str]]]


@dataclass(frozen=True, eq=False)
class Partition:
    """The parts of an index that a run trains and tests on.

    Attributes:
        protocol: the rule, as given.
        draw: number of the draw, as given.
        labeled_in_unlabeled: whether the unlabeled part has the labeled clips, too.
        labeled: (L,) int64 rows of the index, sorted.
        unlabeled: (U,) likewise.
        test: (T,) likewise.
        notes: sentences that the user should read.
        fingerprint: 12 hexadecimal digits that stand for the ids of all three parts, the classes of the
            labeled clips and the list of classes: not for the rule, the order of rows or the machine.
    """

    protocol: str
    draw: int
    labeled_in_unlabeled: bool
    labeled: np.ndarray
    unlabeled: np.ndarray
    test: np.ndarray
    notes: tuple[str, ...]
    fingerprint: str


def describe() -> dict[str, str]:
    """Every protocol's form with a one-line description."""
    return {
        "per-class:N": "N labeled clips of each class",
        "percent:P": "P % of each class's training clips, rounded half up, at least one",
        "column:NAME": "clips with 1 or true in a column of the manifest",
        "list:PATH": "clips in a published list (VideoSSL, SVFormer, LTG, CSV, ...); PATH alone will do",
    }


def check(protocol: str, index: Index | None = None) -> list[str]:
    """Problems of a protocol as sentences: of its form or, given an index, of using it there."""
    try:
        rule = _parse(protocol)
        if index is not None:
            rule(index, 0)
    except InputError as error:
        return list(error.problems)
    return []


def make(index: Index, protocol: str, *, draw: int = 0, labeled_in_unlabeled: bool = False) -> Partition:
    """Chooses the labeled clips; the rest of the training clips are unlabeled.

    Args:
        index: the clips.
        protocol: see the module's documentation.
        draw: number of the draw. The clips of a class depend on it, on the class's name and on the ids of
            its training clips, and on nothing else.
        labeled_in_unlabeled: puts the labeled clips into the unlabeled part as well, as FixMatch does.

    Raises:
        InputError: the protocol is unknown or asks for what the index does not have.
    """
    labeled, notes = _parse(protocol)(index, draw)
    train = np.flatnonzero(index.splits == "train")
    unlabeled = train if labeled_in_unlabeled else np.setdiff1d(train, labeled)
    test = np.flatnonzero(index.splits == "test")
    count = np.bincount(index.labels[labeled], minlength=len(index.classes))
    bare = [name for name, n in zip(index.classes, count.tolist(), strict=True) if not n]
    if bare:
        notes.append(f"{len(bare)} classes have no labeled clip: {some(bare)}")
    if not len(unlabeled):
        notes.append("every training clip is labeled: there is none without a label")
    return Partition(
        protocol=protocol,
        draw=draw,
        labeled_in_unlabeled=labeled_in_unlabeled,
        labeled=labeled,
        unlabeled=unlabeled,
        test=test,
        notes=tuple(notes),
        fingerprint=_fingerprint(index, labeled, unlabeled, test),
    )


def write(partition: Partition, index: Index, path: Path) -> None:
    """Writes the labeled clips as a list that `list:PATH` reads, with what they are in comments above."""
    facts = {
        "data set": f"{index.name}, fingerprint {index.fingerprint}",
        "protocol": partition.protocol,
        "draw": partition.draw,
        "labeled clips are in the unlabeled part": "yes" if partition.labeled_in_unlabeled else "no",
        "labeled": len(partition.labeled),
        "unlabeled": len(partition.unlabeled),
        "test": len(partition.test),
        "fingerprint": partition.fingerprint,
    }
    clips = sorted((index.ids[row], index.classes[index.labels[row]]) for row in partition.labeled)
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.writelines(f"# {name}: {value}\n" for name, value in facts.items())
        file.writelines(f"# note: {note}\n" for note in partition.notes)
        csv.writer(file, lineterminator="\n").writerows([("path", "label"), *clips])


def _fingerprint(index: Index, labeled: np.ndarray, unlabeled: np.ndarray, test: np.ndarray) -> str:
    classes = np.array(index.classes)[index.labels[labeled]].tolist()
    rows: list[tuple[str, ...]] = [("class", name) for name in index.classes]
    rows += [("labeled", *pair) for pair in zip(index.ids[labeled].tolist(), classes, strict=True)]
    rows += [("unlabeled", name) for name in index.ids[unlabeled].tolist()]
    return digest([*rows, *(("test", name) for name in index.ids[test].tolist())])


def _parse(protocol: str) -> _Rule:
    kind, _, value = protocol.partition(":")
    if kind == "per-class":
        if not re.fullmatch(r"0*[1-9]\d*", value):
            raise InputError(f"protocol {protocol!r}: expected a number of clips from 1, as in per-class:10")
        return functools.partial(_per_class, int(value))
    if kind == "percent":
        if not re.fullmatch(r"\d+(\.\d+)?", value) or not 0 < Fraction(value) <= 100:
            raise InputError(
                f"protocol {protocol!r}: expected a number above 0 and up to 100, as in percent:10"
            )
        return functools.partial(_percent, Fraction(value))
    if kind == "column":
        if not value:
            raise InputError(f"protocol {protocol!r}: expected the name of a column, as in column:labeled")
        return functools.partial(_column, value)
    path = Path(value if kind == "list" else protocol).expanduser()
    if path.is_file():
        return functools.partial(_list, path)
    if kind == "list":
        raise InputError(f"protocol {protocol!r}: there is no file {path}")
    raise InputError(f"{unknown('protocol', protocol, describe())}; and there is no file of this name")


def _per_class(count: int, index: Index, draw: int) -> tuple[np.ndarray, list[str]]:
    drawn = list(_drawn(index, draw))
    scarce = [
        f"{name} ({len(clips)})"
        for name, clips in zip(index.classes, drawn, strict=True)
        if len(clips) < count
    ]
    if scarce:
        raise InputError(
            f"protocol per-class:{count}: {len(scarce)} classes have fewer training clips: {some(scarce, 10)}"
        )
    return np.sort(np.concatenate([clips[:count] for clips in drawn])), []


def _percent(percent: Fraction, index: Index, draw: int) -> tuple[np.ndarray, list[str]]:
    drawn = list(_drawn(index, draw))
    counts = [math.floor(len(clips) * percent / 100 + Fraction(1, 2)) for clips in drawn]
    raised = [name for name, count in zip(index.classes, counts, strict=True) if not count]
    notes = []
    if raised:
        share = f"{float(percent):g} %"
        notes.append(
            f"{len(raised)} classes have one labeled clip where {share} rounds to none: {some(raised)}"
        )
    chosen = [clips[: max(1, count)] for clips, count in zip(drawn, counts, strict=True)]
    return np.sort(np.concatenate(chosen)), notes


def _drawn(index: Index, draw: int) -> Iterator[np.ndarray]:
    """For every class, the rows of its training clips in the order in which the draw takes them."""
    train = np.flatnonzero(index.splits == "train")
    train = train[np.lexsort((index.ids[train], index.labels[train]))]
    counts = np.bincount(index.labels[train], minlength=len(index.classes))
    for name, clips in zip(index.classes, np.split(train, np.cumsum(counts)[:-1]), strict=True):
        key = int.from_bytes(hashlib.sha256(f"{draw}\0{name}".encode()).digest()[:16], "little")
        # Philox's raw numbers are the same in every version of NumPy; Generator.permutation need not be.
        yield clips[np.argsort(np.random.Philox(key=key).random_raw(len(clips)), kind="stable")]


def _column(name: str, index: Index, draw: int) -> tuple[np.ndarray, list[str]]:
    if name not in index.columns:
        raise InputError(f"protocol column:{name}: {unknown('column', name, index.columns)}")
    values = np.char.lower(index.columns[name])
    words, word = np.unique(values, return_inverse=True)
    strange = [text for text in words.tolist() if text not in _LABELED]
    if strange:
        raise InputError(f"column {name!r} has {some(strange)}; expected 1 or true, 0 or false")
    chosen = np.flatnonzero(np.array([_LABELED[text] for text in words.tolist()])[word])
    elsewhere = index.ids[chosen[index.splits[chosen] != "train"]].tolist()
    if elsewhere:
        raise InputError(
            f"column {name!r} labels {len(elsewhere)} clips that are not in the training part (is it for "
            f"another split?): {some(elsewhere)}"
        )
    if not len(chosen):
        raise InputError(f"column {name!r} labels no clip; expected 1 or true for some")
    return chosen, []


def _list(path: Path, index: Index, draw: int) -> tuple[np.ndarray, list[str]]:
    return lists.rows(index, path)
