"""Labels as annotation tools store them: one module per format, each of which reads and writes.

A row is a clip with its label, that of a person, and perhaps the one that a network predicts. `read` accepts
every format, and `write` writes the one that is asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from ssl_video.data.exchange import fiftyone, label_studio, table, via
from ssl_video.data.exchange.label import Label
from ssl_video.data.exchange.table import of_predict as of_predict
from ssl_video.errors import InputError, unknown
from ssl_video.files import replacing

# By the name of the format; the first that recognises a file reads it.
FORMATS: Mapping[str, ModuleType] = {
    "via": via,
    "label-studio": label_studio,
    "fiftyone": fiftyone,
    "csv": table,
}


def read(path: Path) -> list[Label]:
    """Return the rows of a file of labels, of any format.

    Raises:
        InputError: it cannot be read, or is none of the formats.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4096).lstrip(b"\xef\xbb\xbf \r\n\t")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    reader: Callable[[Path], list[Label]] = next(
        one.read for one in FORMATS.values() if one.recognises(path, start)
    )
    return [_checked(path, row) for row in reader(path)]


def _checked(path: Path, row: Label) -> Label:
    """Return a row with its labels stripped, as tables have them.

    Raises:
        InputError: a path or a label is no text in UTF-8.
    """
    for value in (row.path, row.label, row.predicted):
        if not isinstance(value, str) or "\0" in value or not _encodes(value):
            raise InputError(f"{path}: {value!r} is not a text ({row.place})")
    return row._replace(label=row.label.strip(), predicted=row.predicted.strip())


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def write(path: Path, rows: Sequence[Label], to: str) -> None:
    """Write rows in a format of FORMATS; an older file is replaced in one step.

    Raises:
        InputError: no such format, rows that it cannot hold, or the file cannot be written.
    """
    if to not in FORMATS:
        raise InputError(unknown("format", to, FORMATS))
    if path.suffix.lower() != FORMATS[to].SUFFIX:
        raise InputError(f"{path}: a file of {to} ends in {FORMATS[to].SUFFIX}")
    text: str = FORMATS[to].written(rows)
    try:
        with replacing(path) as file:
            # Names that are not UTF-8 keep their bytes.
            file.write(text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None
