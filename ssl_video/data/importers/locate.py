"""From paths as written in a source to files: their locations, and the missing ones."""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ssl_video.data.columns import Strings
from ssl_video.data.importers.raw_index import RawIndex, joined, rows, text
from ssl_video.data.names import is_picture, is_video
from ssl_video.data.partitions.stems import stems
from ssl_video.data.progress import Progress
from ssl_video.errors import counted, some

ABSENT, _OUTSIDE = -1, -2  # in place of a file's size
_SEVERAL = -2  # in place of a file's row
# Paths that differ from their form in an index. All others need no individual treatment.
_UNTIDY = r"^/|^\./|//|/\./|\.\.|\\|/$|^\.?$|\x00"
UNDECODABLE = re.compile("[\ud800-\udfff]")  # Python's replacements in file names that are not UTF-8
_LOOKS = 20  # paths with a backslash that are looked for
_CHUNK = 65536  # number of strings converted to Python objects at a time


def at_their_paths(
    raw: RawIndex, bases: Sequence[Path], *, check: bool = True, progress: Progress | None = None
) -> str:
    """Set root, ids and sizes of a raw index from its paths as written, absolute or relative to one base.

    Args:
        raw: paths that lead out of the base are added to its problems.
        bases: folders, the likeliest first; the one with more of the files is chosen for all clips.
        check: look for the files; otherwise the first base is taken.
        progress: called with the current task, the number of items done and the total.

    Returns:
        The folders that were searched, for a message.
    """
    paths, most, outside = _with_slashes(raw, bases) if check else raw.ids, -1, np.empty(0, np.int64)
    for base in bases:
        ids, out = _tidy(str(base), paths)
        sizes = _sizes(str(base), ids, progress) if check else None
        if sizes is not None:
            sizes[out] = _OUTSIDE
        found = len(ids) if sizes is None else int((sizes >= 0).sum())
        if found > most:  # the first one wins a tie
            most, raw.root, raw.ids, raw.sizes, outside = found, str(base), ids, sizes, out
        if found == len(paths):
            break
    if len(outside):
        names = paths.take(outside[:5]).to_pylist()
        if raw.lines:
            lines = raw.lines(outside[:5])
            names = [f"{name} (line {line})" for name, line in zip(names, lines, strict=True)]
        raw.problems.append(
            f"{len(outside)} paths lead out of {raw.root}: {some(names)}; to allow that, give as root a "
            "folder that holds all files"
        )
    return raw.root if most else " and not in ".join(map(str, bases))


def _with_slashes(raw: RawIndex, bases: Sequence[Path]) -> pa.Array:
    """Return a raw index's paths with backslashes as slashes, unless a file's name has a backslash."""
    there = raw.ids.filter(pc.match_substring(raw.ids, "\\"))
    names = there[:_LOOKS].to_pylist()
    if not names or any(os.path.exists(os.path.join(base, name)) for base in bases for name in names):
        return raw.ids
    return pc.replace_substring(raw.ids, "\\", "/")


def by_name(raw: RawIndex, folder: Path, progress: Progress | None = None) -> str:
    """Find a raw index's files below a folder, by path or by name without extension; set ids and sizes.

    Published lists contain the folders and extensions of their authors. If folders in their paths exist
    here, a file must lie in the one of that name. Otherwise its name alone must be unique.

    Args:
        raw: problems and notes are added.
        folder: absolute path.
        progress: see `at_their_paths`.

    Returns:
        The folder, as in `at_their_paths`.
    """
    wanted, files = raw.ids, videos_below(folder, raw, progress)
    found = _lookup(wanted, files)
    keys, file_keys = _keys(wanted, files)
    found = np.where(found == ABSENT, _lookup(keys, file_keys), found)
    unclear = rows(found == _SEVERAL)
    if len(unclear):
        examples = [
            f"{wanted[row].as_py()} may be "
            + " or ".join(files.filter(pc.equal(file_keys, keys[row])).to_pylist()[:3])
            for row in unclear[:3].tolist()
        ]
        raw.problems.append(f"{len(unclear)} names fit several files in {folder}: {'; '.join(examples)}")
    there = found >= 0
    others = len(files) - len(np.unique(found[there]))
    if others and there.any():
        raw.notes.append(f"{others} other videos in {folder} are not listed and are left out")
    raw.root = str(folder)
    if len(files):
        raw.ids = pc.if_else(pa.array(there), files.take(pa.array(np.maximum(found, 0))), wanted)
    raw.sizes = np.where(there, 0, np.where(found == _SEVERAL, _OUTSIDE, ABSENT))
    raw.sizes[there] = _sizes(str(folder), raw.ids.filter(pa.array(there)), progress)
    return str(folder)


def leave_out_missing(raw: RawIndex, tried: str, hint: str, *, allowed: bool) -> None:
    """Leave missing files out and add a note, or, if that is not allowed, add a problem.

    Args:
        raw: a raw index whose files have been located.
        tried: the folders that were searched.
        hint: advice about missing files, for a message.
        allowed: missing files are allowed.
    """
    if raw.sizes is None or not len(absent := rows(raw.sizes == ABSENT)):
        return
    count = f"{len(absent)} of {len(raw.ids)}"
    by_part = _by_part(raw, absent)
    if not allowed or len(absent) == len(raw.ids):
        raw.problems.append(
            f"{count} files do not exist in {tried}: {some(Strings(raw.ids.take(absent)))}{by_part}; {hint}"
        )
        return
    before = pc.unique(raw.labels)
    raw.take(rows(raw.sizes != ABSENT))
    raw.notes.append(f"{count} clips are left out, since their files are missing{by_part}")
    lost = Strings(before.filter(pc.invert(pc.is_in(before, value_set=pc.unique(raw.labels)))))
    if len(lost):
        raw.notes.append(f"{counted(len(lost), 'class', 'have')} no file at all: {some(lost)}")


def _by_part(raw: RawIndex, absent: np.ndarray) -> str:
    """Return the number of missing clips of each part, in brackets."""
    if raw.splits is None:
        return ""
    total, lost = (
        {item["values"]: item["counts"] for item in pc.value_counts(values).to_pylist()}
        for values in (raw.splits, raw.splits.take(absent))
    )
    parts = [
        f"{part or 'not used'} {lost.get(part, 0)} of {total[part]}" for part in sorted(total, reverse=True)
    ]
    return f" ({', '.join(parts)})"


def _tidy(base: str, paths: pa.Array) -> tuple[pa.Array, np.ndarray]:
    """Return the ids below a base folder, and the rows whose paths lead out of it."""
    prefix = base.rstrip(os.sep) + os.sep
    untidy, texts, outside = rows(pc.match_substring_regex(paths, _UNTIDY)), [], []
    for row, path in zip(untidy.tolist(), paths.take(untidy).to_pylist(), strict=True):
        # The text is checked, so that links which the user has put into the data folder still work.
        full = os.path.normpath(os.path.join(base, path))
        inside = full.startswith(prefix)
        texts.append(full[len(prefix) :].replace(os.sep, "/") if inside else path)
        if not inside and path:
            outside.append(row)
    mask = np.zeros(len(paths), bool)
    mask[untidy] = True
    ids = pc.replace_with_mask(paths, pa.array(mask), pa.array(texts, paths.type)) if texts else paths
    return ids, np.array(outside, np.int64)


def _sizes(base: str, ids: pa.Array, progress: Progress | None) -> np.ndarray:
    """Return the sizes of the files in bytes, or `ABSENT` or `_OUTSIDE` in their place."""
    sizes = np.empty(len(ids), np.int64)
    for start in range(0, len(ids), _CHUNK):
        names = ids[start : start + _CHUNK].to_pylist()
        sizes[start : start + len(names)] = [
            file_size(f"{base}/{name}") if name else _OUTSIDE for name in names
        ]
        if progress:
            progress("looking at files", start + len(names), len(ids))
    return sizes


def file_size(path: str) -> int:
    """Return the size of a file in bytes, 1 for a folder of pictures, or `ABSENT`."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            return 1 if is_clip(path) else ABSENT
    except (OSError, ValueError):
        return ABSENT
    return status.st_size if stat.S_ISREG(status.st_mode) else ABSENT


def is_clip(folder: str | Path) -> bool:
    """Return True if a folder is a clip: it holds pictures, but neither videos nor folders.

    Raises:
        OSError: it cannot be read.
    """
    with os.scandir(folder) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(".")]
        others = any(is_video(entry.name) or entry.is_dir() for entry in shown)
        return not others and any(is_picture(entry.name) for entry in shown)


def videos_below(folder: Path, raw: RawIndex, progress: Progress | None = None) -> pa.Array:
    """Return every video and folder of pictures (`is_clip`) below a folder, relative to it, as a column."""
    chunks, broken = [], 0
    for place, names in _walk(str(folder), "", set(), progress):
        whole = [place + name for name in names if not UNDECODABLE.search(place + name)]
        broken += len(names) - len(whole)
        chunks.append(text(whole))
    if broken:
        raw.notes.append(f"{broken} videos in {folder} have names that are not UTF-8 and are left out")
    return pa.concat_arrays(chunks)


def _walk(
    folder: str, place: str, above: set[tuple[int, int]], progress: Progress | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Yield each place below a folder, ending in a slash, and its clips' names; links are followed."""
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in above:
        return  # a link to a folder above itself
    above = above | {(status.st_dev, status.st_ino)}
    names, folders, pictures = [], [], False
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if is_video(entry.name):
                names.append(entry.name)
            elif entry.is_dir():
                folders.append(entry.name)
            pictures = pictures or is_picture(entry.name)
    if place and pictures and not names and not folders:
        yield "", [place.rstrip("/")]
        return
    yield place, sorted(names)
    for number, name in enumerate(sorted(folders), 1):
        yield from _walk(f"{folder}/{name}", f"{place}{name}/", above)
        if progress:
            progress("looking for videos, folders", number, len(folders))


def _keys(wanted: pa.Array, files: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Return the keys by which names in a list and names in a folder are matched."""
    folders, file_folders = _folders(wanted), _folders(files)
    known = pc.is_in(folders, value_set=pc.unique(file_folders))
    names, file_names = stems(Strings(wanted)).values, stems(Strings(files)).values
    if not pc.any(pc.and_(known, pc.not_equal(folders, ""))).as_py():
        return names, file_names
    return joined("/", folders, names), joined("/", file_folders, file_names)


def _folders(paths: pa.Array) -> pa.Array:
    """Return the names of the files' folders, without differences that do not count (see `names.key`)."""
    names = pc.struct_field(pc.extract_regex(paths, r"(?s)(?:^|/)(?P<name>[^/]*)/[^/]*$"), "name")
    lower = pc.utf8_lower(pc.fill_null(names, ""))
    return pc.replace_substring_regex(lower, r"[^\pL\pN]+", "")


def _lookup(wanted: pa.Array, known: pa.Array) -> np.ndarray:
    """Return for each string its row among the known ones, `ABSENT` or `_SEVERAL`: (N,) int64."""
    if not len(known):
        return np.full(len(wanted), ABSENT)
    encoded = known.dictionary_encode()
    codes = encoded.indices.to_numpy()
    row = np.empty(len(encoded.dictionary), np.int64)
    row[codes] = np.arange(len(codes))
    row[np.bincount(codes) > 1] = _SEVERAL
    hit = pc.fill_null(pc.index_in(wanted, value_set=encoded.dictionary), -1).to_numpy()
    return np.where(hit < 0, ABSENT, row[np.maximum(hit, 0)])
