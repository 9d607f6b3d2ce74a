"""Cross-validation: folds of the labeled clips, each of which is the test part once.

The number of a draw chooses the fold: 0 to K - 1 are those of one division, K to 2 K - 1 those of another. A
fold is therefore a draw in tables, and all methods are tested on the same clips in it.
"""

from dataclasses import replace

import numpy as np

from ssl_video.data.columns import Category
from ssl_video.data.index import PARTS, Index, digest
from ssl_video.errors import InputError, counted, some


def fold(index: Index, folds: int, draw: int) -> Index:
    """Return an index whose test part is one fold of its labeled training clips.

    Each class is divided by whole source videos if they are known, in an order by a hash of their names. The
    first one of a class follows the last one of the class before, so that folds are equally large. A class
    with a single source video stays in training. Clips of the index's own test part are not used.

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
    codes, single, start = index.splits.codes.copy(), list[str](), 0
    codes[own] = PARTS.index("")
    for label, name in enumerate(index.classes):
        members = train[index.labels[train] == label]
        found = np.unique(units[members])
        if len(found) < 2:
            single += [name] if len(found) else []
            continue
        names = {int(unit): index.groups.names[unit] if index.groups else index.ids[unit] for unit in found}
        order = sorted(names, key=lambda unit: digest([(f"fold {division}", name, names[unit])]))
        held = [unit for place, unit in enumerate(order, start) if place % folds == number]
        start += len(order)
        codes[members[np.isin(units[members], held)]] = PARTS.index("test")
    kind = "source video" if index.groups else "clip"
    if start < folds:
        raise InputError(f"{counted(start, kind)} cannot be divided into {folds} folds: use fewer")
    notes = [f"accuracy is estimated on {folds} folds of the labeled clips, by whole {kind}s"]
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
