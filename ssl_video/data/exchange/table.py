"""Tables with the columns `path` and `label`: manifests, those of `predict`, and `clips.csv` of `suggest`.

In a table of `predict` the label is the network's, unless it has a column `predicted_label`.
"""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from ssl_video import csv_cells
from ssl_video.data.exchange.label import Label
from ssl_video.data.importers.manifest import (
    edges_by_other_names,
    first_fields,
    lines_of,
    read_table,
    with_known_names,
    with_segments,
)
from ssl_video.data.importers.raw_index import RawIndex
from ssl_video.data.segments import parse
from ssl_video.errors import InputError, some

SUFFIX = ".csv"
_OF_PREDICT = frozenset({"second_label", "windows", "error"})
_COLUMNS = ("path", "start", "end", "label", "predicted_label", "probability")


def recognises(path: Path, start: bytes) -> bool:
    """Return True: what is no other format has to be a table."""
    return True


def read(path: Path) -> list[Label]:
    """Return the rows of a table.

    Raises:
        InputError: it has no such columns, or times that are none.
    """
    if path.suffix.lower() not in (".csv", ".tsv"):
        raise InputError(
            f"{path}: labels are read from .csv and .tsv tables, and from files of Label Studio, FiftyOne "
            "and VIA"
        )
    columns = with_known_names(read_table(path))
    if missing := [name for name in ("path", "label") if name not in columns]:
        raise InputError(
            f"{path}: a file of labels has the columns path and label, and perhaps start and end; it has no "
            f"{some(missing)}"
        )
    clips = clips_of(path, columns)
    texts = {name: columns[name].to_pylist() for name in ("label", "predicted_label") if name in columns}
    predicted = texts.get("predicted_label", [""] * len(clips))
    if of_predict(path):
        texts["label"], predicted = predicted, texts["label"]
    found = columns["probability"].to_pylist() if "probability" in columns else [""] * len(clips)
    return [
        clip._replace(
            label=label,
            predicted=other,
            probability=float(given) if other and _is_number(given) else None,
        )
        for clip, label, other, given in zip(clips, texts["label"], predicted, found, strict=True)
    ]


def clips_of(path: Path, columns: dict[str, pa.Array]) -> list[Label]:
    """Return the clips of a table's rows, without labels.

    Args:
        path: the table.
        columns: its columns, see `manifest.with_known_names`, among them "path".

    Raises:
        InputError: it has times that are none.
    """
    if alike := edges_by_other_names(columns):
        raise InputError(f"{path}: column {alike}")
    raw = RawIndex(str(path), ids=columns["path"].cast(pa.large_string()))
    raw.lines = functools.partial(lines_of, path)
    names = with_segments(raw.ids, columns, raw)
    if raw.problems:
        raise InputError(*(f"{path}: {problem}" for problem in raw.problems))
    files = [(name, parse(name)[0]) for name in names.to_pylist()]
    lines = lines_of(path, np.arange(len(files)))
    return [
        Label(file, name[len(file) :], place=f"line {line}")
        for (name, file), line in zip(files, lines, strict=True)
    ]


def of_predict(path: Path) -> bool:
    """Return whether a file is a table of `predict`, whose labels are the network's."""
    if path.suffix.lower() not in (".csv", ".tsv"):
        return False
    columns = {name.lower() for name in first_fields(path)}
    return columns >= _OF_PREDICT and "predicted_label" not in columns


def written(rows: Sequence[Label]) -> str:
    """Return rows as a table, which `--labels` and `--data` read."""
    lines = [csv_cells.line(_COLUMNS)]
    for row in rows:
        # The columns have seconds. Frames stay in the path.
        in_frames = row.part.startswith("#f=")
        start, _, end = ("" if in_frames else row.part.partition("=")[2]).partition(",")
        given = "" if row.probability is None else f"{row.probability:.6g}"
        path = row.path + row.part if in_frames else row.path
        words = csv_cells.mark(row.label), csv_cells.mark(row.predicted)
        lines.append(csv_cells.line([csv_cells.mark_path(path), start, end, *words, given]))
    return "".join(lines)


def _is_number(text: str) -> bool:
    try:
        return bool(float(text) == float(text))
    except ValueError:
        return False
