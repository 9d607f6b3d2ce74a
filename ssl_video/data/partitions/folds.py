"""Cross-validation: folds of the labeled clips, each of which is the test part once.

The number of a draw chooses the fold: 0 to K - 1 are those of one division, K to 2 K - 1 those of another. A
fold is therefore a draw in tables, and all methods are tested on the same clips in it.
"""

from dataclasses import replace

import numpy as np

from ssl_video.data.columns import Category
from ssl_video.data.index import PARTS, Index, digest, in_segments
from ssl_video.errors import InputError, counted, some


def fold(index: Index, folds: int, draw: int) -> Index:
    """Return an index whose test part is one fold of its labeled training clips.

    Each class is divided by whole source videos if they are known, in an order by a hash of their names. The
    first one of a class follows the last one of the class before, so that folds are equally large. A class
    with a single source video stays in training. Clips of the index's own test part are not used. A source
    video whose clips are parts of files is in one fold with those of all classes.

    Args:
        index: the clips.
        folds: number of folds; 1: all labeled clips are for training, and none is tested.
        draw: number of the draw.

    Raises:
        InputError: more folds than there are source videos.
    """
    if folds == 1:
        number = f"{len(index.rows('train')):,}"
        note = f"all {number} labeled clips are for training, none is tested"
        return _divided(index, np.empty(0, np.int64), 1, [note])
    train = index.rows("train")
    units = index.groups.codes if index.groups else np.arange(len(index))
    members = [train[index.labels[train] == label] for label in range(len(index.classes))]
    found = [np.unique(units[rows]).tolist() for rows in members]
    single = [name for name, of_class in zip(index.classes, found, strict=True) if len(of_class) == 1]
    fold_of, divided = _divide(index, found, folds, draw // folds)
    tested = []
    for rows, of_class in zip(members, fold_of, strict=True):
        held = [unit for unit, place in of_class.items() if place == draw % folds]
        tested.append(rows[np.isin(units[rows], held)])
    kind = "source video" if index.groups else "clip"
    if not divided:
        raise InputError(
            f"every class has a single {kind}, so that no fold can be tested: label more {kind}s"
        )
    if divided < folds:
        raise InputError(f"{counted(divided, kind)} cannot be divided into {folds} folds: use fewer")
    notes = [
        f"a run tests one of {folds} folds of the labeled clips, by whole {kind}s; train and bench run all"
    ]
    if single:
        notes.append(f"{counted(len(single), 'class', 'have')} a single {kind}, never tested: {some(single)}")
    return _divided(index, np.concatenate(tested), folds, notes)


def _divided(index: Index, tested: np.ndarray, folds: int, notes: list[str]) -> Index:
    """Return an index with the tested rows, (n,) integers, as its test part in place of its own one."""
    own, codes = index.rows("test"), index.splits.codes.copy()
    codes[own], codes[tested] = PARTS.index(""), PARTS.index("test")
    if len(own):
        notes = [*notes, f"{counted(len(own), 'clip')} of the data set's own test part: not used with folds"]
    return replace(
        index,
        splits=Category(codes, index.splits.names),
        notes=(*(note for note in index.notes if note not in index.of_split), *notes),
        of_split=tuple(notes),
        folds=folds,
    )


def _divide(
    index: Index, found: list[list[int]], folds: int, division: int
) -> tuple[list[dict[int, int]], int]:
    """Divide the units of each class, its source videos or clips.

    Args:
        index: the clips.
        found: the units of each class.
        folds: number of folds.
        division: number of the division.

    Returns:
        For each class the fold of each unit, without those that stay in training; and the number of units
        that have a fold.
    """
    across = in_segments(index.ids, index.label)
    alone = {units[0] for units in found if len(units) == 1}
    shared, start, fold_of = dict[int, int](), 0, [dict[int, int]() for _ in found]
    # A class with few units comes first, or another one may have put them into one fold.
    for label in sorted(range(len(found)), key=lambda k: len(found[k])) if across else range(len(found)):
        known = shared if across else {}
        names = {unit: index.groups.names[unit] if index.groups else index.ids[unit] for unit in found[label]}
        free = [unit for unit in names if unit not in known and not (across and unit in alone)]
        if across or len(free) > 1:
            keys = (f"fold {division}", index.classes[label])
            order = sorted(free, key=lambda unit: digest([(*keys, names[unit])]))
            known |= {unit: place % folds for place, unit in enumerate(order, start)}
            start += len(order)
        fold_of[label] = {unit: known[unit] for unit in names if unit in known}
    return fold_of, start
