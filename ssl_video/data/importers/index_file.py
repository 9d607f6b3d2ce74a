"""Index files: an index as one Arrow file, memory-mapped when read.

The format is Arrow's own (IPC, one record batch), so that `pandas.read_feather` reads it as well. The columns
are id, label, split, group (if known) and the dataset's other columns. Name, root and notes are in the
schema's metadata. The root is relative to the file, so that both can be moved together.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ssl_video.data.columns import Category, Origin, Strings, mapped
from ssl_video.data.importers.raw_index import as_splits, text
from ssl_video.data.importers.to_index import check_parts, given_splits
from ssl_video.data.index import PARTS, Index, in_segments
from ssl_video.errors import InputError, unknown
from ssl_video.files import replacing

SUFFIX = ".arrow"
_FORMAT = 1
_ID = pa.large_string()
_OWN = ("id", "label", "split", "group")


def write(index: Index, path: Path) -> None:
    """Write an index file.

    Raises:
        InputError: the file cannot be written.
    """
    root = os.path.relpath(index.root, path.parent)
    elsewhere = {part: os.path.relpath(folder, path.parent) for part, folder in index.elsewhere.items()}
    facts = {
        "format": _FORMAT,
        "name": index.name,
        "root": root,
        "notes": index.notes,
        "of_split": index.of_split,
        **({"elsewhere": elsewhere} if elsewhere else {}),
    }
    columns: dict[str, pa.Array] = {
        "id": index.ids.values,
        "label": _whole(index.label).array(),
        "split": index.splits.array(),
    }
    if index.groups:
        columns["group"] = index.groups.array()
    columns |= {name: _whole(column).array() for name, column in index.columns.items() if name not in _OWN}
    batch = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
    batch = batch.replace_schema_metadata({"ssl-video": json.dumps(facts)})
    try:
        with replacing(path) as file, pa.ipc.new_file(file, batch.schema) as writer:
            writer.write_batch(batch)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None


def read(path: Path, root: Path | None = None, split: str = "split") -> Index:
    """Return the index in a file; its columns stay on disk until they are used.

    Args:
        path: absolute path of the file.
        root: folder that holds the videos, if it is not the one stored in the file.
        split: name of the split column.

    Raises:
        InputError: not an index file, or the folder or the column does not exist.
    """
    status = os.stat(path)
    stamp = (str(path), status.st_size, status.st_mtime_ns)
    try:
        batch = mapped(*stamp)
        facts = _facts(batch)
        _check(batch)
    except (pa.ArrowException, OSError, LookupError, TypeError, ValueError, RecursionError) as error:
        reason = str(error).split("\n")[0]
        raise InputError(
            f"{path} is not an index file ({reason}): make one with ssl-video data index"
        ) from None
    names = batch.schema.names
    if split not in names or split in ("id", "label", "group"):
        raise InputError(f"{path}: {unknown('split column', split, [n for n in names if n not in _OWN[:2]])}")

    def category(name: str) -> Category:
        values = batch.column(name)
        return Category(values.indices.to_numpy(), Strings(values.dictionary), Origin(*stamp, name))

    label, notes, of_split = category("label"), list(facts["notes"]), list(facts["of_split"])
    groups = category("group") if "group" in names else None
    splits = category("split")
    if label.names[0] == "":
        label = Category(label.codes - 1, label.names[1:])
    if split != "split":
        problems = list[str]()
        given = as_splits(batch.column(split), split, problems)
        notes, of_split = [note for note in notes if note not in of_split], []
        across = in_segments(Strings(batch.column("id")), label)
        splits = given_splits(Category.of(given), label, groups, of_split, across=across)
        check_parts(label, splits, of_split, problems)
        if problems:
            raise InputError(*(f"{path}: {problem}" for problem in problems))
        notes += of_split
    return Index(
        name=facts["name"],
        root=str(root) if root else os.path.normpath(os.path.join(path.parent, facts["root"])),
        ids=Strings(batch.column("id"), Origin(*stamp, "id")),
        label=label,
        groups=groups,
        splits=splits,
        columns={name: category(name) for name in names if name not in _OWN and name != split},
        notes=tuple(notes),
        of_split=tuple(of_split),
        elsewhere={
            part: os.path.normpath(os.path.join(path.parent, folder))
            for part, folder in facts.get("elsewhere", {}).items()
        },
    )


def _whole(column: Category) -> Category:
    """Return a column in which every row has a value: the empty string, as the first name, for none."""
    if (column.codes >= 0).all():
        return column
    names = column.names.tolist()
    if "" in names:
        return Category(np.where(column.codes < 0, names.index(""), column.codes), column.names)
    return Category(column.codes + 1, Strings(pa.concat_arrays([text([""]), column.names.values])))


def _facts(batch: pa.RecordBatch) -> dict[str, Any]:
    """Return the schema's metadata.

    Raises:
        KeyError, TypeError, ValueError: they are not an index file's.
    """
    facts = json.loads(batch.schema.metadata[b"ssl-video"])
    if facts["format"] != _FORMAT:
        raise ValueError(f"it has format {facts['format']!r}, expected {_FORMAT}")
    if not (isinstance(facts["name"], str) and isinstance(facts["root"], str) and "\0" not in facts["root"]):
        raise ValueError("name and root are no text")
    folders = facts.get("elsewhere", {})
    if not isinstance(folders, dict) or not all(
        isinstance(v, str) and "\0" not in v for v in folders.values()
    ):
        raise ValueError("folders elsewhere are no texts")
    for notes in (facts["notes"], facts["of_split"]):
        if not (isinstance(notes, list) and all(isinstance(note, str) for note in notes)):
            raise ValueError("notes are no texts")
    return dict(facts)


def _check(batch: pa.RecordBatch) -> None:
    """Check the columns: a file may come from an untrusted source, and Arrow does not check what it maps.

    Raises:
        KeyError, ValueError, pa.ArrowException: they are not the columns of an index.
    """
    batch.validate(full=True)  # offsets and codes lie inside; 0.2 s for ten million rows
    if len(set(batch.schema.names)) < len(batch.schema.names):
        raise ValueError("columns have equal names")
    for name in (*_OWN[:3], *batch.schema.names):
        column = batch.column(name)
        expected = _ID if name == "id" else pa.dictionary(pa.int64(), _ID)
        if column.type != expected or column.null_count:
            raise ValueError(f"column {name!r} is {column.type}, expected {expected}, none missing")
        if name != "id" and column.dictionary.null_count:
            raise ValueError(f"column {name!r} has values that are missing")
    if batch.column("split").dictionary.to_pylist() not in (list(PARTS), list(PARTS[:3])):
        raise ValueError(f"column 'split' has other names than {PARTS}")
    ids, classes = batch.column("id"), batch.column("label").dictionary
    for values in (ids, classes):
        if not pc.all(pc.less(values[:-1], values[1:])).as_py():
            raise ValueError("rows or classes are not in order")
    if not len(ids):
        raise ValueError("it has no clips")
    split, label = (batch.column(name) for name in ("split", "label"))
    if pc.any(pc.and_(pc.equal(label, ""), pc.is_in(split, pa.array(["train", "test"], _ID)))).as_py():
        raise ValueError("clips of train or test have no label")
