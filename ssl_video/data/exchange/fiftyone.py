"""FiftyOne's `labels.json` of classifications and of temporal detections.

https://docs.voxel51.com/user_guide/import_datasets.html. The keys of the labels are names of files without
their extension, or paths.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_video.data.exchange.label import UNEXPECTED, Label
from ssl_video.data.segments import parse
from ssl_video.data.segments import written as part_of
from ssl_video.errors import InputError

SUFFIX = ".json"


def recognises(path: Path, start: bytes) -> bool:
    """Return True if a file is one object."""
    return start.startswith(b"{") and path.suffix.lower() == ".json"


def read(path: Path) -> list[Label]:
    """Return a row for each label; a label with a confidence is a network's.

    A `data.json` beside the file, which maps its keys to paths, is read, too.

    Raises:
        InputError: no such file, or a number that is no class.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        classes, labels = content.get("classes") or [], content["labels"]
        beside = path.with_name("data.json")
        paths = json.loads(beside.read_text(encoding="utf-8-sig")) if beside.is_file() else {}
        return [
            row
            for key, target in labels.items()
            for row in _of_target(paths.get(key, key), target, classes, f"labels[{key!r}]")
        ]
    except (*UNEXPECTED, OSError) as error:
        raise InputError(
            f"{path} is not a labels.json of FiftyOne, with classes and labels: "
            f"{type(error).__name__}: {error}"
        ) from None


def written(rows: Sequence[Label]) -> str:
    """Return labels by path; if a row is a part of a recording, all are temporal detections.

    A label that a person gave has no confidence. A network's label stands where there is no other.
    """
    temporal = any(row.part for row in rows)
    classes = sorted({row.label or row.predicted for row in rows} - {""})
    labels = dict[str, Any]()
    for row in rows:
        label = row.label or row.predicted
        if temporal:
            of_file = labels.setdefault(row.path, [])
            if label:
                of_file.append(_target(row, label) | _times(row))
        elif row.path not in labels:
            labels[row.path] = _target(row, label) if label else None
        elif label and labels[row.path] != _target(row, label):
            raise InputError(f"{row.path}: FiftyOne's classifications have one label for each file")
    return json.dumps({"classes": classes, "labels": labels}, indent=1, ensure_ascii=False) + "\n"


def _target(row: Label, label: str) -> dict[str, Any]:
    confident = not row.label and row.probability is not None
    return {"label": label, **({"confidence": row.probability} if confident else {})}


def _times(row: Label) -> dict[str, Any]:
    """Return the part of a file as FiftyOne has it.

    Raises:
        InputError: it has no end, or is not a part.
    """
    segment = parse(row.path + row.part)[1]
    if segment is None or segment.end == float("inf"):
        raise InputError(
            f"{row.path + row.part}: FiftyOne's temporal detections need a start and an end of every clip"
        )
    if segment.in_frames:
        return {"support": [int(segment.start) + 1, int(segment.end)]}
    return {"timestamps": [segment.start, segment.end]}


def _of_target(path: str, target: Any, classes: Sequence[str], place: str) -> Iterator[Label]:
    """Yield the rows of a file's target: a class, its number, an object, or a list of temporal detections."""
    if isinstance(target, list):
        for one in target:
            yield _row(path, one, classes, place, _part(one))
        if not target:
            yield Label(path, place=place)
    elif isinstance(target, dict):
        yield _row(path, target, classes, place, "")
    else:
        yield Label(path, "", _name(target, classes), place=place)


def _row(path: str, target: Mapping[str, Any], classes: Sequence[str], place: str, part: str) -> Label:
    label, confidence = _name(target["label"], classes), target.get("confidence")
    if confidence is not None:
        return Label(path, part, "", label, float(confidence), place)
    return Label(path, part, label, place=place)


def _name(target: Any, classes: Sequence[str]) -> str:
    """Return the name of a class that is given by its name or number; "" for none."""
    if target is None:
        return ""
    if isinstance(target, str):
        return target
    if isinstance(target, bool) or not isinstance(target, int) or target < 0:
        raise ValueError(f"{target!r} is neither a class nor its number")
    return classes[target]


def _part(target: Mapping[str, Any]) -> str:
    """Return the part of a file that a temporal detection is for."""
    if "timestamps" in target:
        start, end = target["timestamps"]
        return part_of(float(start), float(end))
    first, last = target["support"]
    # Frames are counted from 1, and the last one belongs to it.
    return part_of(int(first) - 1, int(last), "f")
