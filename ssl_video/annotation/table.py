"""The table of suggestions, `clips.csv` in a folder of its own."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ssl_video import csv_cells
from ssl_video.annotation.columns import COLUMNS, QUALITY
from ssl_video.data.importers.to_label import Given
from ssl_video.errors import InputError
from ssl_video.files import replacing
from ssl_video.inference.label_rows import two_likeliest
from ssl_video.inference.label_table import Row

FILE = "clips.csv"
_TEXTS = ("path", "label", "predicted_label", "second_label")


def row_of(clip: Given, probabilities: np.ndarray, classes: Sequence[str], label: str = "") -> Row:
    """Return the row of a clip by column, and its file and part of it under "file" and "segment".

    Args:
        clip: the clip.
        probabilities: (K,).
        classes: K names.
        label: the label that it has; "": a person fills it in.
    """
    found = two_likeliest(probabilities, classes)
    in_seconds = clip.segment is not None and not clip.segment.in_frames
    return {
        "path": clip.file if in_seconds else clip.name,
        "start": clip.start,
        "end": clip.end,
        "label": label,
        "predicted_label": found.pop("label"),
        **found,
        "file": clip.file,
        "segment": clip.segment,
    }


def frame(rows: Sequence[Row], *, check_labels: bool) -> pd.DataFrame:
    """Return rows as a data frame; a number that is absent is NaN."""
    columns = [*COLUMNS, QUALITY] if check_labels else list(COLUMNS)
    made = pd.DataFrame(list(rows), columns=columns, dtype=object)
    return made.astype({name: "float64" for name in columns if name not in _TEXTS})


def check(folder: Path, *, overwrite: bool) -> None:
    """Check that suggestions can be written to a folder, before clips are read.

    Raises:
        InputError: it has labels that a person may have filled in, another file of that name, or cannot be
            made.
    """
    file = folder / FILE
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: give a folder for the suggestions")
    if not folder.parent.is_dir():
        raise InputError(f"{folder} cannot be made: there is no folder {folder.parent}")
    if overwrite or not file.exists():
        return
    try:
        with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
            rows = list(csv.DictReader(lines, strict=True))
    except (OSError, csv.Error) as error:
        raise InputError(f"{file} cannot be read ({error}): give another folder, or --overwrite") from None
    if rows and not {"path", "label"} <= rows[0].keys():
        raise InputError(f"{file} is not a table of suggestions: give another folder, or --overwrite")
    filled = sum(bool((row["label"] or "").strip()) for row in rows)
    if rows and QUALITY in rows[0]:
        # All rows of checked labels have one, which a person may have corrected.
        raise InputError(f"{file} may have corrected labels: give another folder, or --overwrite")
    if filled:
        raise InputError(
            f"{file} has {filled} of {len(rows)} labels filled in: give another folder, or --overwrite, "
            "which deletes them"
        )


def write(folder: Path, made: pd.DataFrame) -> None:
    """Write the table of a folder, which is made; an older one is replaced in one step.

    Raises:
        InputError: it cannot be written.
    """
    try:
        folder.mkdir(exist_ok=True)
        with replacing(folder / FILE) as file:
            # Names that are not UTF-8 keep their bytes.
            names = made.columns.tolist()
            rows = (dict(zip(names, row, strict=True)) for row in made.itertuples(index=False))
            cells = ([_cell(value) for value in csv_cells.mark_row(row).values()] for row in rows)
            text = csv_cells.line(names) + "".join(map(csv_cells.line, cells))
            file.write(text.encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise InputError(f"{folder / FILE} cannot be written: {error.strerror or error}") from None


def _cell(value: object) -> object:
    """Return a text as it is, a number with up to six decimals, and nothing for NaN."""
    if isinstance(value, float):
        return "" if value != value else f"{value:.6f}".rstrip("0").rstrip(".")
    return value
