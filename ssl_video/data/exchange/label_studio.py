"""Label Studio's JSON: a list of tasks with `data`, `annotations` and `predictions`.

https://labelstud.io/guide/task_format. The label of a clip is a choice (`Choices`), and that of a part of a
recording a range of time (`Labels` of a video or its sound, in seconds) or of frames (`TimelineLabels`).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ssl_video.data.exchange.label import UNEXPECTED, Label
from ssl_video.data.segments import parse
from ssl_video.data.segments import written as part_of
from ssl_video.errors import InputError

SUFFIX = ".json"
# Files that were uploaded have a code in front of their names.
_UPLOADED = re.compile(r"^/?(?:.*/)?data/upload/(?:\d+/)?[0-9a-f]{8}-(?P<name>.+)$")
_LOCAL = "/data/local-files/"


def recognises(path: Path, start: bytes) -> bool:
    """Return True if a file is a list of objects."""
    return start.startswith(b"[") and path.suffix.lower() == ".json"


def read(path: Path) -> list[Label]:
    """Return a row for each label of each task; of a task without any, a row with an empty label.

    Both forms of export are read, JSON and JSON-MIN. Annotations that were cancelled are not.

    Raises:
        InputError: no such file, or a task has several choices at once.
    """
    try:
        tasks = json.loads(path.read_text(encoding="utf-8-sig"))
        if any("second_label" in task and "windows" in task for task in tasks):
            raise InputError("it is a table of predict: write it as a .csv file, which is read")
        return [row for number, task in enumerate(tasks, 1) for row in _of_task(task, number)]
    except UNEXPECTED as error:
        raise InputError(
            f"{path} is not an export of Label Studio, a list of tasks with data and annotations: {error}"
        ) from None
    except InputError as error:
        raise InputError(*(f"{path}: {problem}" for problem in error.problems)) from None


def written(rows: Sequence[Label]) -> str:
    """Return tasks for the import: labels as annotations, those of a network as predictions.

    The labeling interface needs a video called `video` and `<Choices name="label" toName="video">`. A part of
    a recording has its seconds behind the address, from which browsers play it.
    """
    tasks = []
    for row in rows:
        task: dict[str, Any] = {"data": {"video": row.path + row.part}}
        if row.label:
            task["annotations"] = [{"result": [_choice(row.label)]}]
        if row.predicted:
            score = {} if row.probability is None else {"score": row.probability}
            task["predictions"] = [
                {"model_version": "ssl-video", **score, "result": [_choice(row.predicted)]}
            ]
        tasks.append(task)
    return json.dumps(tasks, indent=1, ensure_ascii=False) + "\n"


def _choice(label: str) -> dict[str, Any]:
    return {"from_name": "label", "to_name": "video", "type": "choices", "value": {"choices": [label]}}


def _of_task(task: Mapping[str, Any], number: int) -> Iterator[Label]:
    """Yield the rows of a task."""
    place = f"task {task.get('id', number)}"
    if "data" not in task:  # JSON-MIN
        path, part = _file(_video(task))
        chosen = next((task[name] for name in ("label", "choice") if name in task), "")
        yield Label(path, part, _single([chosen] if isinstance(chosen, str) else chosen, place), place=place)
        return
    path, part = _file(_video(task["data"]))
    found = [
        one
        for annotation in task.get("annotations", ())
        if not annotation.get("was_cancelled")
        for result in annotation["result"]
        for one in _labels(result, place)
    ]
    predicted = [
        (label, annotation.get("score"))
        for annotation in task.get("predictions", ())
        for result in annotation["result"]
        for where, label in _labels(result, place)
        if not where
    ]
    other, score = predicted[0] if predicted else ("", None)
    for where, label in found or [("", "")]:
        yield Label(path, where or part, label, other, score, place)


def _labels(result: Mapping[str, Any], place: str) -> Iterator[tuple[str, str]]:
    """Yield the labels of a result, with the parts of the file that they are for."""
    value = result.get("value", {})
    kind = result.get("type")
    if kind == "choices":
        yield "", _single(value["choices"], place)
    elif kind == "labels" and "start" in value:
        yield part_of(float(value["start"]), float(value["end"])), _single(value["labels"], place)
    elif kind == "timelinelabels":
        for one in value["ranges"]:
            # Frames are counted from 1, and the last one belongs to the range.
            yield (
                part_of(int(one["start"]) - 1, int(one["end"]), "f"),
                _single(value["timelinelabels"], place),
            )


def _single(labels: Sequence[str], place: str) -> str:
    """Return the only label, "" for none.

    Raises:
        InputError: there are several.
    """
    if isinstance(labels, str):
        return labels
    if len(labels) > 1:
        raise InputError(f"{place} has several labels at once, {', '.join(map(repr, labels))}; expected one")
    return labels[0] if labels else ""


def _video(data: Mapping[str, Any]) -> str:
    """Return the address of a task's video: the value called so, or else the first that is a path."""
    named = [data[name] for name in ("video", "video_url", "url", "audio") if isinstance(data.get(name), str)]
    texts = [value for value in data.values() if isinstance(value, str) and "." in value]
    found = [*named, *texts]
    if not found:
        raise KeyError("no address of a video in a task")
    return found[0]


def _file(address: str) -> tuple[str, str]:
    """Return the path in an address of Label Studio, and the part of the file behind it."""
    file, segment = parse(address)
    part = address[len(file) :] if segment is not None else ""
    split = urlsplit(file)
    if uploaded := _UPLOADED.match(split.path):
        return unquote(uploaded["name"]) if split.scheme else uploaded["name"], part
    if split.path == _LOCAL and "d" in (query := parse_qs(split.query)):
        return query["d"][0], part
    if split.scheme in ("http", "https", "s3", "gs", "azure-blob", "file"):
        return unquote(split.path) if split.scheme == "file" else unquote(split.path).lstrip("/"), part
    return file, part
