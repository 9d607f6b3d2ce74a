"""Words that stand for "no label" in place of a class."""

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from ssl_video.data.importers.raw_index import RawIndex, text
from ssl_video.errors import counted

# Also names of folders with unlabeled videos at any depth.
UNLABELED = ("unlabeled", "unlabelled")
NO_LABEL = frozenset({*UNLABELED, "-1", "unknown", "none", "?"})


def is_unlabeled(folder: str, classes: Collection[str]) -> bool:
    """Return whether a folder of this name holds unlabeled videos, and is not one of `classes`."""
    return folder.lower() in UNLABELED and folder not in classes


def remove_words(raw: RawIndex, classes: Collection[str]) -> None:
    """Turn labels that say that there is none into empty ones, and add a note.

    Args:
        raw: its labels are changed.
        classes: such words that are real classes here.
    """
    values = raw.labels.dictionary_encode()
    words = values.dictionary.to_pylist()
    taken = [word for word in words if word.lower() in NO_LABEL and word not in classes]
    if not taken:
        return
    numbers = pc.value_counts(raw.labels)
    found = {item["values"]: item["counts"] for item in numbers.to_pylist()}
    for word in taken:
        raw.notes.append(
            f"{counted(found[word], 'clip', 'are')} unlabeled, as the label is {word!r}; if this is a class: "
            f"--keep-classes {word!r}"
        )
    raw.labels = text(["" if word in taken else word for word in words]).take(values.indices)


def given(labels: pa.Array) -> pa.Array:
    """Return for every label whether there is one."""
    return pc.not_equal(labels, "")
