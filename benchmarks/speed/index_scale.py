"""What an index costs: python -m ssl_video.benchmarks.speed.index_scale --rows 10000 1000000.

For Linux. Each stage runs in a process of its own, so that its memory is its own, too. `peak` is what it
took beyond what it had before, mapped files included. The worker is a process that is sent what a loader's
workers are sent; `own` is the memory that it shares with nobody.
"""

import argparse
import multiprocessing
import os
import pickle
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from ssl_video.data.importers import index_file, read
from ssl_video.data.importers.draft import joined
from ssl_video.data.importers.make import Request, make
from ssl_video.data.index import Index
from ssl_video.data.partitions import partition

_CLASSES, _PER_VIDEO, _TEST_SHARE = (
    400,
    4,
    5,
)  # classes, clips of a source video, every fifth of which is for test
_CHUNK = 1_000_000
_READS = 1000  # clips that the worker asks for


def write_manifest(path: Path, rows: int) -> None:
    """A manifest of made-up clips, in an order that is not that of their names."""
    for start in range(0, rows, _CHUNK):
        number = np.arange(start, min(start + _CHUNK, rows))
        video = number // _PER_VIDEO
        digits = [
            pc.utf8_lpad(pa.array(n).cast(pa.large_string()), 9, "0") for n in (video * 7919 % rows, number)
        ]
        label = joined("", "class_", pc.utf8_lpad(pa.array(video % _CLASSES).cast(pa.large_string()), 3, "0"))
        name = joined("", "v_", label, "_g", digits[0], "_c", digits[1], ".mp4")
        part = pa.array(np.array(["train", "test"])[(video // _CLASSES % _TEST_SHARE == 0).astype(int)])
        table = pa.table(
            {"path": joined("/", label, name), "label": label, "group": digits[0], "split": part}
        )
        with open(path, "ab") as file:
            csv.write_csv(table, file, csv.WriteOptions(include_header=not start, quoting_style="none"))


def touch(manifest: Path) -> None:
    """A file of one byte for each clip of a manifest."""
    for name in read(manifest, check=False).paths:
        os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "wb") as file:
            file.write(b"x")


def index(manifest: Path, check: bool) -> None:
    """The index file beside a manifest."""
    made = make(Request([manifest], kind="manifest", check=check), "scale")
    index_file.write(made, manifest.with_suffix(index_file.SUFFIX))


def fingerprint(file: Path) -> str:
    """The index's fingerprint."""
    return read(file).fingerprint


def draw(file: Path, protocol: str) -> int:
    """Number of labeled clips of a partition."""
    return len(partition.make(read(file), protocol).labeled)


def work(small: bytes, sent: bytes) -> tuple[float, float]:
    """What a worker does: seconds to receive an index and ask for clips, and its own memory, in MB."""
    _ask(pickle.loads(small))
    before, began = _own(), time.perf_counter()
    _ask(pickle.loads(sent))
    return time.perf_counter() - began, _own() - before


def _ask(received: Index) -> None:
    """What belongs to some clips."""
    for row in np.linspace(0, len(received) - 1, _READS).astype(int):
        assert received.paths[row]
        assert received.label[row]


def measure(rows: int, folder: Path, files: int) -> list[tuple[str, float, str]]:
    """Stages with their seconds, and what else is known of them."""
    manifest, file = folder / f"{rows}.csv", folder / f"{rows}.arrow"
    write_manifest(manifest, rows)
    small = small_index(folder)
    found = [("read the manifest, sort, write the index file", *_stage(small, index, manifest, False))]
    if rows <= files:
        touch(manifest)
        found.append(("the same, and look at every file", *_stage(small, index, manifest, True)))
    found += [
        ("load the index file", *_stage(small, _load, file)),
        ("load it, and its fingerprint", *_stage(small, fingerprint, file)),
        ("load it, and draw per-class:10", *_stage(small, draw, file, "per-class:10")),
        ("load it, and draw percent:1", *_stage(small, draw, file, "percent:1")),
    ]
    shown = [(title, seconds, f"peak {peak:7,.0f} MB") for title, seconds, peak in found]
    sent = pickle.dumps(read(file))
    seconds, own = apart(work, pickle.dumps(read(small)), sent)
    shown.append(("a worker: receive it, ask for 1,000 clips", seconds, f"own  {own:7,.1f} MB"))
    size = file.stat().st_size / 1e6
    return [*shown, (f"(index file {size:,.1f} MB, {len(sent):,} bytes sent to the worker)", 0.0, "")]


def _load(file: Path) -> int:
    return len(read(file))


def small_index(folder: Path) -> Path:
    """The index file of few clips, to see what does not depend on their number."""
    manifest = folder / "small.csv"
    write_manifest(manifest, 10 * _CLASSES * _PER_VIDEO)
    index(manifest, False)
    return manifest.with_suffix(index_file.SUFFIX)


def _stage(small: Path, function: Callable[..., object], *arguments: object) -> tuple[float, float]:
    return apart(_measured, small, function, *arguments)


def _measured(small: Path, function: Callable[..., object], *arguments: object) -> tuple[float, float]:
    """Seconds, and megabytes beyond those of before, in a process that has everything loaded."""
    draw(small, "percent:1")
    before, began = _peak(), time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began, _peak() - before


def apart(function: Callable[..., Any], *arguments: object) -> Any:
    """A call in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _peak() -> float:
    """The most memory that this process ever had, in megabytes; `getrusage` starts at its parent's."""
    return _lines("/proc/self/status")["VmHWM"] / 1e3


def _own() -> float:
    """Megabytes that this process shares with no other and with no file."""
    return _lines("/proc/self/smaps_rollup")["Private_Dirty"] / 1e3


def _lines(file: str) -> dict[str, int]:
    """Lines `name: number kB`."""
    lines = (line.split() for line in Path(file).read_text().splitlines())
    return {line[0].rstrip(":"): int(line[1]) for line in lines if line[-1] == "kB"}


def main() -> None:
    """Print a table for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--files", type=int, default=10_000, help="make files, too, up to this many rows")
    options = parser.parse_args()
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{rows:,} clips")
            for title, seconds, memory in measure(rows, Path(folder), options.files):
                print(f"  {title:58}{f'{seconds:8.2f} s   {memory}' if memory else ''}", flush=True)


if __name__ == "__main__":
    main()
