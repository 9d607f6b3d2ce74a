"""CSV files of the VGG Image Annotator (VIA): version 3, of videos, and the older form of version 2.

https://www.robots.ox.ac.uk/~vgg/software/via. Version 3 begins with comments, of which one lists the
attributes with their options. A row has a file, the seconds of a part of it, and values of attributes.
Version 2 has a column `file_attributes` with an object.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_video.data.exchange.label import UNEXPECTED, Label
from ssl_video.data.segments import parse
from ssl_video.data.segments import written as part_of
from ssl_video.errors import InputError

SUFFIX = ".csv"
_HEADER = "# CSV_HEADER = "
_THREE = ("metadata_id", "file_list", "flags", "temporal_coordinates", "spatial_coordinates", "metadata")
_TWO = ("filename", "file_attributes")
_FIRST = b"# Exported using VGG Image Annotator"


def recognises(path: Path, start: bytes) -> bool:
    """Return True if a CSV file begins as those of VIA do."""
    first = start.splitlines()[0] if start else b""
    of_two = first.startswith(b"filename,") and b"file_attributes" in first
    return path.suffix.lower() == ".csv" and (start.startswith((_FIRST, _HEADER.encode())) or of_two)


def read(path: Path) -> list[Label]:
    """Return a row for each file or part of one that has a value of an attribute.

    Marks with a place in the picture, and single moments, are not labels of clips and are left out.

    Raises:
        InputError: no such file, or a row with values of several attributes.
    """
    text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    try:
        if text.startswith("#"):
            return _three(text)
        return _two(text)
    except UNEXPECTED as error:
        raise InputError(
            f"{path} is not a CSV file of the VGG Image Annotator: {type(error).__name__}: {error}"
        ) from None
    except InputError as error:
        raise InputError(*(f"{path}: {problem}" for problem in error.problems)) from None


def written(rows: Sequence[Label]) -> str:
    """Return rows as version 3 does: one attribute, `label`, with the labels as its options.

    A network's label stands where a person gave none.

    Raises:
        InputError: a part of a file is given in frames.
    """
    names = sorted({row.label or row.predicted for row in rows} - {""})
    options = {str(number): name for number, name in enumerate(names)}
    attribute = {
        "1": {
            "aname": "label", "anchor_id": "FILE1_Z2_XY0", "type": 4, "desc": "label of the clip",
            "options": options, "default_option_id": "",
        }
    }  # fmt: skip
    file = io.StringIO()
    file.write(f"{_FIRST.decode()} (http://www.robots.ox.ac.uk/~vgg/software/via)\n")
    file.write(f"# ATTRIBUTE = {json.dumps(attribute, ensure_ascii=False)}\n")
    file.write(f"{_HEADER}{','.join(_THREE)}\n")
    lines = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
    for number, row in enumerate(rows, 1):
        label = row.label or row.predicted
        values = {"1": str(names.index(label))} if label else {}
        fields: list[Any] = [[row.path], 0, _seconds(row), [], values]
        lines.writerow([f"1_{number:08d}", *(json.dumps(field, ensure_ascii=False) for field in fields)])
    return file.getvalue()


def _seconds(row: Label) -> list[float]:
    """Return the seconds of a part, none for all of a file.

    Raises:
        InputError: it is given in frames, or has no end.
    """
    segment = parse(row.path + row.part)[1]
    if segment is None:
        return []
    if segment.in_frames or segment.end == float("inf"):
        raise InputError(f"{row.path + row.part}: VIA needs the seconds of the start and the end of a part")
    return [segment.start, segment.end]


def _three(text: str) -> list[Label]:
    """Return the rows of version 3."""
    lines = list(io.StringIO(text, newline=""))
    comments = [line for line in lines if line.startswith("#")]
    attributes: dict[str, Any] = next(
        (json.loads(line.partition("=")[2]) for line in comments if line.startswith("# ATTRIBUTE =")), {}
    )
    header = next(line for line in comments if line.startswith(_HEADER))
    columns = header.removeprefix(_HEADER).strip().rstrip(",").split(",")
    body = "".join(line for line in lines if not line.startswith("#"))
    rows, first = list[Label](), len(comments)
    reader = csv.reader(io.StringIO(body, newline=""), strict=True)
    for fields in reader:
        if not fields:
            continue
        of = dict(zip(columns, fields, strict=False))
        place = f"line {first + reader.line_num}"
        times = json.loads(of["temporal_coordinates"])
        if json.loads(of["spatial_coordinates"]) or len(times) == 1:
            continue
        part = part_of(float(times[0]), float(times[1])) if times else ""
        label = _value(json.loads(of["metadata"]), attributes, place)
        rows += [Label(file, part, label, place=place) for file in json.loads(of["file_list"])[:1]]
    return rows


def _two(text: str) -> list[Label]:
    """Return the rows of version 2: those of regions of one file are one."""
    found = dict[str, Label]()
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    for of in reader:
        place = f"line {reader.line_num}"
        found.setdefault(
            of["filename"],
            Label(of["filename"], "", _value(json.loads(of["file_attributes"]), {}, place), place=place),
        )
    return list(found.values())


def _value(values: Mapping[str, Any], attributes: Mapping[str, Any], place: str) -> str:
    """Return the label in the values of attributes: that of the one called label or class, or the only one.

    Raises:
        InputError: there are several attributes, none of which is called so.
    """
    named = {}
    for key, value in values.items():
        one = attributes.get(key, {})
        options = one.get("options", {})
        several = str(value).split(",")
        if len(several) > 1 and str(value) not in options and set(several) <= options.keys():
            raise InputError(f"{place} has several labels at once, {value}; expected one")
        named[str(one.get("aname", key)).lower()] = str(options.get(str(value), value)).strip()
    given = {name: value for name, value in named.items() if value and value != "_DEFAULT"}
    for name in ("label", "class", "category"):
        if name in given:
            return given[name]
    if len(given) > 1:
        raise InputError(
            f"{place} has values of several attributes, {', '.join(given)}; call that of the label 'label'"
        )
    return next(iter(given.values()), "")
