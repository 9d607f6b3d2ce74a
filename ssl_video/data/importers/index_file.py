"""Index files: an index as one Arrow file, mapped into memory when read.

The format is Arrow's own (IPC, one record batch), so that `pandas.read_feather` reads it as well: columns id,
label, split, group (where known) and the data set's other columns; name, root and notes are in the schema's
metadata. The root is kept relative to the file, so that both can move together.
"""

import json
import os
from pathlib import Path

import pyarrow as pa

from ssl_video.data.columns import Category, Origin, Strings, mapped
from ssl_video.data.importers.draft import as_splits
from ssl_video.data.importers.finish import given_splits
from ssl_video.data.index import Index
from ssl_video.errors import InputError, unknown
from ssl_video.files import replacing

SUFFIX = ".arrow"
_FORMAT = 1
_OWN = ("id", "label", "split", "group")


def write(index: Index, path: Path) -> None:
    """Writes an index file.

    Raises:
        InputError: the file cannot be written.
    """
    root = os.path.relpath(index.root, path.parent)
    facts = {"format": _FORMAT, "name": index.name, "root": root, "notes": index.notes}
    columns: dict[str, pa.Array] = {
        "id": index.ids.values,
        "label": index.label.array(),
        "split": index.splits.array(),
    }
    if index.groups:
        columns["group"] = index.groups.array()
    columns |= {name: column.array() for name, column in index.columns.items() if name not in _OWN}
    batch = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
    batch = batch.replace_schema_metadata({"ssl-video": json.dumps(facts)})
    try:
        with replacing(path) as file, pa.ipc.new_file(file, batch.schema) as writer:
            writer.write_batch(batch)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None


def read(path: Path, root: Path | None = None, split: str = "split") -> Index:
    """The index in a file; its columns stay on disk until they are used.

    Args:
        path: absolute path of the file.
        root: folder that holds the videos, where it is not the one that the file names.
        split: name of the split column.

    Raises:
        InputError: not an index file, or the folder or the column does not exist.
    """
    status = os.stat(path)
    stamp = (str(path), status.st_size, status.st_mtime_ns)
    try:
        batch = mapped(*stamp)
        facts = json.loads(batch.schema.metadata[b"ssl-video"])
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not an index file ({error}): make one with ssl-video index") from None
    if facts["format"] != _FORMAT:
        raise InputError(f"{path} is an index file of another version of ssl-video: make it anew")
    names = batch.schema.names
    if split not in names or split in ("id", "label", "group"):
        raise InputError(f"{path}: {unknown('split column', split, [n for n in names if n not in _OWN[:2]])}")
    base = str(root) if root else os.path.normpath(os.path.join(path.parent, facts["root"]))

    def category(name: str) -> Category:
        values = batch.column(name)
        return Category(values.indices.to_numpy(), Strings(values.dictionary), Origin(*stamp, name))

    label, notes = category("label"), list(facts["notes"])
    groups = category("group") if "group" in names else None
    splits, problems = category(split), list[str]()
    if split != "split":
        given = as_splits(batch.column(split), split, problems)
        splits = given_splits(Category.of(given), label, groups, notes)
    if problems:
        raise InputError(*(f"{path}: {problem}" for problem in problems))
    return Index(
        name=facts["name"],
        root=base,
        ids=Strings(batch.column("id"), Origin(*stamp, "id")),
        label=label,
        groups=groups,
        splits=splits,
        columns={name: category(name) for name in names if name not in _OWN and name != split},
        notes=tuple(notes),
    )
