"""Import of folders of class folders."""

import os
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ssl_video.data.importers.labels import is_unlabeled
from ssl_video.data.importers.locate import ABSENT, UNDECODABLE, file_size, videos_below
from ssl_video.data.importers.raw_index import SPLITS, RawIndex, text
from ssl_video.data.names import EXTENSIONS, VIDEO, is_picture, is_video
from ssl_video.errors import InputError, counted, some

_PICTURES = "pictures in folders of videos or classes (a clip of pictures is a folder with nothing else)"
_OUTSIDE = "videos outside of class folders"


def from_folder(folder: Path, keep_classes: Collection[str] = (), *, flat: bool = False) -> RawIndex:
    """Return the videos in class folders, perhaps in train/ and test/; see `ssl_video.data.importers.read`.

    Args:
        folder: absolute path of a folder.
        keep_classes: classes whose names would otherwise stand for "no label".
        flat: accept a folder without class folders, as one of unlabeled videos.

    Raises:
        InputError: there are no videos in class folders, or their names are not UTF-8.
    """
    raw = RawIndex(str(folder), folder.name, str(folder))
    ignored: Counter[str] = Counter()
    ids, labels, splits, sizes, broken = [], list[str](), list[str | None](), list[int](), list[str]()
    groups = list[str]()
    for place, label, split in _class_folders(folder, ignored, keep_classes):
        # The files directly in it also count if their names are not UTF-8, which is an error.
        files = _scan(folder / place, ignored)[0] | _below(folder / place, raw)
        if is_unlabeled(label, keep_classes):
            label = ""
        ignored["folders without videos"] += not files
        names = [f"{place}/{name}" for name in files]
        groups += [f"{place}/{name.rpartition('/')[0]}" if label and "/" in name else "" for name in files]
        broken += [name for name in names if UNDECODABLE.search(name)]
        if not broken:
            ids.append(pa.array(names, pa.large_string()))
        sizes += files.values()
        labels += [label] * len(files)
        splits += [split] * len(files)
    if not sizes and flat:
        found = _below(folder, raw)
        ids, sizes = [text(list(found))], list(found.values())
        labels, splits, groups = [""] * len(found), [None] * len(found), [""] * len(found)
        ignored.pop(_OUTSIDE, None)
    left = ", ".join(f"{count} {what}" for what, count in ignored.items() if count)
    if left:
        raw.notes.append(f"ignored in {folder}: {left}")
    if not sizes:
        raise InputError(
            f"{folder}: no videos found ({left or 'the folder is empty'}); expected a folder for each class "
            "with its videos in it, or train/ and test/ with such folders; videos are files that end in "
            f"{' '.join(sorted(EXTENSIONS))}"
        )
    if broken:
        raise InputError(
            f"{folder}: {counted(len(broken), 'file name', 'are')} not UTF-8: {some(broken)}; rename them"
        )
    raw.ids, raw.labels, raw.sizes = pa.concat_arrays(ids), text(labels), np.array(sizes)
    pictures = raw.ids.filter(pc.invert(pc.match_substring_regex(raw.ids, VIDEO))).to_pylist()
    if pictures:
        raw.notes.append(f"{counted(len(pictures), 'folder')} of pictures: each is a clip: {some(pictures)}")
    raw.splits = None if None in splits else text(splits)
    _set_groups(raw, groups)
    absent = raw.ids.filter(pa.array(raw.sizes == ABSENT)).to_pylist()
    if absent:
        raw.problems.append(f"{counted(len(absent), 'file')} cannot be read (broken links?): {some(absent)}")
    return raw


def _set_groups(raw: RawIndex, groups: list[str]) -> None:
    """Set a raw index's source videos, if there are any, and add a note."""
    if deep := sum(map(bool, groups)):
        raw.groups = text(groups)
        raw.notes.append(
            f"{counted(deep, 'clip', 'are')} in folders inside class folders, which count as source videos "
            "(groups)"
        )


def _class_folders(
    folder: Path, ignored: Counter[str], keep_classes: Collection[str]
) -> list[tuple[str, str, str | None]]:
    """Return each class folder's path below `folder`, its label, and its part if train/ and test/ exist.

    A folder of unlabeled videos counts as a class folder; beside train/ and test/ it belongs to train.
    """
    videos, top = _scan(folder, ignored)
    ignored[_OUTSIDE] += len(videos)
    # A part holds folders. A folder named "train" that holds videos is a class.
    parts = [name for name in top if name.lower() in SPLITS and _scan(folder / name, Counter())[1]]
    unlabeled = [name for name in top if is_unlabeled(name, keep_classes)]
    found = {SPLITS[name.lower()] for name in parts}
    # One part is no class if nothing but unlabeled clips is beside it.
    alone = len(found) == 1 and len(parts) + len(unlabeled) == len(top)
    if not ({"train"} < found or alone):
        return [(label, label, None) for label in top]
    ignored["folders beside train/ and test/"] += len(top) - len(parts) - len(unlabeled)
    places: list[tuple[str, str, str | None]] = [(name, name, "train") for name in unlabeled]
    for part in parts:
        videos, labels = _scan(folder / part, ignored)
        ignored[_OUTSIDE] += len(videos)
        places += [(f"{part}/{label}", label, SPLITS[part.lower()]) for label in labels]
    return places


def _below(folder: Path, raw: RawIndex) -> dict[str, int]:
    """Return the videos at any depth below a folder, with their sizes in bytes."""
    return {name: file_size(f"{folder}/{name}") for name in videos_below(folder, raw).to_pylist()}


def _scan(folder: Path, ignored: Counter[str]) -> tuple[dict[str, int], list[str]]:
    """Return a folder's videos with their sizes in bytes, and its sub-folders; sorted, no hidden ones."""
    files, folders = {}, []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                folders.append(entry.name)
            elif is_video(entry.name):
                files[entry.name] = file_size(entry.path)
            else:
                ignored[_PICTURES if is_picture(entry.name) else "files that are not videos"] += 1
    return dict(sorted(files.items())), sorted(folders)
