"""Conversion of labels between tables and annotation tools."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from ssl_video.data import exchange
from ssl_video.data.importers import no_such
from ssl_video.errors import InputError


@dataclass(frozen=True)
class ConvertedLabels:
    """The labels that were converted.

    Attributes:
        path: the file that was written.
        clips: number of clips, or of parts of recordings.
        labeled: number of them with the label of a person.
        predicted: number of them with the label of a network.
        classes: the names of all labels, sorted.
    """

    path: Path
    clips: int
    labeled: int
    predicted: int
    classes: Sequence[str]


def convert_labels(
    source: str | PathLike[str],
    output: str | PathLike[str],
    *,
    to: str = "csv",
    overwrite: bool = False,
) -> ConvertedLabels:
    """Write labels in the format of another tool.

    Args:
        source: a table with columns path and label, such as those of `predict` and `suggest`; a JSON export
            of Label Studio; a labels.json of FiftyOne; or a CSV file of the VGG Image Annotator (VIA).
        output: the file to write.
        to: "csv", "label-studio", "fiftyone" or "via".
        overwrite: replace a file that is there.

    Raises:
        InputError: the source is none of these, the format cannot hold its clips, the output exists, or a
            file cannot be read or written.
    """
    file, target = Path(source), Path(output)
    if not file.is_file():
        raise InputError(f"{file} is a folder: give a file of labels" if file.is_dir() else no_such(file))
    if target.exists() and (not overwrite or target.samefile(file)):
        raise InputError(f"{target} exists: give another name" + ("" if overwrite else ", or --overwrite"))
    rows = exchange.read(file)
    exchange.write(target, rows, to)
    names = {name for row in rows for name in (row.label, row.predicted) if name}
    labeled, predicted = (sum(bool(getattr(row, kind)) for row in rows) for kind in ("label", "predicted"))
    return ConvertedLabels(target, len(rows), labeled, predicted, sorted(names))
