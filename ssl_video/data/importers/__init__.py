"""From the user's files to an index: one module per kind of source.

`read` opens a run's data; `make.make` is the implementation of `ssl-video data index`, for every kind.
Nothing is decoded here; a file only has to exist and to hold at least one byte.
"""

import difflib
import os
from collections.abc import Collection
from pathlib import Path

from ssl_video.data.importers import index_file
from ssl_video.data.importers.folder import from_folder
from ssl_video.data.importers.locate import at_their_paths, leave_out_missing
from ssl_video.data.importers.manifest import from_manifest
from ssl_video.data.importers.raw_index import RawIndex, reading
from ssl_video.data.importers.source_kinds import FOLDER, KINDS, MANIFEST, recognise
from ssl_video.data.importers.to_index import Unsplit, to_index
from ssl_video.data.index import Index
from ssl_video.errors import InputError

_HINT = (
    "if they lie elsewhere, give as root the folder that the paths start from; ssl-video data index finds "
    "files by their names, and can leave missing ones out"
)


def read(
    path: Path | str,
    *,
    root: Path | None = None,
    split: str = "split",
    check: bool = True,
    faulty: bool = False,
    keep_classes: Collection[str] = (),
    unsplit: Unsplit = "hold-out",
    training: bool = True,
    labels_follow: bool = False,
) -> Index:
    """Return the clips of an index file, a manifest, or class folders, perhaps in train/ and test/.

    A manifest is a CSV or TSV file with a header. It has the columns `path` and `label`, optionally `group`
    (the source video), a split column, and any others. The split column holds train, test or val. If there
    is no test, val is used as test; otherwise val is not used. Clips with an empty field are not used.

    Folders inside class folders count as source videos.

    A clip with an empty label is unlabeled. So is one whose label is a word of `labels.NO_LABEL`, or that
    lies in a folder `unlabeled` beside class folders or beside train/ and test/.

    Paths are relative to `root`. Without a root they are relative to the manifest's folder or to its parent,
    whichever holds more of the files. Paths that lead out of that folder are rejected, since a manifest may
    come from an untrusted source.

    Without a split and without unlabeled clips, a quarter of each class is held out as test, by whole source
    videos if they are known. They are chosen by a hash of the names, and are therefore the same everywhere.
    Beside unlabeled clips, all labeled ones are for training.

    Args:
        path: an index file (.arrow), a CSV or TSV file, or a folder.
        root: folder that the paths are relative to; "/" allows every absolute path.
        split: name of the split column.
        check: look for a manifest's files; an index file's are never looked for.
        faulty: accept missing and empty files, unless all are missing, because the caller handles them.
        keep_classes: classes whose names would otherwise stand for "no label".
        unsplit: the part of labeled clips if no split is given: "train", "test", or "hold-out", see above.
        training: check that the clips can be used for training; otherwise a part, or all classes but one, may
            be absent, and a folder may hold unlabeled videos alone.
        labels_follow: do not expect a label of every class yet, because `label_files` add more of them.

    Raises:
        InputError: every problem found. A class without a training clip is one, without a test clip not, nor
            is an empty test part.
    """
    path = absolute(path)
    root = None if root is None else absolute(root)
    with reading():
        problems = [no_such(place) for place in (path, root) if place is not None and not place.exists()]
        if problems:
            raise InputError(*problems)
        if path.suffix == index_file.SUFFIX:
            return index_file.read(path, root, split)
        # A file with another suffix may still be a manifest.
        kind = recognise(path) if path.is_dir() or path.suffix in (".csv", ".json") else MANIFEST
        if kind not in (FOLDER, MANIFEST):
            raise InputError(
                f"{path} holds {KINDS[kind].title}; make an index file of them first: "
                f"ssl-video data index {path} --videos FOLDER -o {kind}.arrow"
            )
        if kind == FOLDER:
            raw = _folder(path, root, split, faulty, keep_classes, flat=not training or labels_follow)
        else:
            raw = _manifest(path, root, split, check, faulty)
        return to_index(raw, keep_classes, unsplit, training=training, labels_follow=labels_follow)


def _folder(
    path: Path, root: Path | None, split: str, faulty: bool, keep_classes: Collection[str], *, flat: bool
) -> RawIndex:
    problems = []
    if root is not None:
        problems.append(f"{path} is a folder of videos: root is only for a manifest, leave it out")
    if split != "split":
        problems.append(f"{path} is a folder and has no split column {split!r}: give a manifest")
    if problems:
        raise InputError(*problems)
    raw = from_folder(path, keep_classes, flat=flat)
    if faulty:
        raw.sizes, raw.problems = None, []
    return raw


def _manifest(path: Path, root: Path | None, split: str, check: bool, faulty: bool) -> RawIndex:
    raw = from_manifest(path, split)
    bases = [path.parent, path.parent.parent] if root is None else [root]
    tried = at_their_paths(raw, bases, check=check)
    if faulty and raw.sizes is not None and (raw.sizes >= 0).any():
        raw.sizes = None
    leave_out_missing(raw, tried, _HINT, allowed=False)
    return raw


def absolute(path: Path | str) -> Path:
    """Return an absolute path without "..", so that its text shows whether it lies below another path."""
    return Path(os.path.abspath(os.path.expanduser(path)))


def no_such(path: Path) -> str:
    """Return a sentence for a path that does not exist, with the nearest name that does."""
    parent = path
    while not parent.is_dir():
        child, parent = parent.name, parent.parent
    near = difflib.get_close_matches(child, os.listdir(parent), n=1, cutoff=0.5)
    hint = f"did you mean {parent / near[0]}?" if near else f"{parent} is the nearest folder that exists"
    return f"{path} does not exist; {hint}"
