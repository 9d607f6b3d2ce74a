"""Another model's predictions of clips: a table with one column for each class."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import compute

from ssl_video import csv_cells
from ssl_video.contract import Algorithm
from ssl_video.data.exchange.label import Label
from ssl_video.data.exchange.table import clips_of
from ssl_video.data.importers import absolute, no_such
from ssl_video.data.importers.located_labels import Clip, clip_of, files_of
from ssl_video.data.importers.manifest import KNOWN, lines_of, read_table, with_known_names
from ssl_video.data.importers.raw_index import RawIndex, reading
from ssl_video.data.index import Index
from ssl_video.errors import InputError, counted, some
from ssl_video.files import open_regular

_OFF = 0.01  # by which probabilities that were rounded may miss the sum 1
_OTHERS = KNOWN - {"label", "group"}  # the columns of a table beside those of classes


def predictions_for(algorithm: Algorithm, index: Index, rows: np.ndarray) -> np.ndarray | None:
    """Return the predictions that an algorithm asks for; None: it asks for none.

    Args:
        algorithm: the algorithm.
        index: the data set.
        rows: the rows of its unlabeled clips.

    Returns:
        (N, classes), see `read`.

    Raises:
        InputError: it has no file, or see `read`.
    """
    if not algorithm.predictions_from:
        return None
    if problem := missing(algorithm):
        raise InputError(problem)
    return read(absolute(file_of(algorithm)), index, rows)


def file_of(algorithm: Algorithm) -> str:
    """Return the file of predictions that an algorithm was given; "": none."""
    return str(getattr(algorithm, algorithm.predictions_from)) if algorithm.predictions_from else ""


def missing(algorithm: Algorithm) -> str:
    """Return a sentence if an algorithm asks for predictions and there is no file of them."""
    if not algorithm.predictions_from:
        return ""
    option, file = f"options.{algorithm.predictions_from}", file_of(algorithm)
    if not file:
        return (
            f"{option}: give the table of another model's predictions of the unlabeled clips, as `ssl-video "
            f"predict RUN CLIPS --probabilities -o FILE.csv` writes it: --set {option}=FILE.csv"
        )
    return "" if absolute(file).is_file() else f"{option}: {no_such(absolute(file))}"


def identity(file: str) -> str:
    """Return a hash of a file of predictions.

    Raises:
        InputError: it cannot be read.
    """
    with reading(), open_regular(absolute(file)) as opened:
        return f"predictions {hashlib.sha256(opened.read()).hexdigest()}"


def read(file: Path, index: Index, rows: np.ndarray) -> np.ndarray:
    """Return the predictions of clips.

    Clips are found like those of files of labels: by their path, through links, or by their file name.

    Args:
        file: absolute path of a .csv or .tsv table with the column `path`, perhaps `start` and `end`, and for
            each class a column of its name with probabilities. Other columns, rows without probabilities and
            rows of other clips are left out.
        index: the data set.
        rows: the rows of the clips.

    Returns:
        Probabilities (N, classes) in float32, aligned with `rows`; each row has the sum 1.

    Raises:
        InputError: the file has no such columns, values that are no probabilities, two different rows for a
            clip, or none.
    """
    with reading():
        given = read_table(file)
        _check_columns(file, given, index.classes)
        # The others alone, because a class may be called like a column of a manifest, such as "Group".
        others = {
            name: column for name, column in given.items() if csv_cells.unmark(name) not in index.classes
        }
        clips = clips_of(file, with_known_names(others))
        values, problems = _probabilities(file, given, index.classes)
        filled = np.flatnonzero(~np.isnan(values).any(1)).tolist()
        clips, raw = [clips[number] for number in filled], RawIndex(str(file))
        found = _by_clip(clips, values[filled], files_of(clips, file, index, raw), problems)
        wanted = [clip_of(index.paths[row]) for row in rows.tolist()]
        absent = [
            index.ids[row] for row, clip in zip(rows.tolist(), wanted, strict=True) if clip not in found
        ]
    if absent and not problems:
        number = f"{len(absent)} of {counted(len(rows), 'unlabeled clip', 'have')}"
        # Rows of files that are not here are of no interest, unless they may be those of these clips.
        problems = [f"{number} no predictions: {some(absent)}", *raw.problems]
    if problems:
        raise InputError(*(f"{file}: {problem}" for problem in problems))
    return np.stack([found[clip] for clip in wanted]) if len(rows) else values[:0].astype(np.float32)


def _check_columns(file: Path, columns: Mapping[str, pa.Array], classes: Sequence[str]) -> None:
    """Raise an `InputError` if a table lacks columns, or classes have the names of other columns."""
    if not any(name.lower() == "path" and name not in classes for name in columns):
        raise InputError(f"{file}: a table of predictions has the column path, and one for each class")
    if reserved := [name for name in classes if name in _OTHERS]:
        raise InputError(f"{file}: a class is called like another column: {some(reserved)}; rename it")
    if lacking := [name for name in classes if csv_cells.mark(name) not in columns]:
        raise InputError(
            f"{file}: a table of predictions has a column of probabilities for each class, with its name; it "
            f"has none for {some(lacking)}"
        )


def _probabilities(
    file: Path, columns: Mapping[str, pa.Array], classes: Sequence[str]
) -> tuple[np.ndarray, list[str]]:
    """Return the probabilities of each row, (rows, classes), NaN where there are none, and problems."""
    problems = list[str]()
    values = np.stack([_numbers(columns[csv_cells.mark(name)]) for name in classes], axis=1)
    empty, total = np.isnan(values).all(1), values.sum(1)
    wrong = ~empty & ~((values >= 0).all(1) & (np.abs(total - 1) <= _OFF))
    if wrong.any():
        first = np.flatnonzero(wrong)[:1]
        problems.append(
            f"{counted(int(wrong.sum()), 'row', 'have')} no probabilities of 0 or more with the sum "
            f"1, first line {lines_of(file, first)[0]}: {np.round(values[first[0]], 4).tolist()}"
        )
    values[wrong] = np.nan
    return (values / np.where(empty | wrong, 1, total)[:, None]).astype(np.float32), problems


def _numbers(texts: pa.Array) -> np.ndarray:
    """Return the numbers of a column, (rows,): NaN in empty cells, infinity in those that hold no number."""
    filled = compute.if_else(compute.equal(texts, ""), None, texts)
    try:
        found = compute.cast(filled, pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        found = np.array([_number(one) for one in filled.to_pylist()], np.float64)
    # Arrow reads the word nan as a number, too.
    empty = filled.is_null().to_numpy(zero_copy_only=False)
    return np.where(empty, np.nan, np.where(np.isfinite(found), found, np.inf))


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.inf


def _by_clip(
    clips: Sequence[Label], values: np.ndarray, files: dict[str, str], problems: list[str]
) -> dict[Clip | None, np.ndarray]:
    """Return the probabilities by clip; clips with two different rows are added to the problems."""
    found, twice = dict[Clip | None, np.ndarray](), list[str]()
    for row, value in zip(clips, values, strict=True):
        file = files.get(row.path)
        clip = clip_of(file + row.part) if file is not None else None
        if clip is not None and not np.array_equal(found.setdefault(clip, value), value):
            twice.append(f"{row.path}{row.part} ({row.place})")
    if twice:
        problems.append(f"a clip has two different predictions: {some(twice)}")
    return found
