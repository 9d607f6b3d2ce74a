"""Something-Something v2: train, validation, test and labels as JSON files.

Source: Goyal et al., "The 'Something Something' Video Database" (ICCV 2017). The clips are files N.webm.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ssl_video.data.importers.raw_index import SPLITS, RawIndex, text
from ssl_video.errors import InputError, counted, some
from ssl_video.files import read_text

_FILE = re.compile(r"(?:something-something-v2-)?(train|validation|val|test|labels)\.json")


def recognises(names: Sequence[str]) -> bool:
    """Return True if files of these names belong to such a dataset."""
    return any((match := _FILE.fullmatch(name)) and match[1] == "train" for name in names)


def from_something_something(files: Sequence[Path]) -> RawIndex:
    """Return the clips of some files; files that are not named as published are ignored.

    A class is a template without its brackets, as in the file of labels. Clips without a template (the test
    part) are left out.

    Args:
        files: absolute paths.

    Raises:
        InputError: a file is not JSON of the published form.
    """
    raw = RawIndex(", ".join(map(str, files)))
    ids, labels, splits, known = list[str](), list[str](), list[str](), set[str]()
    for file in files:
        match = _FILE.fullmatch(file.name)
        if match is None:
            continue
        content = _load(file)
        if match[1] == "labels":
            known = {_tidy(name) for name in content}
            continue
        wrong = [
            item for item in content if not (isinstance(item, dict) and str(item.get("id", "")).isdecimal())
        ]
        if wrong or not isinstance(content, list):
            raise InputError(f"{file}: expected a list of clips with id and template, found {some(wrong, 1)}")
        found = [item for item in content if item.get("template")]
        if len(found) < len(content):
            raw.notes.append(
                f"{counted(len(content) - len(found), match[1] + ' clip', 'have')} no template: left out"
            )
        ids += [f"{item['id']}.webm" for item in found]
        labels += [_tidy(str(item["template"])) for item in found]
        splits += [SPLITS[match[1]]] * len(found)
    strange = sorted(set(labels) - known) if known else []
    if strange:
        raw.problems.append(f"{len(strange)} templates are not in the file of labels: {some(strange)}")
    raw.ids, raw.labels, raw.splits = text(ids), text(labels), text(splits)
    return raw


def _load(file: Path) -> Any:
    try:
        content = json.loads(read_text(file))
    except ValueError as error:
        raise InputError(f"{file}: not valid JSON: {error}") from None
    if not isinstance(content, list | dict):
        raise InputError(f"{file}: expected a list or a mapping, found {content!r:.40}")
    return content


def _tidy(template: str) -> str:
    return template.replace("[", "").replace("]", "").strip()
