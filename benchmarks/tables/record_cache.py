"""The rows of many finished runs in one file, so that a table does not open every run's result.json again.

RESULTS/.records.arrow may be deleted at any time. A row in it counts as long as the run's file has the time
and the size that it was read with.
"""

import contextlib
import json
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
from pyarrow import feather

from ssl_video.benchmarks.tables.records import COLUMNS, FURTHER
from ssl_video.files import replacing

FILE = ".records.arrow"
# Reading so many files takes a tenth of a second: fewer are not worth a cache, or a new one.
WORTH = 500
_STAMP = ["changed", "bytes"]

Stamp = tuple[int, int]


class Kept(NamedTuple):
    """Rows of runs that have not changed: `frame` has COLUMNS and FURTHER, `stamps` is by run."""

    frame: pd.DataFrame
    stamps: dict[str, Stamp]


def read(results: Path, stamps: dict[str, Stamp]) -> Kept:
    """The rows that were kept of runs whose files have these times of change and sizes."""
    empty = pd.DataFrame(columns=[*COLUMNS, *FURTHER])
    try:
        frame = feather.read_feather(results / FILE)
    except (OSError, pa.ArrowInvalid):
        return Kept(empty, {})
    if list(frame) != [*COLUMNS, *FURTHER, *_STAMP]:
        return Kept(empty, {})  # of another version
    runs, *stamps_then = (frame[key].tolist() for key in ("run", *_STAMP))
    kept = dict(zip(runs, zip(*stamps_then, strict=True), strict=True))
    same = {run: stamp for run, stamp in kept.items() if stamps.get(run) == stamp}
    if len(same) < len(frame):
        frame = frame[frame["run"].isin(list(same))]
    frame = frame.drop(columns=_STAMP)
    for key in FURTHER:
        texts = frame[key].unique().tolist()
        # All at once takes a third of the time of one after the other.
        meaning = dict(zip(texts, json.loads(f"[{','.join(texts)}]"), strict=True))
        frame[key] = [meaning[text] for text in frame[key].tolist()]
    return Kept(frame, same)


def write(results: Path, frame: pd.DataFrame, stamps: dict[str, Stamp]) -> None:
    """Keep the rows of runs, COLUMNS and FURTHER; in a folder that cannot be written to, do nothing."""
    written: dict[int, str] = {}
    for value in (value for key in FURTHER for value in frame[key]):
        if id(value) not in written:
            written[id(value)] = json.dumps(value)
    kept = frame.assign(
        **{key: [written[id(value)] for value in frame[key]] for key in FURTHER},
        changed=[stamps[run][0] for run in frame["run"]],
        bytes=[stamps[run][1] for run in frame["run"]],
    )
    with contextlib.suppress(OSError), replacing(results / FILE, durable=False) as file:
        feather.write_feather(pa.Table.from_pandas(kept, preserve_index=False), file)
