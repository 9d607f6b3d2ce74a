"""Partition files: labeled clips as text that a person can read and a program can check.

Facts come first, as lines "# name: value", then CSV: path, label and part of every clip that is labeled, held
out for validation, or not used. All other training clips are unlabeled. Two fingerprints guard the file: that
of the lines detects edits, and that of the partition detects another dataset.
"""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from ssl_video.data.columns import ONE_THREAD, Category, Strings
from ssl_video.data.index import Index
from ssl_video.errors import InputError, some
from ssl_video.files import open_regular, read_bytes, replacing

if TYPE_CHECKING:
    from ssl_video.data.partitions.partition import Partition

_FIRST = "# ssl-video partition"
_WITHIN, _BELOW = "labeled clips are in the unlabeled part", "fingerprint of the lines below"
_HEADER = ("path", "label", "part")
_HEADER_LINE = b"path,label,part\n"
PARTS = ("labeled", "validation", "unused")


@dataclass(frozen=True)
class Content:
    """The content of a partition file.

    Attributes:
        facts: the lines above the clips, by name.
        paths: (n,) ids of clips.
        labels: (n,) their classes.
        parts: (n,) their parts, of PARTS.
    """

    facts: dict[str, str]
    paths: Strings
    labels: Category
    parts: Category

    @property
    def shown(self) -> list[tuple[str, str]]:
        """The facts that are shown to the user."""
        return [(name, value) for name, value in self.facts.items() if name != _BELOW]

    @property
    def data_set(self) -> str:
        """Fingerprint of the index that the file was written for."""
        return self.facts["data set"].rpartition(" ")[2]

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the partition."""
        return self.facts["fingerprint"]

    @property
    def labeled_in_unlabeled(self) -> bool:
        """True if the unlabeled part contains the labeled clips, too."""
        return self.facts[_WITHIN] == "yes"


def write(partition: "Partition", index: Index, path: Path) -> None:
    """Write a partition. `list:PATH` reads it.

    Raises:
        InputError: the file cannot be written.
    """
    text = _text(_table(partition, index))
    facts = {
        "data set": f"{index.name}, fingerprint {index.fingerprint}",
        "protocol": partition.protocol,
        "draw": partition.draw,
        _WITHIN: "yes" if partition.labeled_in_unlabeled else "no",
        **{part: len(getattr(partition, part)) for part in ("labeled", "validation", "unlabeled", "test")},
        "fingerprint": partition.fingerprint,
        **({"notes": "; ".join(partition.notes)} if partition.notes else {}),
        _BELOW: _digest(text),
    }
    lines = [_FIRST, *(f"# {name}: {value}" for name, value in facts.items())]
    try:
        with replacing(path) as file:
            file.write(("\n".join(lines) + "\n").encode())
            file.write(text)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def is_one(path: Path) -> bool:
    """Return True if a file begins as partition files do."""
    with open_regular(path) as file:
        return file.read(len(_FIRST)) == _FIRST.encode()


def read(path: Path) -> Content:
    """Read a partition file.

    Raises:
        InputError: the file was edited or truncated.
    """
    content = read_bytes(path).replace(b"\r\n", b"\n")  # as some version control systems write lines
    start = content.find(b"\n" + _HEADER_LINE) + 1
    pairs = (line[2:].partition(": ") for line in content[:start].decode(errors="replace").splitlines())
    facts = {name: value for name, colon, value in pairs if colon}
    expected = ("data set", _WITHIN, "fingerprint", _BELOW)
    if set(expected) - set(facts) or _digest(content[start:]) != facts[_BELOW]:
        raise InputError(
            f"{path} was changed after ssl-video wrote it: recreate it with ssl-video data partition make; "
            "or, for a plain list of labeled clips, remove the lines that start with '# ' and the column part"
        )
    table = arrow_csv.read_csv(
        io.BytesIO(content[start:]),
        read_options=ONE_THREAD,
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(_HEADER, pa.large_string()), strings_can_be_null=False
        ),
    )
    paths, labels, parts = (table.column(name) for name in _HEADER)
    found = Category.of(parts)
    if set(found.names) - set(PARTS):
        raise InputError(f"{path}: unknown parts {some(found.names)}; expected {', '.join(PARTS)}")
    return Content(facts, Strings(paths), Category.of(labels), found)


def _table(partition: "Partition", index: Index) -> pa.Table:
    """Return a row for each clip that is labeled, held out or not used, sorted by id."""
    plain = -1
    part = np.full(len(index), plain)
    part[index.rows("train")] = PARTS.index("unused")
    part[partition.unlabeled] = plain
    part[partition.labeled] = PARTS.index("labeled")
    part[partition.validation] = PARTS.index("validation")
    rows = np.flatnonzero(part != plain)
    columns = (
        index.ids[rows].values,
        index.label.names[index.labels[rows]].values,
        pa.array(PARTS).take(part[rows]),
    )
    return pa.table(dict(zip(_HEADER, columns, strict=True)))


def _text(table: pa.Table) -> bytes:
    """Return the table as CSV, with quotation marks only if some name needs them."""
    for style in ("none", "needed"):
        body = io.BytesIO(_HEADER_LINE)
        body.seek(0, io.SEEK_END)
        try:
            options = arrow_csv.WriteOptions(include_header=False, quoting_style=style)
            arrow_csv.write_csv(table, body, options)
            break
        except pa.ArrowInvalid:
            continue
    return body.getvalue()


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:12]
