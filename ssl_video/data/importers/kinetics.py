"""Kinetics-400, -600 and -700: CSV files with label, youtube_id, time_start, time_end and perhaps split.

Source: Kay et al., "The Kinetics Human Action Video Dataset" (2017). The clips are files
NAME_000001_000011.mp4: the name of the video, and the start and end of the clip in seconds.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ssl_video.data.importers.manifest import first_fields, lines_of, read_table
from ssl_video.data.importers.raw_index import RawIndex, as_splits, joined, rows, text
from ssl_video.errors import InputError, counted, some, unknown

_NEEDED = ("youtube_id", "time_start", "time_end")


def recognises(file: Path) -> bool:
    """Return True if a CSV file is one of these."""
    return set(_NEEDED) <= set(first_fields(file))


def from_kinetics(files: Sequence[Path]) -> RawIndex:
    """Return the clips of some files: one file per part, or one for all.

    Clips without a label (the test part, as it was published) are left out. The part of a clip is in the
    column split, or else in the name of its file. Videos are groups.

    Args:
        files: absolute paths.

    Raises:
        InputError: a file lacks columns, or neither its columns nor its name give the part.
    """
    raw = RawIndex(", ".join(map(str, files)))
    tables = [_read(file, raw) for file in files]
    columns = {name: pa.concat_arrays([table[name] for table in tables]) for name in tables[0]}
    raw.ids, raw.labels, raw.splits = columns["id"], columns["label"], columns["split"]
    raw.groups = columns["group"]
    unlabeled = pc.equal(raw.labels, "")
    for item in pc.value_counts(raw.splits.filter(unlabeled)).to_pylist():
        raw.notes.append(f"{counted(item['counts'], item['values'] + ' clip', 'have')} no label: left out")
    raw.take(rows(pc.invert(unlabeled)))
    return raw


def _read(file: Path, raw: RawIndex) -> dict[str, pa.Array]:
    """Return the ids, labels, splits and groups of a file."""
    table = read_table(file)
    missing = [f"{file}: {unknown('column', name, table)}" for name in _NEEDED if name not in table]
    if missing:
        raise InputError(*missing)
    count, times = len(table["youtube_id"]), []
    for name in _NEEDED[1:]:
        whole = pc.match_substring_regex(table[name], r"^\d+(\.0*)?$")
        if not pc.all(whole).as_py():
            wrong = rows(pc.invert(whole))[:5]
            lines = zip(table[name].take(wrong).to_pylist(), lines_of(file, wrong), strict=True)
            raw.problems.append(
                f"{file.name}: {name} has {some([f'{value} (line {line})' for value, line in lines])}; "
                "expected whole seconds"
            )
        times.append(pc.utf8_lpad(pc.replace_substring_regex(table[name], r"\..*$", ""), 6, "0"))
    labels = table.get("label", text([""] * count))
    names = joined("_", table["youtube_id"], *times)
    return {
        "id": joined("", pc.if_else(pc.equal(labels, ""), "unlabeled", labels), "/", names, ".mp4"),
        "label": labels,
        "split": _splits(file, table, count, raw),
        "group": table["youtube_id"],
    }


def _splits(file: Path, table: dict[str, pa.Array], count: int, raw: RawIndex) -> pa.Array:
    if "split" in table and pc.any(pc.not_equal(table["split"], "")).as_py():
        return as_splits(table["split"], "split", raw.problems)
    part = re.search(r"train|val|test", file.stem.lower())
    if not part:
        raise InputError(
            f"{file} has no column split: expected one, or train, val or test in the file's name"
        )
    return text([part[0]] * count)
