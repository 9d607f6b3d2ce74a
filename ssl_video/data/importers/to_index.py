"""Checks and conclusions that all sources share: from a raw index to an index."""

import re
from collections.abc import Collection
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ssl_video.data.columns import Category, Strings
from ssl_video.data.importers import labels
from ssl_video.data.importers.raw_index import RawIndex, text
from ssl_video.data.index import INSTEAD_OF_TEST, PARTS, Index, digest, in_segments
from ssl_video.data.names import UCF_NAME
from ssl_video.errors import InputError, counted, some

# Fraction of each class that becomes the test part if no split is given and every clip has a label.
HELD_OUT = 0.25
_BY_NAME = rf"(?:^|/){UCF_NAME}(?:\.[^./]*)?$"
Unsplit = Literal["hold-out", "train", "test"]


def to_index(
    raw: RawIndex,
    keep_classes: Collection[str] = (),
    unsplit: Unsplit = "hold-out",
    *,
    training: bool = True,
    labels_follow: bool = False,
) -> Index:
    """Return the index of a raw.

    Args:
        raw: the clips as read. Those without a label are unlabeled, unless they are for testing.
        keep_classes: classes whose names would otherwise stand for "no label", see `labels.NO_LABEL`.
        unsplit: the part of labeled clips if no split is given; "hold-out": a test part is held out, unless
            there are clips without a label, beside which the labeled ones are few.
        training: check that the clips can be used for training.
        labels_follow: do not expect a label of every class yet, because more of them are added.

    Raises:
        InputError: the problems found here and before.
    """
    labels.remove_words(raw, keep_classes)
    _sort(raw)
    ids, label = Strings(raw.clips), classes_of(raw.labels)
    empty = ids[raw.sizes == 0] if raw.sizes is not None else ids[:0]
    if len(empty):
        raw.problems.append(
            f"{counted(len(empty), 'file', 'are')} empty (0 bytes): {some(empty)}; restore or remove them, "
            "or quarantine them, so that all runs leave them out: --skip-broken, or ssl-video data doctor"
        )
    if training and not labels_follow:
        raw.problems += too_few_classes(label)
    groups, of_split, problems = _groups(raw), list[str](), list[str]()
    across = in_segments(ids, label)
    splits = _splits(raw, label, groups, unsplit, of_split, problems, across=across)
    # Classes may get further clips from the labels that follow, which also change the number for training.
    raw.problems += problems if training and not labels_follow else []
    if labels_follow and raw.splits is None and not (splits.codes == PARTS.index("test")).any():
        of_split.clear()
    if raw.problems:
        raise InputError(*(f"{raw.source}: {problem}" for problem in raw.problems))
    return Index(
        name=raw.name,
        root=raw.root,
        ids=ids,
        label=label,
        groups=groups,
        splits=splits,
        columns={name: Category.of(values) for name, values in raw.columns.items()},
        notes=(*raw.notes, *of_split),
        of_split=tuple(of_split),
    )


def _parts() -> Strings:
    """Return the names of the parts. Not a constant: Arrow imports pandas for its first array."""
    return Strings(text(PARTS))


def classes_of(labels: pa.Array) -> Category:
    """Return labels as classes, -1 for those that are empty."""
    found = Category.of(labels)
    # Names are sorted, so that the empty one comes first.
    first = int(bool(len(found.names)) and found.names[0] == "")
    return Category(found.codes - first, found.names[first:])


def too_few_classes(label: Category) -> list[str]:
    """Return a problem if there are fewer than two classes."""
    if len(label.names) >= 2:
        return []
    if not len(label.names):
        return ["no clip has a label; expected some of two or more classes"]
    labeled = int((label.codes >= 0).sum())
    return [f"all {labeled} labeled clips are of one class, {label.names[0]!r}; expected two or more"]


def _splits(
    raw: RawIndex,
    label: Category,
    groups: Category | None,
    unsplit: Unsplit,
    notes: list[str],
    problems: list[str],
    *,
    across: bool,
) -> Category:
    """Return the part of each clip, and extend notes and problems about this way to divide the clips."""
    if raw.splits is None and unsplit == "hold-out" and (label.codes < 0).any():
        unsplit = "train"
    if raw.splits is None and unsplit != "hold-out":
        splits = Category(np.where(label.codes < 0, PARTS.index("unlabeled"), PARTS.index(unsplit)), _parts())
        number = int((label.codes >= 0).sum())
        tested = f"no split is given: all {number:,} labeled clips are tested"
        notes.append(tested if unsplit == "test" else all_for_training(number))
        return splits
    if raw.splits is None:
        units = groups or Category(np.arange(len(raw.ids)), Strings(raw.clips))
        splits = _hold_out(units, label, "source video" if groups else "clip", notes, problems, across=across)
    else:
        splits = given_splits(Category.of(raw.splits), label, groups, notes, across=across)
    check_parts(label, splits, notes, problems)
    return splits


def all_for_training(number: int) -> str:
    """Return a note that no labeled clip is for testing."""
    return (
        f"no split is given: all {number:,} labeled clips are for training, none is for testing "
        f"({INSTEAD_OF_TEST})"
    )


def _groups(raw: RawIndex) -> Category | None:
    """Return source videos, given or from file names; None: they are not known."""
    groups = _groups_by_name(raw) if raw.groups is None else raw.groups
    if groups is None and raw.segments is None:
        return None
    if groups is None:
        raw.notes.append("clips are parts of files: those of one file count as one source video (group)")
        return Category.of(raw.ids)
    # A clip without a source video is a source video of its own.
    return Category.of(pc.if_else(pc.equal(groups, ""), raw.ids, groups))


def _sort(raw: RawIndex) -> None:
    """Sort the rows of a raw index by id, and find those listed twice."""
    raw.take(Strings(raw.clips).order())
    clips = raw.clips
    again = pc.unique(clips[1:].filter(pc.equal(clips[1:], clips[:-1])))
    twice = Strings(again.filter(pc.not_equal(again, "")))
    if len(twice):
        raw.problems.append(
            f"{counted(len(twice), 'path', 'are')} listed more than once: {some(twice)}; clips that are "
            "parts of one file need the columns start and end, in seconds"
        )


def _groups_by_name(raw: RawIndex) -> pa.Array | None:
    """Return source videos from names like v_Archery_g01_c02.avi, if all labeled clips have such names."""
    found = pc.struct_field(pc.extract_regex(raw.ids, _BY_NAME), "group")
    labeled = labels.given(raw.labels)
    if not pc.any(labeled).as_py() or pc.any(pc.and_(pc.is_null(found), labeled)).as_py():
        return None
    raw.notes.append("source videos (groups) are taken from the file names: v_<class>_g<source>_c<clip>")
    # An unlabeled clip with another name is a source video of its own.
    return pc.coalesce(found, raw.ids)


def source_by_name(file: str) -> str | None:
    """Return the source video in a name like v_Archery_g01_c02.avi; None: it has none."""
    found = re.search(_BY_NAME, file)
    return found and found["group"]


def given_splits(
    given: Category, label: Category, groups: Category | None, notes: list[str], *, across: bool = False
) -> Category:
    """Return given parts as train, test and "" (not used), and add a note for everything unusual.

    Args:
        given: (N,) "train", "test", "val" or "".
        label: (N,) classes; a clip without one is unlabeled, unless it is for testing.
        groups: (N,) source videos, if known.
        notes: sentences for the user, extended here.
        across: a source video may have clips of several classes, because clips are parts of files.
    """
    names = given.names.tolist()
    held = "test" if len(given.rows("test")) or not len(given.rows("val")) else "val"
    if held == "val":
        notes.append("there is no test part: val is used as test")
    part = {"train": "train", held: "test"}
    codes = np.array([PARTS.index(part.get(name, "")) for name in names], np.int64)[given.codes]
    without = label.codes < 0
    tested = without & np.isin(given.codes, [names.index(name) for name in ("test", "val") if name in names])
    codes[without] = PARTS.index("unlabeled")
    codes[tested] = PARTS.index("")
    splits = Category(codes, _parts())
    if tested.any():
        number = int(tested.sum())
        notes.append(f"{counted(number, 'clip')} for testing or validation without a label: not used")
    unused = len(splits.rows("")) - int(tested.sum())
    if unused:
        notes.append(f"{counted(unused, 'clip', 'are')} neither train nor test: not used")
    if groups is not None:
        # The same name stands for different source videos in different classes.
        pairs = groups.codes if across else label.codes * len(groups.names) + groups.codes
        shared = np.intersect1d(pairs[splits.rows("train")], pairs[splits.rows("test")]) % len(groups.names)
        if len(shared):
            notes.append(
                f"{len(shared)} source videos have clips in train and in test, which makes test results too "
                f"good: {some(groups.names[np.sort(shared)])}"
            )
    return splits


def _hold_out(
    units: Category, label: Category, kind: str, notes: list[str], problems: list[str], *, across: bool
) -> Category:
    """Hold out a test part of each class by whole units, in order of a hash.

    Args:
        units: (N,) the source video of each clip, or the clip itself.
        label: (N,) classes; clips without one are unlabeled.
        kind: the unit in words.
        notes: sentences for the user, extended here.
        problems: sentences about classes of one unit, extended here.
        across: see `given_splits`. A unit is then held out for all of its classes, or for none.
    """
    codes = np.full(len(label), PARTS.index("train"), np.int64)
    codes[label.codes < 0] = PARTS.index("unlabeled")
    sizes = np.bincount(label.codes[label.codes >= 0], minlength=len(label.names))
    labeled = np.argsort(label.codes, kind="stable")[(label.codes < 0).sum() :]
    members = np.split(labeled, np.cumsum(sizes)[:-1]) if len(sizes) else []
    found = [np.unique(units.codes[rows], return_counts=True) for rows in members]
    stuck = [label.names[k] for k, (of_class, _) in enumerate(found) if len(of_class) < 2]
    held, kept = set[int](), set[int]()
    # A class with few units has the least choice, and chooses first.
    for k in sorted(range(len(found)), key=lambda k: len(found[k][0])) if across else range(len(found)):
        if not across:
            held, kept = set(), set()
        clips = dict(zip(*(numbers.tolist() for numbers in found[k]), strict=True))
        order = sorted(clips, key=lambda unit: digest([(label.names[k], units.names[unit])]))
        free = [unit for unit in order if unit not in held and unit not in kept]
        # One unit always stays in train, the last one.
        free = free if any(unit in kept for unit in order) else free[:-1]
        wanted = max(1, int(HELD_OUT * len(members[k]) + 0.5))
        wanted -= sum(clips[unit] for unit in order if unit in held)
        for unit in free:
            if wanted > 0:
                held.add(unit)
                wanted -= clips[unit]
        kept.update(unit for unit in order if unit not in held)
        codes[members[k][np.isin(units.codes[members[k]], list(held))]] = PARTS.index("test")
    if stuck:
        problems.append(
            "no split is given and no test part can be held out of "
            f"{counted(len(stuck), 'class')} with one {kind}: "
            f"{some(stuck)}; give a manifest with a split column"
        )
    notes.append(
        f"no split is given: held out {HELD_OUT:.0%} of each class as test, by whole {kind}s, chosen by a "
        "hash of their names (--folds 5 tests every labeled clip once instead)"
    )
    return Category(codes, _parts())


def check_parts(label: Category, splits: Category, notes: list[str], problems: list[str]) -> None:
    """Add notes and problems about parts and classes that lack clips."""
    lacking = {}
    for part in ("train", "test"):
        counts = np.bincount(label.codes[splits.rows(part)], minlength=len(label.names))
        lacking[part] = label.names[counts == 0].tolist()
    if len(lacking["train"]) == len(label.names):
        problems.append("there is no training clip: set split to train for some")
    elif lacking["train"]:
        problems.append(
            f"{counted(len(lacking['train']), 'class', 'have')} no training clip: {some(lacking['train'])}; "
            "remove their other clips or add training clips"
        )
    if len(lacking["test"]) == len(label.names):
        notes.append(f"there is no test clip: runs have no accuracy ({INSTEAD_OF_TEST})")
    elif lacking["test"]:
        notes.append(
            f"{counted(len(lacking['test']), 'class', 'have')} no test clip: {some(lacking['test'])}"
        )
