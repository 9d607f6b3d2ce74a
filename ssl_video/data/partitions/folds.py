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
        folds: number of folds, 2 or more.
        draw: number of the draw.

    Raises:
        InputError: fewer than two folds, or more than there are source videos.
    """
    if folds < 2:
        raise InputError(f"folds must be a number from 2, found {folds}")
    division, number = divmod(draw, folds)
    train, own = index.rows("train"), index.rows("test")
    units = index.groups.codes if index.groups else np.arange(len(index))
    codes, start = index.splits.codes.copy(), 0
    codes[own] = PARTS.index("")
    across = in_segments(index.ids, index.label)
    members = [train[index.labels[train] == label] for label in range(len(index.classes))]
    found = [np.unique(units[rows]).tolist() for rows in members]
    single = [name for name, of_class in zip(index.classes, found, strict=True) if len(of_class) == 1]
    # Folds by source video; those that stay in training have none.
    alone = {of_class[0] for of_class in found if len(of_class) == 1}
    fold_of = dict[int, int]()
    for label in sorted(range(len(found)), key=lambda k: len(found[k])) if across else range(len(found)):
        name, rows, of_class = index.classes[label], members[label], found[label]
        # A class with few source videos comes first, or another one may have put them into one fold.
        fold_of = fold_of if across else {}
        names = {unit: index.groups.names[unit] if index.groups else index.ids[unit] for unit in of_class}
        free = [unit for unit in names if unit not in fold_of and not (across and unit in alone)]
        if across or len(free) > 1:
            order = sorted(free, key=lambda unit: digest([(f"fold {division}", name, names[unit])]))
            fold_of |= {unit: place % folds for place, unit in enumerate(order, start)}
            start += len(order)
        held = [unit for unit in of_class if fold_of.get(unit) == number]
        codes[rows[np.isin(units[rows], held)]] = PARTS.index("test")
    kind = "source video" if index.groups else "clip"
    if not start:
        raise InputError(
            f"every class has a single {kind}, so that no fold can be tested: label more {kind}s"
        )
    if start < folds:
        raise InputError(f"{counted(start, kind)} cannot be divided into {folds} folds: use fewer")
    notes = [
        f"a run tests one of {folds} folds of the labeled clips, by whole {kind}s; ssl-video bench runs all"
    ]
    if single:
        notes.append(f"{counted(len(single), 'class', 'have')} a single {kind}, never tested: {some(single)}")
    if len(own):
        notes.append(f"{counted(len(own), 'clip')} of the data set's own test part: not used with folds")
    return replace(
        index,
        splits=Category(codes, index.splits.names),
        notes=(*(note for note in index.notes if note not in index.of_split), *notes),
        of_split=tuple(notes),
        folds=folds,
    )
