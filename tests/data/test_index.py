"""Indexes, without files."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
from helpers.sources import FILES, manifest, touch

from ssl_video.data.importers import read


def test_fingerprint_is_a_function_of_ids_classes_and_splits(tmp_path: Path) -> None:
    def fingerprint(folder: str, *rows: str) -> str:
        touch(tmp_path / folder, *FILES[:4])
        return read(manifest(tmp_path / folder, "path,label,split,extra", *rows)).fingerprint

    rows = ["a/1.mp4,A,train,0", "a/2.mp4,A,test,0", "b/1.mp4,B,train,0", "b/2.mp4,B,test,0"]
    first = fingerprint("one", *rows)
    assert re.fullmatch("[0-9a-f]{12}", first)
    assert fingerprint("two", *rows[::-1]) == first  # another folder and another order
    assert fingerprint("one", *(row[:-1] + "1" for row in rows)) == first  # another column
    assert fingerprint("one", *(row.replace("A", "C") for row in rows)) != first
    swapped = [row.replace("test", "x").replace("train", "test").replace("x", "train") for row in rows]
    assert fingerprint("one", *swapped) != first
    (tmp_path / "one/a/1.mp4").rename(tmp_path / "one/a/9.mp4")
    assert fingerprint("one", rows[0].replace("1.mp4", "9.mp4"), *rows[1:]) != first


def test_neither_torch_nor_pandas_is_imported() -> None:
    code = "import sys, ssl_video.data.partitions.partition; print({'torch', 'pandas'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_a_class_that_loses_its_last_test_clip_is_named(tmp_path: Path) -> None:
    lines = ["path,label,split"]
    for label, clips in (("a", ("train", "test", "test")), ("b", ("train", "train", "test"))):
        for number, split in enumerate(clips):
            (tmp_path / f"{label}{number}.mp4").write_bytes(b"x")
            lines.append(f"{label}{number}.mp4,{label},{split}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    index = read(tmp_path / "manifest.csv")
    # b's only test clip is left out; a keeps one of its two.
    kept = index.without(np.flatnonzero(np.isin(index.ids.tolist(), ["b2.mp4", "a2.mp4"])))
    assert [note for note in kept.notes if note not in index.notes] == ["no test clip is left of 'b'"]
    assert kept.classes == ("a", "b")
